//! Errors of commands, their output and their exit codes.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::{
    ErrorCode, FieldError, GarageError, KeyStoreError, SessionError,
    sync::{RemoteError, SyncError},
};
use serde_json::json;

use crate::table::printable;

/// The exit code for a request that is invalid or cannot be done.
const REFUSED: u8 = 1;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    Garage(GarageError),
    Sync(SyncError),
    /// An argument that names no record, or several.
    Unclear(String),
    /// The named garage does not exist, and the command does not create one.
    NoGarage(PathBuf),
    Io(io::Error),
}

impl From<GarageError> for Failure {
    fn from(error: GarageError) -> Failure {
        Failure::Garage(error)
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Failure {
        match error {
            SyncError::Garage(error) => Failure::Garage(error),
            error => Failure::Sync(error),
        }
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

    /// What the user can do with this program, whose commands and variables the core's messages do not name.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Failure::Garage(error) if error.code() == ErrorCode::GarageDamaged => {
                Some("To save what can be read of it: garage doctor --repair")
            }
            Failure::Garage(GarageError::Session(SessionError::KeyStore(KeyStoreError::Missing(_)))) => Some(
                "On Linux, start a Secret Service such as GNOME Keyring or KWallet. Or set GARAGE_SERVER to the server \
                 and GARAGE_TOKEN to an access token",
            ),
            Failure::Garage(GarageError::Session(SessionError::Unencrypted(_))) => {
                Some("To accept this: --allow-unencrypted, or GARAGE_ALLOW_UNENCRYPTED=1 with GARAGE_TOKEN")
            }
            Failure::Sync(SyncError::SignedOut | SyncError::Remote(RemoteError::SignedOut))
            | Failure::Garage(GarageError::Session(SessionError::SignedOut | SessionError::Ended)) => {
                Some("To sign in: garage sign-in URL --email EMAIL")
            }
            _ => None,
        }
    }

    /// Writes the error to standard error, one line per field, and returns the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        let hint = self.hint();
        let (code, message, details, exit_code) = match self {
            // The reader has closed the pipe, as in `garage … | head`.
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
            Failure::Sync(error) => (json!(error.code()), error.to_string(), Vec::new(), REFUSED),
            Failure::Garage(error) => {
                (json!(error.code()), error.to_string(), error.details(), exit_code(error.code()))
            }
        };
        let message = match hint {
            Some(hint) => format!("{message}. {hint}"),
            None => message,
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
