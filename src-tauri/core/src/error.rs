//! Everything that can go wrong in the garage, and the closed set of codes that callers may match on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use garage_decode::{SnapshotError, vpic::VpicError};
use garage_domain::{FieldError, Invalid, VinError};
use rusqlite::ErrorCode as SqliteCode;
use serde::Serialize;

/// Why an operation was not done; the garage is as it was. Displays as a sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum GarageError {
    /// What was typed breaks rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Text that was to be decoded is no VIN, not even in part.
    #[error(transparent)]
    NotAVin(#[from] VinError),
    /// Another vehicle of the garage has this VIN.
    #[error("Vehicle with this VIN already exists")]
    DuplicateVin,
    /// No record of this kind, such as `Vehicle`, has this id, or it has been removed.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// No change has this id.
    #[error("There is no such change")]
    NoSuchChange,
    /// The record of this kind has been removed, and what was asked for needs it back.
    #[error("The {} has been removed; restore it first", .0.to_lowercase())]
    Removed(&'static str),
    /// What was to be undone has been changed again: this field, or, with none, the record's presence.
    #[error("{}", match .0 {
        Some(field) => format!("{field} has been changed since; undo that change first"),
        None => "It has been changed, removed or restored since; undo that first".to_owned(),
    })]
    ChangedSince(Option<String>),
    /// A change that cannot be taken back alone: two records were joined, or another version wrote a kind of change
    /// that this one does not know.
    #[error("This change cannot be undone")]
    CannotUndo,
    /// An import failed, and some of what came in before could not be taken out again.
    #[error("{source}. {added} records had come in before; import the file again to add the others")]
    PartlyImported {
        /// Records that are in the garage now.
        added: usize,
        /// Why the import failed.
        source: Box<GarageError>,
    },
    /// A file to be imported is none of ours.
    #[error("This file cannot be imported: {0}")]
    ImportUnreadable(String),
    /// What was to be restored is no intact garage.
    #[error("This backup is damaged, or is not a garage; nothing was changed")]
    BadBackup,
    /// The garage's file is there and empty, although it has backups.
    #[error("The garage's file is empty, and there are backups of it: something has emptied it")]
    Emptied,
    /// A repair of the garage's file was ended before it was done; another one puts back what it had set aside.
    #[error("The garage's file is damaged, and its repair was interrupted")]
    RepairInterrupted,
    /// A repair was asked for, and there is nothing to repair, or no more.
    #[error("The garage's file is not damaged; nothing was changed")]
    NotDamaged,
    /// A long operation was stopped by whoever asked for it.
    #[error("Stopped; nothing was changed")]
    Canceled,
    /// What is exported cannot be written.
    #[error("{}", match .0.kind() {
        io::ErrorKind::StorageFull => DISK_FULL.to_owned(),
        _ => format!("The export cannot be written: {}", .0),
    })]
    Export(#[from] io::Error),
    /// A file that was named, such as a backup's, cannot be written.
    #[error("{}", file_message(.path, .source, "written"))]
    Unwritable {
        /// The file, or its folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that was named cannot be read.
    #[error("{}", file_message(.path, .source, "read"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The garage's file is not where it was opened: what is written would be lost with it.
    #[error(
        "The garage's file has been moved or deleted while it was open; put it back and try again. Nothing was changed"
    )]
    FileGone,
    /// The garage is to be moved, and others have it open.
    #[error("{}", LOCKED)]
    InUse,
    /// There is no usable vPIC data.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// vPIC was asked and gave no answer.
    #[error(transparent)]
    Vpic(#[from] VpicError),
    /// The file of vPIC's answers cannot be used. Only for callers that ask vPIC and wait: a decode works without.
    #[error("vPIC's answers cannot be kept: {0}")]
    AnswersNotKept(Arc<garage_sqlite::Error>),
    /// The system names no folder to keep the garage in.
    #[error("This system names no folder for user data; set HOME, or name the garage's file")]
    NoDataFolder,
    /// The store cannot be opened, read or written.
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

/// What kind of error it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// What was typed breaks rules; the details name the fields.
    Invalid,
    /// Another vehicle has this VIN.
    DuplicateVin,
    /// No such vehicle, change or file.
    NotFound,
    /// What was to be undone has been changed since.
    ChangedSince,
    /// The vPIC data is missing or damaged.
    SnapshotMissing,
    /// vPIC gave no answer.
    VpicAway,
    /// A file that was named exists already.
    FileExists,
    /// A file that was named cannot be read or written.
    FileFailed,
    /// The garage's file is no database, or is damaged.
    GarageDamaged,
    /// The garage's file is another program's database.
    GarageForeign,
    /// A backup is no intact garage.
    BackupDamaged,
    /// The garage's file comes from a newer version.
    GarageNewer,
    /// Another program holds the garage's file for too long.
    GarageLocked,
    /// The garage's file or folder cannot be written.
    GarageReadOnly,
    /// There is no room to write.
    DiskFull,
    /// Stopped by whoever asked for it.
    Canceled,
    /// Anything else.
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
            GarageError::NotFound(_) | GarageError::Removed(_) | GarageError::NoSuchChange => ErrorCode::NotFound,
            GarageError::ChangedSince(_) | GarageError::CannotUndo => ErrorCode::ChangedSince,
            GarageError::PartlyImported { source, .. } => source.code(),
            GarageError::Snapshot(_) => ErrorCode::SnapshotMissing,
            GarageError::Vpic(_) => ErrorCode::VpicAway,
            GarageError::NoDataFolder | GarageError::FileGone => ErrorCode::GarageReadOnly,
            GarageError::Store(error) => store_code(error),
        }
    }

    /// The fields concerned, with a message each, in the contract's order.
    #[must_use]
    pub fn details(&self) -> Vec<FieldError> {
        let vin = |message: String| vec![FieldError { field: "vin".to_owned(), message }];
        match self {
            GarageError::Invalid(Invalid::Fields(errors)) => errors.clone(),
            GarageError::NotAVin(_) | GarageError::DuplicateVin => vin(self.to_string()),
            GarageError::ChangedSince(Some(field)) => {
                vec![FieldError { field: field.clone(), message: self.to_string() }]
            }
            _ => Vec::new(),
        }
    }
}

/// An error of the system at one of the garage's own files.
pub(crate) fn at(path: &Path, source: io::Error) -> GarageError {
    garage_sqlite::Error::File { path: path.to_owned(), source }.into()
}

/// The store's error where the caller named a file to be written.
pub(crate) fn of_target(error: garage_sqlite::Error) -> GarageError {
    match error {
        garage_sqlite::Error::File { path, source } => GarageError::Unwritable { path, source },
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

fn store_code(error: &garage_sqlite::Error) -> ErrorCode {
    match error {
        garage_sqlite::Error::Newer { .. } => ErrorCode::GarageNewer,
        garage_sqlite::Error::Foreign { .. } => ErrorCode::GarageForeign,
        garage_sqlite::Error::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => ErrorCode::DiskFull,
        garage_sqlite::Error::File { .. } => ErrorCode::GarageReadOnly,
        garage_sqlite::Error::BackupBeforeUpgrade { source, .. } => store_code(source),
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
        ErrorCode::GarageDamaged => "The garage's file is damaged or is not a garage".to_owned(),
        ErrorCode::GarageLocked => LOCKED.to_owned(),
        ErrorCode::GarageReadOnly => match error {
            garage_sqlite::Error::File { path, source } => {
                format!("The garage's file cannot be written: {}: {source}", path.display())
            }
            garage_sqlite::Error::BackupBeforeUpgrade { path, source } => {
                let path = path.display();
                format!("The garage must be backed up before it is upgraded, and {path} cannot be written: {source}")
            }
            _ => "The garage's file, or its folder, cannot be written".to_owned(),
        },
        ErrorCode::DiskFull => DISK_FULL.to_owned(),
        _ => match error {
            // The library's own text goes on with the whole migration's SQL.
            garage_sqlite::Error::Migration(migration) => {
                let reason = std::error::Error::source(migration).map_or_else(String::new, |it| format!(": {it}"));
                format!("The garage's file could not be brought up to date{reason}")
            }
            error => format!("The garage's file could not be used: {error}"),
        },
    }
}
