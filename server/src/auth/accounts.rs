//! Accounts: registering, and what an operator does with them.

use uuid::Uuid;

use super::{
    account::{Account, Change, Registration, clean_email},
    passwords, store as accounts,
};
use crate::{
    app::now,
    store::{Store, StoreError},
};

/// Why a second account with an email address is refused.
pub(super) const EMAIL_TAKEN: &str = "An account with this email already exists";

/// Adds an account. If registration is not `open`, only the first. Returns it with whether it was added.
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
/// The email address is taken or is none, the password is not acceptable, or the store cannot be written.
pub async fn add(store: &Store, email: &str, password: &str) -> anyhow::Result<Account> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let hash = hashed(password, &email).await?;
    match register(store, email, hash, true).await.map_err(unusable)? {
        (account, Registration::Added) => Ok(account),
        _ => anyhow::bail!(EMAIL_TAKEN),
    }
}

/// All accounts, the oldest first.
///
/// # Errors
/// The store cannot be read.
pub async fn list(store: &Store) -> anyhow::Result<Vec<Account>> {
    accounts::list(store).await.map_err(unusable)
}

/// Ends an account's sessions and refuses its logins; its vehicles stay.
///
/// # Errors
/// There is no such account, or the store cannot be written.
pub async fn disable(store: &Store, email: &str) -> anyhow::Result<()> {
    change(store, email, Change::Disable(now())).await
}

/// Accepts the logins of a disabled account again.
///
/// # Errors
/// There is no such account, or the store cannot be written.
pub async fn enable(store: &Store, email: &str) -> anyhow::Result<()> {
    change(store, email, Change::Enable).await
}

/// Sets an account's password and ends its sessions. A disabled account stays disabled.
///
/// # Errors
/// There is no such account, the password is not acceptable, or the store cannot be written.
pub async fn set_password(store: &Store, email: &str, password: &str) -> anyhow::Result<()> {
    let hash = hashed(password, &clean_email(email).map_err(anyhow::Error::msg)?).await?;
    change(store, email, Change::Password(hash)).await
}

async fn change(store: &Store, email: &str, change: Change) -> anyhow::Result<()> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let is_found = accounts::change(store, email, change).await.map_err(unusable)?;
    anyhow::ensure!(is_found, "there is no account with this email");
    Ok(())
}

async fn hashed(password: &str, email: &str) -> anyhow::Result<String> {
    passwords::check(password, email).map_err(anyhow::Error::msg)?;
    let password = password.to_owned();
    let hash = tokio::task::spawn_blocking(move || passwords::hash(&password)).await?;
    hash.ok_or_else(|| anyhow::anyhow!("the password cannot be hashed"))
}

fn unusable(_: StoreError) -> anyhow::Error {
    anyhow::anyhow!("the database cannot be used; the log above says why")
}
