//! What is declared of a collection.

use crate::{Field, FieldAccess, Invalid, Rule};

/// A kind of records.
pub struct Collection {
    /// Its name on the wire and in history, such as `serviceEntries`.
    pub name: &'static str,
    /// Its table on the device.
    pub table: &'static str,
    /// What one record is called in messages, such as `Vehicle`.
    pub noun: &'static str,
    /// The fields, in the contract's order, in which errors are reported.
    pub fields: &'static [&'static Field],
    /// The field whose value no two live records share.
    pub unique: Option<&'static Field>,
    /// Checks what concerns several fields, and spells values that depend on each other canonically.
    pub check: fn(&mut dyn FieldAccess) -> Result<(), Invalid>,
}

impl Collection {
    /// The field of this wire name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().copied().find(|field| field.name == name)
    }

    /// The fields that name a record of another collection, each with that collection's name.
    pub fn references(&self) -> impl Iterator<Item = (&'static Field, &'static str)> {
        self.fields.iter().filter_map(|field| match field.rule {
            Rule::Reference { collection } => Some((*field, collection)),
            _ => None,
        })
    }
}

impl PartialEq for Collection {
    fn eq(&self, other: &Collection) -> bool {
        self.name == other.name
    }
}

impl Eq for Collection {}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
