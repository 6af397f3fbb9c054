//! Validation errors.

use serde::{Deserialize, Serialize};

use crate::Field;

/// A field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's wire name.
    pub field: String,
    /// The message for people.
    pub message: String,
}

/// Why a draft is invalid. Displays as the first message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The fields that break their rules, in the contract's order. Never empty.
    #[error("{}", .0.first().map_or("", |error| error.message.as_str()))]
    Fields(Vec<FieldError>),
    /// The record lacks required content; holds the contract's message.
    #[error("{0}")]
    Incomplete(&'static str),
}

impl Invalid {
    /// Creates an error for a single field.
    #[must_use]
    pub fn field(field: &Field, message: impl Into<String>) -> Invalid {
        Invalid::Fields(vec![FieldError { field: field.name.to_owned(), message: message.into() }])
    }
}
