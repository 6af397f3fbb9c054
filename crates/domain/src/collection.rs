//! The declaration of a collection.

use crate::{Field, FieldAccess, Invalid, Rule};

/// A kind of record.
pub struct Collection {
    /// The name on the wire and in history, such as `serviceEntries`.
    pub name: &'static str,
    /// The table in the device's database.
    pub table: &'static str,
    /// The name of a single record in messages, such as `Vehicle`.
    pub noun: &'static str,
    /// The fields in the contract's order, which is also the order of errors.
    pub fields: &'static [&'static Field],
    /// The field that must be unique among records that are not removed.
    pub unique: Option<&'static Field>,
    /// Fields that mean something only with another one: a number and its unit. A merge takes both from one record.
    pub units: &'static [(&'static Field, &'static Field)],
    /// Checks rules that span several fields, and normalizes values that depend on each other.
    pub check: fn(&mut dyn FieldAccess) -> Result<(), Invalid>,
}

impl Collection {
    /// Returns the field with this wire name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().copied().find(|field| field.name == name)
    }

    /// Returns the fields that refer to a record of another collection, with that collection's name.
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
