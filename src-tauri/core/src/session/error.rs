//! Why there is no session, or no access token.

use std::time::Duration;

use garage_domain::FieldError;

use super::key_store::KeyStoreError;
use crate::http::HttpError;

/// Why signing in or using a session failed. Displays as a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The text is not the URL of a server.
    #[error("The server must be a URL such as https://garage.example.org, and {0}")]
    InvalidServer(&'static str),
    /// An `http` URL of another device, without permission to send secrets unencrypted.
    #[error(
        "The connection to {0} would not be encrypted: anybody on the way could read and change the password and the \
         vehicles. Use an https URL"
    )]
    Unencrypted(String),
    /// The garage has records of another account, or of an account on another server.
    #[error(
        "This garage belongs to another account, {account} on {server}. Sign in to that account, or use a garage of \
         its own for this one"
    )]
    OtherAccount {
        /// The email address of the garage's account, or its id if the address is unknown.
        account: String,
        /// The server of the garage's account.
        server: String,
    },
    /// The email address or the password is wrong.
    #[error("Wrong email or password")]
    WrongCredentials,
    /// Values that the server refuses to register, such as a short password.
    #[error("{}", .0.first().map_or("The server refused these values", |first| first.message.as_str()))]
    Invalid(Vec<FieldError>),
    /// The server has an account with this email address.
    #[error("An account with this email already exists; sign in to it")]
    EmailTaken,
    /// The server's operator adds accounts.
    #[error("Registration is closed on this server; ask whoever runs it for an account")]
    RegistrationClosed,
    /// The server has no routes for accounts.
    #[error("{0} has no accounts to sign in to: it is not a MotoVault server, or its accounts are managed elsewhere")]
    NoAccounts(String),
    /// The server refuses further attempts for a while.
    #[error("Too many attempts; try again in {}", .0.map_or_else(|| "a minute".to_owned(), seconds))]
    TooManyAttempts(Option<Duration>),
    /// Nobody has signed in with this garage, or they have signed out.
    #[error("This garage is not signed in to a server")]
    SignedOut,
    /// The server has ended the session: it expired, the password was changed, or the account was disabled.
    #[error("The session has ended; sign in again")]
    Ended,
    /// The server refused an access token that was given instead of a session.
    #[error("The server refused the access token: it has expired, or is another server's")]
    TokenRefused,
    /// The given access token cannot be one.
    #[error("The access token contains characters that no token has, or is too long")]
    InvalidToken,
    /// No complete response. Nothing has changed on this device.
    #[error("There is no answer from {server}: {source}")]
    Unreachable {
        /// The server.
        server: String,
        /// The reason.
        source: HttpError,
    },
    /// The server cannot answer at the moment. Nothing has changed on this device.
    #[error("{server} cannot answer at the moment (status {status}); try again later")]
    Unavailable {
        /// The server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// When the server asks to try again.
        retry_after: Option<Duration>,
    },
    /// The response is not one of a MotoVault server.
    #[error("{server} does not answer as a MotoVault server does ({reason})")]
    NotAServer {
        /// The server.
        server: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// Another program has held the lock on the session for too long.
    #[error("Another program is using the session; try again")]
    Busy,
    /// The lock file cannot be used.
    #[error("The session cannot be locked: {0}")]
    NotLocked(String),
    /// The operating system's key store cannot be used.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
}

impl SessionError {
    /// Whether the same call may succeed later without anybody doing something.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            SessionError::Unreachable { source, .. } => source.is_worth_a_retry(),
            SessionError::Unavailable { .. } | SessionError::TooManyAttempts(_) | SessionError::Busy => true,
            _ => false,
        }
    }

    /// How long the server asks to wait before a retry.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SessionError::Unavailable { retry_after: wait, .. } | SessionError::TooManyAttempts(wait) => *wait,
            _ => None,
        }
    }
}

fn seconds(wait: Duration) -> String {
    match wait.as_secs() {
        0 | 1 => "a second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
