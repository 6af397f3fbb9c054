//! Fields by their declaration, whatever holds them.

use crate::{Field, FieldValue};

/// Reading and setting fields by their declaration.
pub trait FieldAccess {
    /// The field's value; `None` where it is empty.
    fn get(&self, field: &Field) -> Option<FieldValue>;

    /// Sets a field. `None` empties it, or sets its default where it is never empty.
    fn set(&mut self, field: &'static Field, value: Option<FieldValue>);

    /// Sets a field where it is empty; returns whether it was.
    fn fill(&mut self, field: &'static Field, value: FieldValue) -> bool {
        let is_empty = self.get(field).is_none();
        if is_empty {
            self.set(field, Some(value));
        }
        is_empty
    }
}
