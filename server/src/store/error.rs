//! Errors of the database, classified by what a client is told.

use rusqlite::ErrorCode::{
    CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory, ReadOnly,
    SystemIoFailure,
};
use tokio_postgres::error::SqlState;

/// Why an operation of the database failed. Only the log has the reason, because it may contain values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is busy, or its disk is full. A write may have happened if the connection broke
    /// during its commit.
    #[error("the database is unavailable")]
    Unavailable,
    /// A bug, or a damaged database.
    #[error("the database failed")]
    Failed,
}

impl From<garage_sqlite::Error> for StoreError {
    fn from(error: garage_sqlite::Error) -> StoreError {
        tracing::error!(%error, "the database failed");
        match error.sqlite_code() {
            None
            | Some(
                CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OutOfMemory
                | ReadOnly
                | SystemIoFailure,
            ) => StoreError::Unavailable,
            Some(_) => StoreError::Failed,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        garage_sqlite::Error::from(error).into()
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> StoreError {
        tracing::error!(%error, "there is no connection to the database");
        StoreError::Unavailable
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> StoreError {
        // Never the error's detail, which contains values.
        let reason = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        let code = error.code().map_or("", SqlState::code);
        tracing::error!(code, reason, "the database failed");
        // Classes of errors that pass or that an operator ends: connection, read-only, rollback, resources, locks,
        // operator, system.
        let passing = ["08", "25006", "40", "53", "55P03", "57", "58"];
        match code.is_empty() || passing.iter().any(|class| code.starts_with(class)) {
            true => StoreError::Unavailable,
            false => StoreError::Failed,
        }
    }
}
