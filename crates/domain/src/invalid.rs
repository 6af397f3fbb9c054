//! What is wrong with a draft.

use serde::{Deserialize, Serialize};

use crate::Field;

/// One broken rule of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's wire name.
    pub field: String,
    /// What is wrong, as a person reads it.
    pub message: String,
}

/// A draft that breaks rules. Displays as the first message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// At least one field is broken; all that are, in the contract's order. Never empty.
    #[error("{}", .0.first().map_or("", |error| error.message.as_str()))]
    Fields(Vec<FieldError>),
    /// The record as a whole lacks what it needs at least; the contract's message.
    #[error("{0}")]
    Incomplete(&'static str),
}

impl Invalid {
    /// One broken field.
    #[must_use]
    pub fn field(field: &Field, message: impl Into<String>) -> Invalid {
        Invalid::Fields(vec![FieldError { field: field.name.to_owned(), message: message.into() }])
    }
}
