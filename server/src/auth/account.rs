//! Accounts and sessions as the store reads and writes them.

pub use garage_protocol::Account;
use jiff::Timestamp;

/// A change that an operator makes to an account.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// Refuses logins from this time on, and ends the account's sessions.
    Disable(Timestamp),
    /// Accepts logins again.
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
/// A field message, if it cannot be an email address.
pub(super) fn clean_email(text: &str) -> Result<String, &'static str> {
    let email = text.trim().to_lowercase();
    let has_domain = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    let is_clean =
        email.len() <= 254 && !email.contains(|character: char| character.is_whitespace() || character.is_control());
    if has_domain && is_clean { Ok(email) } else { Err("email must be an email address") }
}

/// The result of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registration {
    Added,
    /// Another account has the email address.
    Taken,
    /// There is an account, and only the first one can be registered.
    Closed,
}
