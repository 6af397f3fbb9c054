//! Failures: what a person or a script is told, and the exit code.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::{ErrorCode, FieldError, GarageError};
use serde_json::json;

use crate::table::printable;

/// Asked for something that cannot be done, or that breaks a rule.
const REFUSED: u8 = 1;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    Garage(GarageError),
    /// A name that fits no vehicle, or several.
    Unclear(String),
    /// The garage that was named is not there, and the command makes none.
    NoGarage(PathBuf),
    Io(io::Error),
}

impl From<GarageError> for Failure {
    fn from(error: GarageError) -> Failure {
        Failure::Garage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl Failure {
    /// The exit code for a file that is damaged, missing, or from a newer version.
    pub const DAMAGED: u8 = 3;

    /// Whether the garage's file is damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Failure::Garage(error) if error.code() == ErrorCode::GarageDamaged)
    }

    /// Writes to standard error what went wrong, a line a field, and gives the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        let (code, message, details, exit_code) = match self {
            // The reader of a pipe has seen enough, as in `garage … | head`.
            Failure::Io(error) | Failure::Garage(GarageError::Export(error))
                if error.kind() == io::ErrorKind::BrokenPipe =>
            {
                return ExitCode::SUCCESS;
            }
            Failure::Io(error) => (json!(ErrorCode::FileFailed), error.to_string(), Vec::new(), REFUSED),
            Failure::NoGarage(path) => {
                let message = format!("There is no garage {}; `vehicle add` and `import` make one", path.display());
                (json!(ErrorCode::NotFound), message, Vec::new(), REFUSED)
            }
            Failure::Unclear(message) => (json!(ErrorCode::NotFound), message, Vec::new(), REFUSED),
            Failure::Garage(error) => {
                (json!(error.code()), error.to_string(), error.details(), exit_code(error.code()))
            }
        };
        // What helps is said where the message cannot know it: only here there is a `doctor`.
        let message = match code == json!(ErrorCode::GarageDamaged) {
            true => format!("{message}. To save what can be read of it: garage doctor --repair"),
            false => message,
        };
        if json {
            eprintln!("{}", json!({ "code": code, "message": message, "details": details }));
        } else if details.is_empty() {
            eprintln!("error: {}", printable(&message));
        } else {
            for FieldError { message, .. } in details {
                eprintln!("error: {}", printable(&message));
            }
        }
        ExitCode::from(exit_code)
    }
}

fn exit_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::GarageDamaged | ErrorCode::BackupDamaged | ErrorCode::GarageNewer | ErrorCode::SnapshotMissing => {
            Failure::DAMAGED
        }
        _ => REFUSED,
    }
}
