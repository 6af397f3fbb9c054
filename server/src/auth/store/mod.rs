//! Accounts, sessions and issuers in the database, each operation one transaction.

mod postgres;
mod sqlite;

use jiff::Timestamp;

use super::account::{Account, Change, NewSession, Registration};
use crate::store::{Store, StoreError};

/// Adds an account; if registration is not `open`, only the first.
pub async fn insert(store: &Store, account: Account, hash: String, open: bool) -> Result<Registration, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::insert(database, account, hash, open).await,
        Store::Postgres(database) => postgres::insert(database, &account, &hash, open).await,
    }
}

/// Whether there is an account.
pub async fn has_accounts(store: &Store) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::has_accounts(database).await,
        Store::Postgres(database) => postgres::has_accounts(database).await,
    }
}

/// All accounts, the oldest first.
pub async fn list(store: &Store) -> Result<Vec<Account>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::list(database).await,
        Store::Postgres(database) => postgres::list(database).await,
    }
}

/// Changes the account of this email address; returns whether there is one.
pub async fn change(store: &Store, email: String, change: Change) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::change(database, email, change).await,
        Store::Postgres(database) => postgres::change(database, &email, &change).await,
    }
}

/// The enabled account of an email address, and its password's hash.
pub async fn credentials(store: &Store, email: String) -> Result<Option<(Account, String)>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::credentials(database, email).await,
        Store::Postgres(database) => postgres::credentials(database, &email).await,
    }
}

/// The enabled account of this id.
pub async fn by_id(store: &Store, id: String) -> Result<Option<Account>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::by_id(database, id).await,
        Store::Postgres(database) => postgres::by_id(database, &id).await,
    }
}

/// Stores a session if its account is enabled and still has the verified hash; returns whether it does. Deletes expired
/// sessions and tokens.
pub async fn start_session(store: &Store, session: NewSession) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::start_session(database, session).await,
        Store::Postgres(database) => postgres::start_session(database, &session).await,
    }
}

/// Whether there is a refresh token of this digest. Takes no lock.
pub async fn has_token(store: &Store, digest: String) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::has_token(database, digest).await,
        Store::Postgres(database) => postgres::has_token(database, &digest).await,
    }
}

/// Reads what [`super::rotation::decide`] needs for the token of this digest, and does what it decides. Returns the account
/// if the token of the digest `next` was issued. Deletes expired tokens.
pub async fn refresh_session(
    store: &Store,
    digest: String,
    next: String,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::refresh_session(database, digest, next, now).await,
        Store::Postgres(database) => postgres::refresh_session(database, &digest, &next, now).await,
    }
}

/// Ends the session of the token of this digest, if there is one.
pub async fn end_session(store: &Store, digest: String) -> Result<(), StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::end_session(database, digest).await,
        Store::Postgres(database) => postgres::end_session(database, &digest).await,
    }
}

/// The number of an external issuer in this database: 1 for the first, whichever comes first.
pub async fn issuer_number(store: &Store, issuer: &str) -> Result<i64, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::issuer_number(database, issuer.to_owned()).await,
        Store::Postgres(database) => postgres::issuer_number(database, issuer).await,
    }
}
