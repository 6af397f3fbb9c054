//! Accounts and sessions: what may be one, and what the store is asked to do about them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    passwords::{LONGEST_BYTES, Passwords, SHORTEST},
    store as accounts,
};
use crate::{app::now, error::ApiError, store::Store};

/// How long somebody who does not come back stays logged in.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Random bytes of a refresh token.
const TOKEN_BYTES: usize = 32;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The user that its vehicles belong to.
    pub id: String,
    /// What its owner logs in with, lower case.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody can log in with it.
    pub disabled_at: Option<Timestamp>,
}

/// A refresh token as the store keeps it.
pub(super) struct StoredToken {
    /// Its digest: who reads it can log in as nobody.
    pub digest: String,
    pub expires_at: Timestamp,
}

/// What an operator does with an account; either ends its sessions.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Nobody can log in with it from this time on.
    Disable(Timestamp),
    /// It has a password of this hash, and is not disabled.
    Password(String),
}

/// An address as it is kept.
///
/// # Errors
/// It cannot be one.
pub fn clean_email(text: &str) -> Result<String, &'static str> {
    let email = text.trim().to_lowercase();
    let is_one = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    let is_clean =
        email.len() <= 254 && !email.contains(|character: char| character.is_whitespace() || character.is_control());
    if is_one && is_clean { Ok(email) } else { Err("email must be an email address") }
}

/// Whether a password will do.
///
/// # Errors
/// Why it will not.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    if password.chars().count() < SHORTEST {
        return Err("password must be at least 10 characters");
    }
    if password.len() > LONGEST_BYTES {
        return Err("password must be at most 1000 bytes");
    }
    Ok(())
}

/// Adds an account. Where registration is not `open`, only the first.
///
/// # Errors
/// There is one with this address, or it is not the first; or the store cannot be written.
pub async fn register(store: &Store, email: String, hash: String, open: bool) -> Result<Account, ApiError> {
    let account = Account { id: Uuid::now_v7().to_string(), email, created_at: now(), disabled_at: None };
    accounts::insert(store, account.clone(), hash, open).await?;
    Ok(account)
}

/// Adds an account, whatever registration is.
///
/// # Errors
/// There is one with this address, it cannot be one, or the store cannot be written.
pub async fn add(store: &Store, email: &str, password: &str) -> anyhow::Result<Account> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let added = register(store, email, hashed(password).await?, true).await;
    added.map_err(|error| match error {
        ApiError::Conflict(message) => anyhow::Error::msg(message),
        _ => unusable(&error),
    })
}

/// All accounts, the oldest first.
///
/// # Errors
/// The store cannot be read.
pub async fn list(store: &Store) -> anyhow::Result<Vec<Account>> {
    accounts::list(store).await.map_err(|error| unusable(&error))
}

/// Ends an account's sessions and lets nobody log in with it; its vehicles stay.
///
/// # Errors
/// There is no such account, or the store cannot be written.
pub async fn disable(store: &Store, email: &str) -> anyhow::Result<()> {
    change(store, email, Change::Disable(now())).await
}

/// Gives an account another password, and ends its sessions.
///
/// # Errors
/// There is no such account, the password will not do, or the store cannot be written.
pub async fn set_password(store: &Store, email: &str, password: &str) -> anyhow::Result<()> {
    let hash = hashed(password).await?;
    change(store, email, Change::Password(hash)).await
}

async fn change(store: &Store, email: &str, change: Change) -> anyhow::Result<()> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let is_found = accounts::change(store, email, change).await.map_err(|error| unusable(&error))?;
    anyhow::ensure!(is_found, "there is no account with this email");
    Ok(())
}

async fn hashed(password: &str) -> anyhow::Result<String> {
    check_password(password).map_err(anyhow::Error::msg)?;
    let hash = Passwords::new().hash(password.to_owned()).await;
    hash.map_err(|_| anyhow::anyhow!("the password cannot be hashed"))
}

fn unusable(_: &ApiError) -> anyhow::Error {
    anyhow::anyhow!("the database cannot be used; the log above says why")
}

/// The account of an address and its password's hash, if somebody can log in with it.
pub async fn credentials(store: &Store, email: String) -> Result<Option<(Account, String)>, ApiError> {
    accounts::credentials(store, email).await
}

/// An account that is not disabled.
pub async fn by_id(store: &Store, id: String) -> Result<Option<Account>, ApiError> {
    accounts::by_id(store, id).await
}

/// A refresh token that begins a new family: somebody has logged in.
pub async fn begin_family(store: &Store, account_id: String) -> Result<String, ApiError> {
    let (token, now) = (new_token(), now());
    accounts::begin_family(store, account_id, Uuid::now_v7().to_string(), stored(&token, now), now).await?;
    Ok(token)
}

/// The next refresh token for this one, and whose it is. One that was used before ends its family.
pub async fn next_in_family(store: &Store, token: &str) -> Result<Option<(String, String)>, ApiError> {
    let (next, now) = (new_token(), now());
    let account = accounts::next_in_family(store, digest(token), stored(&next, now), now).await?;
    Ok(account.map(|account| (next, account)))
}

/// Ends what a log-in led to; nothing where the token is of none.
pub async fn end_family(store: &Store, token: &str) -> Result<(), ApiError> {
    accounts::end_family(store, digest(token)).await
}

fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>())
}

fn stored(token: &str, now: Timestamp) -> StoredToken {
    StoredToken { digest: digest(token), expires_at: now + REFRESH_LIFETIME }
}

fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
