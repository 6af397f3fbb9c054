//! Plain REST: exchanges with a server that has no `sync.v1`, by its routes for single records (`docs/sync.md`, "Plain REST").
//!
//! A request becomes calls of these routes, and their responses become one response of `sync.v1`. Outbox, merge and apply are
//! the same for both kinds of servers.
//!
//! - `routes`: the calls, and what their responses mean; `record`: a record in a response
//! - `operations`: sends operations
//! - `listing`: reads what has changed
//!
//! Invariants: a record is only removed here if the server has said in the contract's form that it is not there; a request
//! that is sent again has no second effect; a response in another form ends the pass without a change.

mod listing;
mod operations;
mod record;
mod routes;

use std::collections::BTreeMap;

use garage_protocol::sync::{Change, OperationResult, SyncResponse};

use super::{Exchange, RemoteError};
use crate::Session;

/// Sends the operations of a request, or else reads what has changed.
pub(super) async fn exchange(session: &Session, exchange: &Exchange) -> Result<SyncResponse, RemoteError> {
    let request = exchange.request();
    if !request.operations.is_empty() {
        let (results, changes) = operations::send(session, exchange).await?;
        // What others have changed is read when everything was sent.
        return Ok(response(exchange, results, changes, request.cursor.clone(), true));
    }
    let (changes, cursor) = listing::read(session, exchange).await?;
    Ok(response(exchange, Vec::new(), changes, cursor, false))
}

fn response(
    exchange: &Exchange,
    results: Vec<OperationResult>,
    changes: Vec<Change>,
    cursor: Option<String>,
    more: bool,
) -> SyncResponse {
    let request = exchange.request();
    SyncResponse {
        account: request.account.clone().unwrap_or_default(),
        epoch: request.epoch.clone().unwrap_or_default(),
        reset: false,
        lineage: Vec::new(),
        late: false,
        copied: false,
        results,
        changes,
        cursor,
        more,
        digest: BTreeMap::new(),
        audit: None,
    }
}
