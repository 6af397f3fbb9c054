//! Generic access to the fields of records and typed views.

use crate::{Field, FieldValue};

/// Gets and sets fields by their declaration.
pub trait FieldAccess {
    /// Returns the field's value, or `None` if it is empty.
    fn get(&self, field: &Field) -> Option<FieldValue>;

    /// Sets a field. `None` clears it, or resets it to its default if it has one.
    fn set(&mut self, field: &'static Field, value: Option<FieldValue>);

    /// Sets a field only if it is empty, and returns whether it did.
    fn fill(&mut self, field: &'static Field, value: FieldValue) -> bool {
        let is_empty = self.get(field).is_none();
        if is_empty {
            self.set(field, Some(value));
        }
        is_empty
    }
}
