//! The steps of a request on SQLite and on PostgreSQL.

mod columns;
mod postgres;
mod sqlite;
mod statements;

use garage_protocol::sync::SyncRequest;
use jiff::Timestamp;

use super::steps::{Account, Outcome};
use crate::store::{Store, StoreError};

/// Performs a request in one transaction.
///
/// # Errors
/// With [`StoreError::Unavailable`] it may have been performed; sending it again is safe.
pub async fn sync(
    store: &Store,
    account: Account,
    request: SyncRequest,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::sync(database, account, request, now).await,
        Store::Postgres(database) => postgres::sync(database, &account, &request, now).await,
    }
}
