//! Counts what waits to be sent, and what stays on this device because the server does not take it.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use super::{outbox::Copies, restrict::restrict};
use crate::store::{scope::Scope, sync};

/// The records with a change that the server has not acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unacknowledged {
    /// How many have something to send.
    pub waiting: u64,
    /// How many have only what the server does not take, by collection.
    pub here_only: BTreeMap<String, u64>,
}

/// Counts the records with a change that the server has not acknowledged.
pub(super) fn count(connection: &Connection, scope: &Scope) -> Result<Unacknowledged> {
    let mut counts = Unacknowledged::default();
    for (collection, count) in sync::count_unacknowledged(connection)? {
        let here_only = if scope.is_everything() {
            0
        } else if scope.has_collection(&collection) {
            count_here_only(connection, &collection, scope)?
        } else {
            count
        };
        counts.waiting += count - here_only;
        if here_only > 0 {
            counts.here_only.insert(collection, here_only);
        }
    }
    Ok(counts)
}

fn count_here_only(connection: &Connection, collection: &str, scope: &Scope) -> Result<u64> {
    let mut count = 0;
    for mark in sync::waiting_of(connection, collection)? {
        if sync::is_sent(connection, &mark.key)? {
            continue;
        }
        let copies = Copies::read(connection, &mark.key)?;
        let draft = copies.draft(mark.may_exist);
        if draft.and_then(|draft| restrict(scope, collection, draft, copies.base.as_ref())).is_none() {
            count += 1;
        }
    }
    Ok(count)
}
