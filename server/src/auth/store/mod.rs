//! Accounts and refresh tokens in the database, each operation one transaction.

mod postgres;
mod sqlite;

use jiff::Timestamp;

use super::accounts::{Account, Change, StoredToken};
use crate::{error::ApiError, store::Store};

const TAKEN: ApiError = ApiError::Conflict("An account with this email already exists");
const CLOSED: ApiError = ApiError::Forbidden("Registration is closed");

/// Adds an account; where registration is not `open`, only the first.
pub async fn insert(store: &Store, account: Account, hash: String, open: bool) -> Result<(), ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::insert(database, account, hash, open).await,
        Store::Postgres(database) => postgres::insert(database, &account, &hash, open).await,
    }
}

/// All accounts, the oldest first.
pub async fn list(store: &Store) -> Result<Vec<Account>, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::list(database).await,
        Store::Postgres(database) => postgres::list(database).await,
    }
}

/// Changes the account of this address and ends its sessions; says whether there is one.
pub async fn change(store: &Store, email: String, change: Change) -> Result<bool, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::change(database, email, change).await,
        Store::Postgres(database) => postgres::change(database, &email, &change).await,
    }
}

/// The account of an address and its password's hash, if somebody can log in with it.
pub async fn credentials(store: &Store, email: String) -> Result<Option<(Account, String)>, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::credentials(database, email).await,
        Store::Postgres(database) => postgres::credentials(database, &email).await,
    }
}

/// An account that is not disabled.
pub async fn by_id(store: &Store, id: String) -> Result<Option<Account>, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::by_id(database, id).await,
        Store::Postgres(database) => postgres::by_id(database, &id).await,
    }
}

/// Keeps the first token of a family, and forgets those that are long over.
pub async fn begin_family(
    store: &Store,
    account_id: String,
    family: String,
    token: StoredToken,
    now: Timestamp,
) -> Result<(), ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::begin_family(database, account_id, family, token, now).await,
        Store::Postgres(database) => postgres::begin_family(database, &account_id, &family, &token, now).await,
    }
}

/// Puts `next` in the place of the token of this digest; gives the account, if the token was good. One that was used
/// before ends its family: somebody else has it, too, and nobody can tell who is who.
pub async fn next_in_family(
    store: &Store,
    digest: String,
    next: StoredToken,
    now: Timestamp,
) -> Result<Option<String>, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::next_in_family(database, digest, next, now).await,
        Store::Postgres(database) => postgres::next_in_family(database, &digest, &next, now).await,
    }
}

/// Ends the family of the token of this digest, if there is one.
pub async fn end_family(store: &Store, digest: String) -> Result<(), ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::end_family(database, digest).await,
        Store::Postgres(database) => postgres::end_family(database, &digest).await,
    }
}
