//! The error that commands return to the page.

use garage_core::{ErrorCode, FieldError, GarageError};
use serde::Serialize;

/// A failed command. The page matches on `code`, and shows `message` or, at a field, the message of its detail.
#[derive(Debug, Serialize, specta::Type)]
pub struct CommandError {
    /// The kind of failure.
    pub code: ErrorCode,
    /// A sentence for the user.
    pub message: String,
    /// The invalid fields, if any.
    pub details: Vec<FieldError>,
}

impl From<GarageError> for CommandError {
    fn from(error: GarageError) -> CommandError {
        CommandError { code: error.code(), message: error.to_string(), details: error.details() }
    }
}

impl CommandError {
    /// The preferences could not be written to disk. They stay in effect until the app exits.
    pub(crate) fn not_kept(error: tauri_plugin_store::Error) -> CommandError {
        let message = format!("Your preferences could not be saved: {error}");
        CommandError { code: ErrorCode::Internal, message, details: Vec::new() }
    }
}
