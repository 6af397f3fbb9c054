//! Sync: every device has the same garage, and nothing is lost. `docs/sync.md` has the protocol and the rules.
//!
//! - `plan`: what to do with a record of the server, and what to send of a record, as pure functions
//! - `outbox`: freezes operations before they are sent
//! - `apply`: applies a response through the journal, in one transaction; `reread`: what makes everything be read again
//! - `pass`: requests and responses until both sides have everything
//! - `exchange`: a request, and what it was made for
//! - `remote`: the other side; `session_remote`: over HTTP, with the tokens of a session (`session_http`); `plain`: servers
//!   without `sync.v1`, by their routes for single records
//! - `restrict`: what of a record a server takes; `waiting`: counts what waits, and what stays here
//! - `schedule`: when to sync next; `keep`: syncs whenever there is a reason
//! - `restored`: a garage that was restored from a backup: what differs from the server, and which of both stands
//! - `digest`: what is compared with the server; `invariants`: what is always true of the tables
//! - `attention`: conflicts and refusals, and what a person does about them; `status`: the state as a whole
//! - `wire`: converts between what travels and what is stored
//!
//! Invariants: what is sent is the record minus its base, computed when it is frozen; one batch is in flight, and it is sent
//! unchanged until it is answered; a response is applied whole or not at all; no transaction is open across the network; no
//! code here names a collection.

mod apply;
mod attention;
mod digest;
mod exchange;
mod invariants;
mod keep;
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub mod model;
mod outbox;
mod pass;
mod plain;
mod plan;
mod remote;
mod reread;
mod restored;
mod restrict;
mod schedule;
mod session_http;
mod session_remote;
mod status;
mod waiting;
mod wire;

pub use self::{
    attention::{Choice, OpenConflict, OtherValue, Refusal},
    exchange::Exchange,
    keep::Activity,
    pass::{Exchanged, Limits, Next},
    remote::{Remote, RemoteError},
    restored::{Comparison, Difference, Stands},
    schedule::Schedule,
    status::SyncStatus,
};
pub(crate) use self::{invariants::problems, restored::Kept};
pub use crate::store::{scope::Scope, sync::Attention};
use crate::{ErrorCode, GarageError};
pub use garage_protocol::sync::{MAX_RECORDS, SyncRequest, SyncResponse};

/// Why a pass ended before both sides had everything. Nothing is lost; the next pass continues.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// This garage was never signed in.
    #[error("This garage is on this device only; sign in to sync it")]
    SignedOut,
    /// A person has to decide.
    #[error("{}", attention_message(.0))]
    Attention(Attention),
    /// Another program syncs this garage.
    #[error("Another program is syncing this garage")]
    Busy,
    /// Another program has changed the state of sync during the exchange.
    #[error("Another program has synced or restored this garage meanwhile")]
    Overtaken,
    /// The server gave no answer, or not one that helps.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The garage cannot be read or written.
    #[error(transparent)]
    Garage(#[from] GarageError),
}

impl SyncError {
    /// The kind of this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            SyncError::Garage(error) => error.code(),
            SyncError::SignedOut | SyncError::Remote(RemoteError::SignedOut) => ErrorCode::SignedOut,
            SyncError::Busy | SyncError::Overtaken => ErrorCode::GarageLocked,
            SyncError::Attention(_) => ErrorCode::NeedsDecision,
            SyncError::Remote(RemoteError::OtherAccount) => ErrorCode::OtherAccount,
            SyncError::Remote(RemoteError::Offline(_) | RemoteError::Unavailable { .. }) => ErrorCode::ServerAway,
            SyncError::Remote(RemoteError::MissingRecords(_)) => ErrorCode::NeedsDecision,
            SyncError::Remote(_) => ErrorCode::SignInRefused,
        }
    }
}

fn attention_message(attention: &Attention) -> &'static str {
    match attention {
        Attention::OtherDatabase { .. } => {
            "The server's database is not the one that this garage was synced with; nothing is sent until you decide"
        }
        Attention::Restored => {
            "This garage was restored from a backup; nothing is exchanged until you decide which of both stands"
        }
        Attention::Removals { .. } => {
            "More than half of the records are missing on the server; none is removed here until you confirm it"
        }
        Attention::Differs => "This garage and the server differ, although everything was read again",
    }
}
