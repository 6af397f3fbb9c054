//! Accounts, sessions and issuers in the database, each operation one transaction.

mod postgres;
mod sqlite;

use jiff::Timestamp;

use super::account::{Account, Change, NewSession, Registration};
use crate::store::{Store, StoreError};

/// Adds an account; if registration is not `open`, only the first one.
pub async fn insert(store: &Store, account: Account, hash: String, open: bool) -> Result<Registration, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::insert(database, account, hash, open).await,
        Store::Postgres(database) => postgres::insert(database, &account, &hash, open).await,
    }
}

/// Whether there are accounts.
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

/// Changes the account with this email address. Returns `false` if there is none.
pub async fn change(store: &Store, email: String, change: Change) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::change(database, email, change).await,
        Store::Postgres(database) => postgres::change(database, &email, &change).await,
    }
}

/// The account with this email address, if it is enabled, and the hash of its password.
pub async fn credentials(store: &Store, email: String) -> Result<Option<(Account, String)>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::credentials(database, email).await,
        Store::Postgres(database) => postgres::credentials(database, &email).await,
    }
}

/// The account with this id, if it is enabled.
pub async fn by_id(store: &Store, id: String) -> Result<Option<Account>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::by_id(database, id).await,
        Store::Postgres(database) => postgres::by_id(database, &id).await,
    }
}

/// Stores a session if its account is enabled and still has the verified hash. Returns whether the session was stored.
/// Deletes expired sessions and tokens.
pub async fn start_session(store: &Store, session: NewSession) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::start_session(database, session).await,
        Store::Postgres(database) => postgres::start_session(database, &session).await,
    }
}

/// Whether there is a refresh token with this digest. Takes no lock.
pub async fn has_token(store: &Store, digest: String) -> Result<bool, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::has_token(database, digest).await,
        Store::Postgres(database) => postgres::has_token(database, &digest).await,
    }
}

/// Applies the decision of [`super::refresh_tokens::decide`] about the token with this digest. Returns the account's id if a new
/// token, with the digest `next`, was issued. Deletes expired tokens then.
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

/// Ends the session of the token with this digest, if there is one.
pub async fn end_session(store: &Store, digest: String) -> Result<(), StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::end_session(database, digest).await,
        Store::Postgres(database) => postgres::end_session(database, &digest).await,
    }
}

/// The number of an external issuer in this database, in the order in which the issuers were first used. Assigns it if
/// needed.
pub async fn issuer_number(store: &Store, issuer: &str) -> Result<i64, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::issuer_number(database, issuer.to_owned()).await,
        Store::Postgres(database) => postgres::issuer_number(database, issuer).await,
    }
}
