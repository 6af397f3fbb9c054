//! Accounts and sessions as the store reads and writes them.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

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

/// What an operator changes about an account.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Nobody can log in from this time on. Ends the account's sessions.
    Disable(Timestamp),
    /// Its owner can log in again.
    Enable,
    /// Sets the password's hash, and ends the account's sessions. A disabled account stays disabled.
    Password(String),
}

/// A session to be stored, after the password was verified.
#[derive(Debug, Clone)]
pub(super) struct NewSession {
    pub id: String,
    pub account_id: String,
    /// The hash that the password was verified against. If the account has another one by now, or is disabled, the
    /// session must not start.
    pub verified_hash: String,
    /// SHA-256 of the first refresh token.
    pub token_digest: String,
    pub started_at: Timestamp,
    /// When the first refresh token expires.
    pub expires_at: Timestamp,
}

/// Normalizes an email address: trimmed, lower case.
///
/// # Errors
/// It cannot be an email address.
pub(super) fn clean_email(text: &str) -> Result<String, &'static str> {
    let email = text.trim().to_lowercase();
    let is_one = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    let is_clean =
        email.len() <= 254 && !email.contains(|character: char| character.is_whitespace() || character.is_control());
    if is_one && is_clean { Ok(email) } else { Err("email must be an email address") }
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registration {
    Added,
    /// Another account has the email address.
    Taken,
    /// Only the first account can register.
    Closed,
}
