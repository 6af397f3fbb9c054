//! Validated changes of records.
//!
//! Input is JSON of any shape, because it comes from forms, command lines, files and the network. Values are not
//! coerced: `"2003"` is not a year. All broken fields are reported, in the contract's order.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{Collection, Field, FieldAccess, FieldError, FieldValue, Invalid};

/// A validated change: fields to set, each with a value that its rule allows, and fields to clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    collection: &'static Collection,
    values: Vec<(&'static Field, Option<FieldValue>)>,
}

impl Patch {
    /// Validates the fields of `draft`. Unknown names are ignored.
    ///
    /// # Errors
    /// [`Invalid::Fields`] with all broken fields.
    pub fn parse(
        collection: &'static Collection,
        draft: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Patch, Invalid> {
        let mut values = Vec::new();
        let mut errors = Vec::new();
        for field in collection.fields {
            let Some(value) = draft.get(field.name) else { continue };
            match field.validate(value, now) {
                Ok(value) => values.push((*field, value)),
                Err(message) => errors.push(FieldError { field: field.name.to_owned(), message }),
            }
        }
        if errors.is_empty() { Ok(Patch { collection, values }) } else { Err(Invalid::Fields(errors)) }
    }

    /// Returns the fields that this change sets or clears.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + '_ {
        self.values.iter().map(|(field, _)| *field)
    }

    /// Whether this change sets or clears `field`.
    #[must_use]
    pub fn names(&self, field: &Field) -> bool {
        self.fields().any(|it| it == field)
    }

    /// Returns what this change sets `field` to: `None` if it does not name it, `Some(None)` if it clears it.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<Option<&FieldValue>> {
        self.values.iter().find(|(it, _)| *it == field).map(|(_, value)| value.as_ref())
    }

    /// Sets the fields without checking the record as a whole.
    pub fn set_on(&self, fields: &mut impl FieldAccess) {
        for (field, value) in &self.values {
            fields.set(field, value.clone());
        }
    }

    /// Returns the fields after this change.
    ///
    /// # Errors
    /// [`Invalid::Incomplete`] if the record lacks required content; [`Invalid::Fields`] if fields contradict each
    /// other.
    pub fn apply<T: FieldAccess>(&self, mut fields: T) -> Result<T, Invalid> {
        self.set_on(&mut fields);
        (self.collection.check)(&mut fields)?;
        Ok(fields)
    }
}
