//! The error type of this crate.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a database cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is a database of another program. It has not been changed.
    #[error("{} is a database of another program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's schema comes from a newer version of the program. The file has not been changed.
    #[error("{} was written by a newer version (schema {found}, this version knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest schema version this program knows.
        known: i64,
    },
    /// The file lacks parts of its schema. It has not been changed.
    #[error("{} is damaged; it lacks {}", path.display(), missing.join(", "))]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The parts, such as `table vehicles`.
        missing: Vec<String>,
    },
    /// A migration failed, and all migrations of this opening were rolled back.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[from] refinery::Error),
    /// The file has to be upgraded, and the backup before that cannot be written. The file has not been changed.
    #[error("the backup before the upgrade cannot be written to {}: {source}", path.display())]
    BackupBeforeUpgrade {
        /// The backup.
        path: PathBuf,
        /// Why it cannot be written.
        source: Box<Error>,
    },
    /// SQLite returned an error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The system cannot use the file or its folder.
    #[error(transparent)]
    File(#[from] garage_files::Error),
    /// The path no longer leads to the file that was opened. What is written there would be lost, so nothing was.
    #[error("{} has been moved, deleted or replaced while it was open", path.display())]
    Moved {
        /// Where the file was.
        path: PathBuf,
    },
    /// Too many writes wait, or this one waited too long. It was not and will not be performed.
    #[error("too many writes are waiting")]
    Busy,
    /// The caller stopped the operation. Nothing has changed.
    #[error("stopped")]
    Stopped,
    /// The database has been closed.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// SQLite's result code, if the error came from SQLite, also by way of a migration. A value of another type than
    /// its column's counts as damage, because the program never writes one, and so does a missing part of the schema.
    #[must_use]
    pub fn sqlite_code(&self) -> Option<ErrorCode> {
        match self {
            Error::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => Some(ErrorCode::DatabaseCorrupt),
            // The index of the log cannot grow because the disk is full.
            Error::Sqlite(rusqlite::Error::SqliteFailure(error, _))
                if error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE =>
            {
                Some(ErrorCode::DiskFull)
            }
            // SQLite reports an impossible file format in the header with its general error code.
            Error::Sqlite(rusqlite::Error::SqliteFailure(_, Some(message))) if message == "unsupported file format" => {
                Some(ErrorCode::DatabaseCorrupt)
            }
            Error::Sqlite(error) => error.sqlite_error_code(),
            Error::Incomplete { .. } => Some(ErrorCode::DatabaseCorrupt),
            Error::Migration(error) => std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<rusqlite::Error>())
                .and_then(rusqlite::Error::sqlite_error_code),
            Error::BackupBeforeUpgrade { source, .. } => source.sqlite_code(),
            Error::Foreign { .. }
            | Error::Newer { .. }
            | Error::File(_)
            | Error::Moved { .. }
            | Error::Busy
            | Error::Stopped
            | Error::Closed => None,
        }
    }
}
