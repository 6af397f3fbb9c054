//! A request, and what it was made for.

use std::collections::HashMap;

use garage_protocol::sync::SyncRequest;
use jiff::Timestamp;

use crate::store::{
    scope::Scope,
    sync::{Key, StoredBase},
};

/// A request, and what it was made for.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub(super) request: SyncRequest,
    /// The generation of the full re-read that it was made in.
    pub(super) reread: i64,
    /// What the server takes.
    pub(super) scope: Scope,
    /// What the server has as far as this device knows. Empty if the server takes everything, because it knows that itself.
    pub(super) bases: HashMap<Key, StoredBase>,
    /// How many records may be missing in the server's list because a person has confirmed that.
    pub(super) accepted_removals: u64,
    /// When it was made.
    pub(super) begun_at: Timestamp,
}

impl Exchange {
    /// The request to send.
    #[must_use]
    pub fn request(&self) -> &SyncRequest {
        &self.request
    }

    /// What the server takes.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}
