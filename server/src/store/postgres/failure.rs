//! Why an operation failed.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why an operation failed.
#[derive(Debug)]
pub enum Failure {
    /// An error that is not from PostgreSQL.
    Store(StoreError),
    /// An error of PostgreSQL or of the connection.
    Database(tokio_postgres::Error),
    /// The pool has no connection.
    NoConnection(PoolError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure::Database(error)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Failure {
        Failure::NoConnection(error)
    }
}

impl Failure {
    /// Whether a retry may succeed: the cause was a conflict with another transaction.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Failure::Database(error) if [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE]
            .iter().any(|state| error.code() == Some(state)))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure {
            Failure::Store(error) => error,
            Failure::NoConnection(error) => error.into(),
            Failure::Database(error) => error.into(),
        }
    }
}
