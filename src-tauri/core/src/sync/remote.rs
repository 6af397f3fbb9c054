//! The other side of sync.

use std::{fmt, future::Future, time::Duration};

use garage_protocol::sync::SyncResponse;

use super::Exchange;
use crate::store::scope::Scope;

/// A server that a garage syncs with.
pub trait Remote: Send + Sync {
    /// Asks the server what it takes. A pass asks if the server did not take everything in the last one, and after
    /// [`RemoteError::NotEverything`].
    fn scope(&self) -> impl Future<Output = Result<Scope, RemoteError>> + Send;

    /// Sends a request and returns its response. May be called again with the same request: the server applies each
    /// operation at most once.
    ///
    /// A response of a server that does not take everything has no epoch, digest and audit, and its page is everything that
    /// has changed since the bases of the request. Its cursor is valid for such servers only.
    fn exchange(&self, exchange: &Exchange) -> impl Future<Output = Result<SyncResponse, RemoteError>> + Send;
}

/// Why there is no response. Except for [`RemoteError::Refused`], the request may have been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteError {
    /// The server cannot be reached.
    Offline(String),
    /// The server cannot answer now.
    Unavailable {
        /// What it said.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The session has ended: sign in again.
    SignedOut,
    /// The session is of another account than the garage.
    OtherAccount,
    /// The server refuses the request as a whole, and has applied nothing of it.
    Refused(String),
    /// The server does not take this device; an operator can change that.
    Forbidden(String),
    /// The response is not one of this protocol, or was broken off.
    Unreadable(String),
    /// The server does not take everything any more: another program answers at its address.
    NotEverything,
    /// More than half of the records are missing in the server's list. No record was removed.
    MissingRecords(u64),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteError::Offline(message) => write!(f, "The server cannot be reached: {message}"),
            RemoteError::Unavailable { message, .. } => write!(f, "The server cannot answer now: {message}"),
            RemoteError::SignedOut => f.write_str("The session has ended; sign in again. Nothing is lost"),
            RemoteError::OtherAccount => f.write_str("This garage belongs to another account of the server"),
            RemoteError::Refused(message) => write!(f, "The server refuses the request: {message}"),
            RemoteError::Forbidden(message) => write!(f, "The server does not take this device: {message}"),
            RemoteError::Unreadable(message) => write!(f, "The server's response cannot be read: {message}"),
            RemoteError::NotEverything => f.write_str("The server's response cannot be read: it has no route for sync"),
            RemoteError::MissingRecords(count) => write!(f, "{count} records are missing on the server"),
        }
    }
}

impl std::error::Error for RemoteError {}
