//! Registering accounts, and managing them as an operator.

use uuid::Uuid;

use super::{
    account::{Account, Change, Registration, clean_email},
    passwords, store as accounts,
};
use crate::{
    app::now,
    store::{Store, StoreError},
};

pub(super) const EMAIL_TAKEN: &str = "An account with this email already exists";

/// Adds an account; if registration is not `open`, only the first one.
pub(super) async fn register(
    store: &Store,
    email: String,
    hash: String,
    open: bool,
) -> Result<(Account, Registration), StoreError> {
    let account = Account { id: Uuid::now_v7().to_string(), email, created_at: now(), disabled_at: None };
    let registration = accounts::insert(store, account.clone(), hash, open).await?;
    Ok((account, registration))
}

/// Adds an account, even if registration is closed.
///
/// # Errors
/// If the email address is invalid or taken, the password is not acceptable, or the store fails.
pub async fn add(store: &Store, email: &str, password: &str) -> anyhow::Result<Account> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let hash = checked_hash(password, &email).await?;
    match register(store, email, hash, true).await.map_err(store_failed)? {
        (account, Registration::Added) => Ok(account),
        _ => anyhow::bail!(EMAIL_TAKEN),
    }
}

/// All accounts, the oldest first.
///
/// # Errors
/// If the store fails.
pub async fn list(store: &Store) -> anyhow::Result<Vec<Account>> {
    accounts::list(store).await.map_err(store_failed)
}

/// Ends an account's sessions and refuses its logins; its vehicles are kept.
///
/// # Errors
/// If there is no such account, or the store fails.
pub async fn disable(store: &Store, email: &str) -> anyhow::Result<()> {
    change(store, email, Change::Disable(now())).await
}

/// Accepts the logins of a disabled account again.
///
/// # Errors
/// If there is no such account, or the store fails.
pub async fn enable(store: &Store, email: &str) -> anyhow::Result<()> {
    change(store, email, Change::Enable).await
}

/// Sets an account's password and ends its sessions. A disabled account stays disabled.
///
/// # Errors
/// If there is no such account, the password is not acceptable, or the store fails.
pub async fn set_password(store: &Store, email: &str, password: &str) -> anyhow::Result<()> {
    let hash = checked_hash(password, &clean_email(email).map_err(anyhow::Error::msg)?).await?;
    change(store, email, Change::Password(hash)).await
}

async fn change(store: &Store, email: &str, change: Change) -> anyhow::Result<()> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let is_found = accounts::change(store, email, change).await.map_err(store_failed)?;
    anyhow::ensure!(is_found, "there is no account with this email");
    Ok(())
}

async fn checked_hash(password: &str, email: &str) -> anyhow::Result<String> {
    passwords::check(password, email).map_err(anyhow::Error::msg)?;
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || passwords::hash(&password)).await?;
    hash.ok_or_else(|| anyhow::anyhow!("the password cannot be hashed"))
}

fn store_failed(_: StoreError) -> anyhow::Error {
    anyhow::anyhow!("the database failed; the log has the reason")
}
