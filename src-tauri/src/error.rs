//! What a page is told when a command fails.

use garage_core::{ErrorCode, FieldError, GarageError};
use serde::Serialize;

/// A failed command. The page matches on `code` and shows `message`, or a detail's message at its field.
#[derive(Debug, Serialize, specta::Type)]
pub struct CommandError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
    /// The fields concerned, if any.
    pub details: Vec<FieldError>,
}

impl From<GarageError> for CommandError {
    fn from(error: GarageError) -> CommandError {
        CommandError { code: error.code(), message: error.to_string(), details: error.details() }
    }
}

impl CommandError {
    /// Preferences that could not be written; they hold until the app ends.
    pub(crate) fn not_kept(error: tauri_plugin_store::Error) -> CommandError {
        let message = format!("Your preferences could not be kept: {error}");
        CommandError { code: ErrorCode::Internal, message, details: Vec::new() }
    }
}
