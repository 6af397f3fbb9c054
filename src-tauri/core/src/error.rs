//! The errors of the garage, and the closed set of codes that callers match on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use garage_decode::{SnapshotError, vpic::VpicError};
use garage_domain::{FieldError, Invalid, VinError};
use rusqlite::ErrorCode as SqliteCode;
use serde::Serialize;

use crate::SessionError;

/// Why an operation failed; the garage is unchanged. Displays as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum GarageError {
    /// Field values break rules, or a record lacks what it needs.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The text to decode is not even a part of a VIN.
    #[error(transparent)]
    NotAVin(#[from] VinError),
    /// Another vehicle in the garage has this VIN.
    #[error("Vehicle with this VIN already exists")]
    DuplicateVin,
    /// No record of this kind, such as `Vehicle`, has this id, or it is removed.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The field has no open conflict, or none with this value.
    #[error("There is no such conflict")]
    NoSuchConflict,
    /// No change has this id.
    #[error("There is no such change")]
    NoSuchChange,
    /// The record of this kind is removed, and the operation needs it restored.
    #[error("The {} has been removed; restore it first", .0.to_lowercase())]
    Removed(&'static str),
    /// A later change prevents undo: of this field, or, if `None`, of whether the record is removed. To undo the latter
    /// does not help, because that is a change too.
    #[error("{}", match .0 {
        Some(field) => format!("{field} has been changed since; undo that change first"),
        None => "It has been removed or restored since, so this change can no longer be undone".to_owned(),
    })]
    ChangedSince(Option<String>),
    /// The addition of this kind of record cannot be undone after any other change, and an undo is a change too.
    #[error("The {} was changed after it was added; {}", .noun.to_lowercase(), match .is_removed {
        true => "it is removed already",
        false => "remove it instead",
    })]
    ChangedSinceAdded {
        /// The kind of record, such as `Vehicle`.
        noun: &'static str,
        /// Whether the record is removed.
        is_removed: bool,
    },
    /// This change cannot be undone: it merged two records, or another version wrote a kind of change that this one
    /// does not know.
    #[error("This change cannot be undone")]
    CannotUndo,
    /// An import failed, and its rollback failed too.
    #[error("{source}. {added} records were imported before; import the file again to add the others")]
    PartlyImported {
        /// How many imported records remain in the garage.
        added: usize,
        /// Why the import failed.
        source: Box<GarageError>,
    },
    /// The file to import is not an export or a list of vehicles.
    #[error("This file cannot be imported: {0}")]
    ImportUnreadable(String),
    /// The file to restore is damaged, or is not a garage.
    #[error("This backup is damaged, or is not a garage; nothing was changed")]
    BadBackup,
    /// The garage's file is empty, and it has daily backups.
    #[error("The garage's file is empty, and there are backups of it: something has emptied it")]
    Emptied,
    /// A repair crashed before it finished. The next repair undoes its steps first.
    #[error("The garage's file is damaged, and its repair was interrupted")]
    RepairInterrupted,
    /// A repair was requested, and the file is sound.
    #[error("The garage's file is not damaged; nothing was changed")]
    NotDamaged,
    /// The caller's [`Progress`](crate::Progress) canceled the operation.
    #[error("Stopped; nothing was changed")]
    Canceled,
    /// The export cannot be written.
    #[error("{}", match .0.kind() {
        io::ErrorKind::StorageFull => DISK_FULL.to_owned(),
        _ => format!("The export cannot be written: {}", .0),
    })]
    Export(#[from] io::Error),
    /// A file that the caller named, such as a backup, cannot be written.
    #[error("{}", file_message(.path, .source, "written"))]
    Unwritable {
        /// The file, or its folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file that the caller named cannot be read.
    #[error("{}", file_message(.path, .source, "read"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The garage's file was moved or deleted while open: a write would be lost with it.
    #[error(
        "The garage's file has been moved or deleted while it was open; put it back and try again. Nothing was changed"
    )]
    FileGone,
    /// Another program has the garage open, so it cannot be moved; or a repair runs, so it cannot be opened.
    #[error("{}", LOCKED)]
    InUse,
    /// The vPIC data is missing or damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A request to vPIC failed, or requests are switched off.
    #[error(transparent)]
    Vpic(#[from] VpicError),
    /// The cache of vPIC's answers cannot be used. Only [`Garage::ask_vpic`](crate::Garage::ask_vpic) fails with it.
    #[error("vPIC's answers cannot be kept: {0}")]
    AnswersNotKept(Arc<garage_sqlite::Error>),
    /// Signing in, or using the session with a server, failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The system has no folder for the user's data.
    #[error("This system has no folder for user data; set HOME, or give the path of the garage's file")]
    NoDataFolder,
    /// The garage's file cannot be opened, read or written.
    #[error("{}", store_message(.0))]
    Store(garage_sqlite::Error),
}

impl From<garage_sqlite::Error> for GarageError {
    fn from(error: garage_sqlite::Error) -> GarageError {
        match error {
            garage_sqlite::Error::Stopped => GarageError::Canceled,
            garage_sqlite::Error::Moved { .. } => GarageError::FileGone,
            error => GarageError::Store(error),
        }
    }
}

impl From<garage_files::Error> for GarageError {
    fn from(error: garage_files::Error) -> GarageError {
        GarageError::Store(error.into())
    }
}

impl From<csv::Error> for GarageError {
    fn from(error: csv::Error) -> GarageError {
        GarageError::Export(error.into())
    }
}

impl From<rusqlite::Error> for GarageError {
    fn from(error: rusqlite::Error) -> GarageError {
        GarageError::Store(error.into())
    }
}

/// The kind of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// Values break rules; the details name the fields.
    Invalid,
    /// Another vehicle has this VIN.
    DuplicateVin,
    /// No such record, change or file.
    NotFound,
    /// A later change prevents undo.
    ChangedSince,
    /// The vPIC data is missing or damaged.
    SnapshotMissing,
    /// A request to vPIC failed.
    VpicAway,
    /// A file that the caller named already exists.
    FileExists,
    /// A file that the caller named cannot be read or written.
    FileFailed,
    /// The garage's file is damaged or is not a database.
    GarageDamaged,
    /// The garage's file is another program's database.
    GarageForeign,
    /// The backup is damaged or is not a garage.
    BackupDamaged,
    /// A newer version wrote the garage's file.
    GarageNewer,
    /// Another program holds a lock on the garage's file.
    GarageLocked,
    /// The garage's file or folder cannot be written.
    GarageReadOnly,
    /// The disk is full.
    DiskFull,
    /// There is no session with a server, or it has ended: sign in.
    SignedOut,
    /// The server refuses to register or to sign in.
    SignInRefused,
    /// The garage belongs to another account.
    OtherAccount,
    /// The server cannot be reached, or does not answer as it should.
    ServerAway,
    /// Sync has stopped until a person decides.
    NeedsDecision,
    /// The system's key store is missing, locked, or failed.
    KeyStoreFailed,
    /// The caller canceled the operation.
    Canceled,
    /// Any other error.
    Internal,
}

impl GarageError {
    /// The kind of this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            GarageError::Invalid(_) | GarageError::NotAVin(_) | GarageError::ImportUnreadable(_) => ErrorCode::Invalid,
            GarageError::Export(source)
            | GarageError::Unwritable { source, .. }
            | GarageError::Unreadable { source, .. } => file_code(source),
            GarageError::AnswersNotKept(_) => ErrorCode::FileFailed,
            GarageError::InUse => ErrorCode::GarageLocked,
            GarageError::BadBackup => ErrorCode::BackupDamaged,
            GarageError::Emptied | GarageError::RepairInterrupted => ErrorCode::GarageDamaged,
            GarageError::Canceled | GarageError::NotDamaged => ErrorCode::Canceled,
            GarageError::DuplicateVin => ErrorCode::DuplicateVin,
            GarageError::NotFound(_)
            | GarageError::Removed(_)
            | GarageError::NoSuchChange
            | GarageError::NoSuchConflict => ErrorCode::NotFound,
            GarageError::ChangedSince(_) | GarageError::ChangedSinceAdded { .. } | GarageError::CannotUndo => {
                ErrorCode::ChangedSince
            }
            GarageError::PartlyImported { source, .. } => source.code(),
            GarageError::Snapshot(_) => ErrorCode::SnapshotMissing,
            GarageError::Vpic(_) => ErrorCode::VpicAway,
            GarageError::Session(error) => session_code(error),
            GarageError::NoDataFolder | GarageError::FileGone => ErrorCode::GarageReadOnly,
            GarageError::Store(error) => store_code(error),
        }
    }

    /// The invalid fields, one message each, in the contract's order.
    #[must_use]
    pub fn details(&self) -> Vec<FieldError> {
        let vin = |message: String| vec![FieldError { field: "vin".to_owned(), message }];
        match self {
            GarageError::Invalid(Invalid::Fields(errors)) => errors.clone(),
            GarageError::Session(SessionError::Invalid(errors)) => errors.clone(),
            GarageError::NotAVin(_) | GarageError::DuplicateVin => vin(self.to_string()),
            GarageError::ChangedSince(Some(field)) => {
                vec![FieldError { field: field.clone(), message: self.to_string() }]
            }
            _ => Vec::new(),
        }
    }
}

/// An I/O error at one of the garage's own files.
pub(crate) fn at(path: &Path, source: io::Error) -> GarageError {
    garage_files::Error { path: path.to_owned(), source }.into()
}

/// Maps an error of the store where the caller named the file to write.
pub(crate) fn of_target(error: impl Into<garage_sqlite::Error>) -> GarageError {
    match error.into() {
        garage_sqlite::Error::File(error) => GarageError::Unwritable { path: error.path, source: error.source },
        error => error.into(),
    }
}

fn file_code(source: &io::Error) -> ErrorCode {
    match source.kind() {
        io::ErrorKind::StorageFull => ErrorCode::DiskFull,
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        io::ErrorKind::AlreadyExists => ErrorCode::FileExists,
        _ => ErrorCode::FileFailed,
    }
}

fn file_message(path: &Path, source: &io::Error, done: &str) -> String {
    let path = path.display();
    match source.kind() {
        io::ErrorKind::StorageFull => DISK_FULL.to_owned(),
        io::ErrorKind::NotFound => format!("{path} does not exist"),
        io::ErrorKind::AlreadyExists => format!("{path} exists already"),
        _ => format!("{path} cannot be {done}: {source}"),
    }
}

const LOCKED: &str = "Another program is using the garage's file. Close it and try again; nothing was changed";
const DISK_FULL: &str = "The disk is full. Make room and try again; nothing was changed";

fn session_code(error: &SessionError) -> ErrorCode {
    match error {
        SessionError::InvalidServer(_)
        | SessionError::Unencrypted(_)
        | SessionError::Invalid(_)
        | SessionError::InvalidToken => ErrorCode::Invalid,
        SessionError::OtherAccount { .. } => ErrorCode::OtherAccount,
        SessionError::WrongCredentials
        | SessionError::EmailTaken
        | SessionError::RegistrationClosed
        | SessionError::NoAccounts(_)
        | SessionError::TooManyAttempts(_) => ErrorCode::SignInRefused,
        SessionError::SignedOut | SessionError::Ended | SessionError::TokenRefused => ErrorCode::SignedOut,
        SessionError::Unreachable { .. } | SessionError::Unavailable { .. } | SessionError::NotAServer { .. } => {
            ErrorCode::ServerAway
        }
        SessionError::Busy => ErrorCode::GarageLocked,
        SessionError::NotLocked(_) => ErrorCode::FileFailed,
        SessionError::KeyStore(_) => ErrorCode::KeyStoreFailed,
    }
}

fn store_code(error: &garage_sqlite::Error) -> ErrorCode {
    match error {
        garage_sqlite::Error::Newer { .. } => ErrorCode::GarageNewer,
        garage_sqlite::Error::Foreign { .. } => ErrorCode::GarageForeign,
        garage_sqlite::Error::File(error) if error.source.kind() == io::ErrorKind::StorageFull => ErrorCode::DiskFull,
        garage_sqlite::Error::File(_) => ErrorCode::GarageReadOnly,
        garage_sqlite::Error::BackupBeforeUpgrade { source, .. } => store_code(source),
        garage_sqlite::Error::Busy => ErrorCode::GarageLocked,
        _ => match error.sqlite_code() {
            Some(SqliteCode::NotADatabase | SqliteCode::DatabaseCorrupt) => ErrorCode::GarageDamaged,
            Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => ErrorCode::GarageLocked,
            Some(SqliteCode::ReadOnly | SqliteCode::CannotOpen | SqliteCode::PermissionDenied) => {
                ErrorCode::GarageReadOnly
            }
            Some(SqliteCode::DiskFull) => ErrorCode::DiskFull,
            _ => ErrorCode::Internal,
        },
    }
}

fn store_message(error: &garage_sqlite::Error) -> String {
    match store_code(error) {
        ErrorCode::GarageNewer => {
            "This garage was saved by a newer version of MotoVault. Update MotoVault to open it".to_owned()
        }
        ErrorCode::GarageForeign => {
            "This file is another program's database and not a garage; nothing was changed".to_owned()
        }
        ErrorCode::GarageDamaged => match error {
            garage_sqlite::Error::Incomplete { missing, .. } => {
                format!("The garage's file is damaged; it lacks {}", missing.join(", "))
            }
            _ => "The garage's file is damaged or is not a garage".to_owned(),
        },
        ErrorCode::GarageLocked => LOCKED.to_owned(),
        ErrorCode::GarageReadOnly => match error {
            garage_sqlite::Error::File(error) => format!("The garage's file cannot be written: {error}"),
            garage_sqlite::Error::BackupBeforeUpgrade { path, source } => {
                let path = path.display();
                format!("The garage must be backed up before it is upgraded, and {path} cannot be written: {source}")
            }
            _ => "The garage's file, or its folder, cannot be written".to_owned(),
        },
        ErrorCode::DiskFull => DISK_FULL.to_owned(),
        _ => match error {
            // The library's own message contains the migration's whole SQL.
            garage_sqlite::Error::Migration(migration) => {
                let reason = std::error::Error::source(migration).map_or_else(String::new, |it| format!(": {it}"));
                format!("The garage's file could not be brought up to date{reason}")
            }
            error => format!("The garage's file could not be used: {error}"),
        },
    }
}
