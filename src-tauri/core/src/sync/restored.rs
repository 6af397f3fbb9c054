//! A garage that was restored from a backup: what differs from the server, and which of both stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use garage_domain::{FieldValue, RecordId, conflict::REMOVAL, replica::Replica};
use garage_protocol::sync::{Change, MAX_RECORDS, SyncRequest};
use rusqlite::{Connection, Result};
use serde::Serialize;
use uuid::Uuid;

use super::{Exchange, Remote, Scope, SyncError, outbox, wire};
use crate::{
    Garage, GarageError,
    store::{
        account::{self, AccountRow},
        device_id,
        sync::{self, Attention, Key, Progress, StoredBase},
    },
};

/// Which state stands where a restored garage and the server differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// The server's: the garage becomes as the server has it. What only the garage has is sent.
    Server,
    /// The backup's: its values are sent as new edits. What only the server has is read.
    Backup,
}

/// A field that differs between the garage and the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The record's collection.
    pub collection: String,
    /// The record.
    pub record_id: RecordId,
    /// The field; `deletedAt` if it is whether the record is removed.
    pub field: String,
    /// The garage's value, and then the other values of an open conflict; null if the field is empty.
    pub here: Vec<Option<FieldValue>>,
    /// The server's value, and then the other values of an open conflict; null if the field is empty.
    pub on_server: Vec<Option<FieldValue>>,
}

/// What differs between the garage and the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The fields of records that both have.
    pub differences: Vec<Difference>,
    /// How many records only the garage has. Removed ones do not count.
    pub only_here: usize,
    /// How many records only the server has. Removed ones do not count.
    pub only_on_server: usize,
    /// The server's last version that was compared.
    #[serde(skip)]
    seen: i64,
}

impl Garage {
    /// Compares the garage with the server. Changes nothing on either side.
    ///
    /// # Errors
    /// [`SyncError::SignedOut`] before the first sign-in; [`SyncError::Remote`]; [`SyncError::Garage`].
    pub async fn compare(&self, remote: &impl Remote) -> Result<Comparison, SyncError> {
        let (scope, begun_at) = (remote.scope().await?, self.environment.now());
        let first = self.database.read(move |transaction| {
            let device_id = device_id(transaction)?.parse::<Uuid>().unwrap_or_default();
            let progress = sync::progress(transaction)?;
            Ok::<_, GarageError>(progress.map(|progress| Exchange {
                reread: progress.reread,
                request: first_request(progress, device_id),
                scope,
                bases: HashMap::new(),
                accepted_removals: 0,
                begun_at,
            }))
        });
        let mut exchange = first.await?.ok_or(SyncError::SignedOut)?;
        let mut changes: BTreeMap<Key, Change> = BTreeMap::new();
        loop {
            let response = remote.exchange(&exchange).await?;
            let request = &mut exchange.request;
            (request.epoch, request.cursor) = (Some(response.epoch), response.cursor);
            if response.reset {
                request.cursor = None;
                changes.clear();
                continue;
            }
            let page = response.changes.into_iter();
            changes.extend(page.map(|change| (Key::new(&change.collection, change.record_id), change)));
            if !response.more {
                break;
            }
        }
        let scope = exchange.scope;
        let compared = self.database.read(move |transaction| {
            let mut comparison = compare(transaction, &changes, &scope)?;
            // What the server does not take is not different there.
            comparison.differences.retain(|it| it.field == REMOVAL || scope.has_field(&it.collection, &it.field));
            Ok::<_, GarageError>(comparison)
        });
        Ok(compared.await?)
    }

    /// Decides which state stands after a backup was restored; the next pass carries it out. What the server has got since
    /// the comparison is merged. Does nothing unless [`Attention::Restored`] asks for it.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn choose_after_restore(&self, stands: Stands, comparison: &Comparison) -> Result<(), GarageError> {
        let seen = comparison.seen;
        self.write(self.stamp(), move |journal| Ok(choose(journal.reader(), stands, seen)?)).await
    }
}

fn first_request(progress: Progress, device_id: Uuid) -> SyncRequest {
    SyncRequest {
        account: Some(progress.account),
        device_id,
        batch: None,
        epoch: progress.epoch,
        cursor: None,
        limit: MAX_RECORDS,
        audit: None,
        operations: Vec::new(),
    }
}

fn compare(connection: &Connection, changes: &BTreeMap<Key, Change>, scope: &Scope) -> Result<Comparison> {
    let seen = changes.values().map(|change| change.version).max().unwrap_or_default();
    let mut comparison = Comparison { differences: Vec::new(), only_here: 0, only_on_server: 0, seen };
    let keys = sync::keys_of_all(connection)?;
    let is_missing = |key: &&Key| scope.has_collection(&key.collection) && !changes.contains_key(*key);
    for key in keys.iter().filter(is_missing) {
        let replica = sync::replica(connection, key)?;
        comparison.only_here += usize::from(replica.is_some_and(|replica| !replica.record.is_removed()));
    }
    // A record that is an alias is compared as the one that it is an alias of.
    for (key, change) in changes.iter().filter(|(_, change)| change.alias_of.is_none()) {
        let Some(local) = sync::replica(connection, key)? else {
            comparison.only_on_server += usize::from(change.deleted_at.is_none());
            continue;
        };
        let stored = StoredBase::of_change(change, None, 0);
        let on_server = sync::base_replica(connection, key, &stored)?;
        comparison.differences.extend(differences(key, &local, &on_server, change.fields.is_none()));
    }
    Ok(comparison)
}

/// `is_gone`: the server has only the removal, not the values.
fn differences(key: &Key, local: &Replica, on_server: &Replica, is_gone: bool) -> Vec<Difference> {
    let mut fields = BTreeSet::from([REMOVAL]);
    if !is_gone {
        for replica in [local, on_server] {
            fields.extend(replica.record.names());
            fields.extend(replica.conflicts.keys().map(String::as_str));
        }
    }
    let difference = |field: &str| {
        let (here, on_server) = (values(local, field), values(on_server, field));
        let is_different = here.first() != on_server.first() || !is_gone && !have_equal_content(&here, &on_server);
        is_different.then(|| {
            let (collection, field) = (key.collection.clone(), field.to_owned());
            Difference { collection, record_id: key.id, field, here, on_server }
        })
    };
    fields.into_iter().filter_map(difference).collect()
}

/// The value of a field, and then those that an open conflict offers.
fn values(replica: &Replica, field: &str) -> Vec<Option<FieldValue>> {
    let value = match field {
        REMOVAL => Some(FieldValue::Boolean(replica.record.is_removed())),
        name => replica.record.value(name),
    };
    let others = replica.conflicts.get(field).into_iter().flat_map(|conflict| &conflict.alternatives);
    [value].into_iter().chain(others.map(|other| other.value.clone().and_then(FieldValue::of_json))).collect()
}

fn have_equal_content(some: &[Option<FieldValue>], others: &[Option<FieldValue>]) -> bool {
    some.iter().all(|value| others.contains(value)) && others.iter().all(|value| some.contains(value))
}

/// Sets every base to what is here. For [`Stands::Server`] it is older than everything that comes, so that nothing counts as
/// changed here. For [`Stands::Backup`] it is a state that the server has lost, after all that was compared, so that it is
/// sent again.
fn choose(connection: &Connection, stands: Stands, seen: i64) -> Result<()> {
    let Some(mut progress) = sync::progress(connection)? else { return Ok(()) };
    if progress.attention != Some(Attention::Restored) {
        return Ok(());
    }
    let is_forgotten = stands == Stands::Backup;
    let version = if is_forgotten { seen + 1 } else { 0 };
    for key in sync::keys_of_all(connection)? {
        let Some(local) = sync::replica(connection, &key)? else { continue };
        let base = StoredBase {
            version,
            origins: wire::origins(&local),
            fields: local.fields(),
            created_at: local.record.created_at,
            updated_at: local.record.updated_at,
            deleted_at: local.record.deleted_at,
            is_row_gone: false,
            is_forgotten,
            reread: progress.reread - 1,
        };
        sync::put_base(connection, &key, &base)?;
        outbox::mark(connection, &key)?;
    }
    progress.attention = None;
    sync::put_progress(connection, &progress)
}

/// What a restored garage keeps of the one that it replaces.
pub(crate) struct Kept {
    account: Option<AccountRow>,
    reread: i64,
    aliases: Vec<(Key, RecordId)>,
}

impl Kept {
    pub(crate) fn of(connection: &Connection) -> Result<Kept> {
        let reread = sync::progress(connection)?.map_or(0, |progress| progress.reread);
        Ok(Kept { account: account::get(connection)?, reread, aliases: sync::aliases(connection)? })
    }

    /// Prepares the copy of a backup: it is another device of the account of the garage that it replaces, and before its
    /// first pass a person decides. Returns the backup's account if it is another one.
    pub(crate) fn prepare(self, connection: &Connection, device_id: Uuid) -> Result<Option<AccountRow>> {
        sync::put_device_id(connection, &device_id.to_string())?;
        if let Some(account) = &self.account
            && !account::set(connection, account)?
        {
            return account::get(connection);
        }
        let Some(mut progress) = sync::progress(connection)? else { return Ok(None) };
        outbox::dissolve(connection)?;
        for (alias, record) in &self.aliases {
            // A record that the backup still has under it is joined when the server says that it is an alias.
            if sync::replica(connection, alias)?.is_none() {
                sync::put_alias(connection, alias, *record)?;
            }
        }
        progress.reread = progress.reread.max(self.reread);
        progress.begin_anew();
        progress.attention = Some(Attention::Restored);
        sync::put_progress(connection, &progress)?;
        Ok(None)
    }
}
