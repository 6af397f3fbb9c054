//! Applies a response, in one transaction: results, then the page, then the cursor.

use garage_domain::{Collection, RecordId, conflict::REMOVAL, merge::Author, rules::Rule};
use garage_protocol::sync::{
    Change, Operation, OperationKind, OperationResult, OperationStatus, Rejection, SyncRequest, SyncResponse,
};
use rusqlite::{Connection, Result};

use super::{
    digest, invariants,
    outbox::{self, Copies},
    plan::{Action, plan},
    reread::{become_another_device, enter_epoch, is_successor},
    waiting,
};
use crate::store::{
    journal::Journal,
    scope::Scope,
    sync::{self, Attention, Key, Progress, StoredBase, StoredRefusal, WHOLE_RECORD},
};

/// What became of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applied {
    /// The whole response was applied.
    Whole {
        /// The server has nothing more, and there is nothing to send.
        is_done: bool,
        /// How many records wait: edited meanwhile, or not to be sent now.
        waiting: u64,
    },
    /// Everything is read again: another epoch, another device id, or a difference that was found.
    ReadAgain(Reason),
    /// The response does not belong to the state of this garage, which another program has changed.
    Ignored,
    /// Sync has stopped until a person decides.
    Stopped(Attention),
}

/// Why everything is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Epoch,
    Copied,
    Differs,
}

/// Applies a response.
pub(super) fn apply(
    journal: &mut Journal<'_>,
    request: &SyncRequest,
    response: &SyncResponse,
    reread: i64,
    scope: &Scope,
) -> Result<Applied> {
    let connection = journal.reader();
    let Some(mut progress) = sync::progress(connection)? else { return Ok(Applied::Ignored) };
    if progress.scope != *scope || !belongs(connection, &progress, request, response, reread)? {
        return Ok(Applied::Ignored);
    }
    if response.reset {
        return begin_epoch(journal, &mut progress, response);
    }
    if response.copied || response.late {
        become_another_device(journal)?;
        return Ok(Applied::ReadAgain(Reason::Copied));
    }
    // A server that does not take everything lists all that it has, so that each of its pages is a re-read.
    let is_rereading = progress.is_rereading || !scope.is_everything();
    let parts = if Rule::ResultsBeforeChanges.holds() {
        [Part::Results, Part::Changes]
    } else {
        [Part::Changes, Part::Results]
    };
    for part in parts {
        match part {
            Part::Results => {
                for (operation, result) in request.operations.iter().zip(&response.results) {
                    apply_result(journal, operation, result, progress.reread, !scope.is_everything())?;
                }
            }
            Part::Changes => {
                for change in &response.changes {
                    apply_change(journal, change, progress.reread, is_rereading)?;
                }
            }
        }
    }
    progress.cursor.clone_from(&response.cursor);
    if !scope.is_everything() {
        return end_listing(journal, progress, request, response);
    }
    progress.epoch = Some(response.epoch.clone());
    if !response.more && progress.is_rereading {
        end_reread(journal, progress.reread)?;
        progress.is_rereading = false;
    }
    let is_idle = request.operations.is_empty() && response.changes.is_empty() && !response.more;
    if !response.more && is_different(connection, &mut progress, request, response, is_idle)? {
        progress.mismatches += 1;
        if progress.mismatches > 1 {
            // Reading everything again has not helped.
            progress.attention = Some(Attention::Differs);
            sync::put_progress(connection, &progress)?;
            return Ok(Applied::Stopped(Attention::Differs));
        }
        progress.read_again();
        sync::put_progress(connection, &progress)?;
        return Ok(Applied::ReadAgain(Reason::Differs));
    }
    let waiting = waiting::count(connection, scope)?.waiting;
    let is_all_sent = waiting == 0;
    if !response.more && is_all_sent {
        progress.synced_at = Some(journal.now());
    }
    if is_idle {
        progress.mismatches = 0;
        progress.attention = None;
    }
    // What waits after an exchange of nothing cannot be sent now. What has just been received may have made it wait.
    let is_done = !response.more && (is_all_sent || is_idle);
    if is_done {
        for problem in invariants::dangling(connection)? {
            tracing::error!(problem, "the tables of sync are not as they should be");
        }
    }
    sync::put_progress(connection, &progress)?;
    Ok(Applied::Whole { is_done, waiting })
}

/// Ends the application of a response of a server that does not take everything. It has no digest and no audit.
fn end_listing(
    journal: &Journal<'_>,
    mut progress: Progress,
    request: &SyncRequest,
    response: &SyncResponse,
) -> Result<Applied> {
    let connection = journal.reader();
    let waiting = waiting::count(connection, &progress.scope)?.waiting;
    let is_all_sent = waiting == 0;
    if !response.more {
        progress.is_rereading = false;
        if let Some(Attention::Removals { .. }) = progress.attention {
            progress.attention = None;
        }
        if is_all_sent {
            progress.synced_at = Some(journal.now());
        }
    }
    // What waits after a request that has sent nothing and has brought nothing cannot be sent now.
    let is_quiet = request.operations.is_empty() && response.changes.is_empty();
    sync::put_progress(connection, &progress)?;
    Ok(Applied::Whole { is_done: !response.more && (is_all_sent || is_quiet), waiting })
}

/// A part of a response.
enum Part {
    Results,
    Changes,
}

/// Whether the response answers what this garage would ask now.
fn belongs(
    connection: &Connection,
    progress: &Progress,
    request: &SyncRequest,
    response: &SyncResponse,
    reread: i64,
) -> Result<bool> {
    if !Rule::ResponsesBelong.holds() {
        return Ok(true);
    }
    let is_state = (&progress.epoch, &progress.cursor, progress.reread) == (&request.epoch, &request.cursor, reread);
    let sent = sync::sent(connection)?;
    let is_batch = sent == request.operations;
    let is_answered = response.reset
        || response.late
        || response.copied
        || response.results.len() == request.operations.len()
            && request.operations.iter().zip(&response.results).all(|(sent, result)| sent.op_id == result.op_id);
    Ok(is_state && is_batch && is_answered)
}

/// Enters another epoch, unless it is of another database.
fn begin_epoch(journal: &Journal<'_>, progress: &mut Progress, response: &SyncResponse) -> Result<Applied> {
    let SyncResponse { epoch, lineage, .. } = response;
    if !progress.epoch.as_ref().is_none_or(|ours| is_successor(ours, epoch, lineage)) {
        let attention = Attention::OtherDatabase { epoch: epoch.clone(), lineage: lineage.clone() };
        progress.attention = Some(attention.clone());
        sync::put_progress(journal.reader(), progress)?;
        return Ok(Applied::Stopped(attention));
    }
    enter_epoch(journal, progress, epoch, lineage)?;
    Ok(Applied::ReadAgain(Reason::Epoch))
}

fn apply_result(
    journal: &mut Journal<'_>,
    operation: &Operation,
    result: &OperationResult,
    reread: i64,
    is_listing: bool,
) -> Result<()> {
    let connection = journal.reader();
    let key = Key::of(operation);
    if result.status == OperationStatus::Stale && !Rule::StaleOperationsGetNewIds.holds() {
        return Ok(());
    }
    sync::thaw(connection, &key)?;
    match (result.status, result.version, &result.current) {
        (OperationStatus::Applied | OperationStatus::Duplicate, Some(version), _) => {
            let base = sync::base(connection, &key)?;
            if base.as_ref().is_none_or(|base| base.is_forgotten || base.version <= version) {
                let after = StoredBase::after(base, operation, version, reread);
                return outbox::mark_with_base(connection, &key, after);
            }
            outbox::mark(connection, &key)
        }
        (OperationStatus::Stale, _, Some(current)) => {
            apply_change(journal, current, reread, is_listing)?;
            outbox::mark(connection, &key)
        }
        (OperationStatus::Stale, _, None) => {
            // The server has lost it.
            sync::delete_base(connection, &key)?;
            sync::mark_may_exist(connection, &key)?;
            outbox::mark(connection, &key)
        }
        (OperationStatus::Exists, _, Some(current)) if current.record_id != key.id => {
            apply_change(journal, current, reread, is_listing)?;
            if let Some(collection) = Collection::by_name(&key.collection) {
                journal.moved(collection, key.id, current.record_id)?;
            }
            outbox::mark(connection, &Key::new(&key.collection, current.record_id))
        }
        (OperationStatus::Rejected, ..) => {
            let unnamed = Rejection::new("The server has refused this record".to_owned());
            refuse(journal, operation, result.error.as_ref().unwrap_or(&unnamed))
        }
        // An answer that no correct server gives: the operation is sent again.
        _ => sync::mark_waiting(connection, &key.collection, key.id),
    }
}

/// Notes what the server has refused: the fields that it names, as long as the record has those values; else the record.
pub(super) fn refuse(journal: &Journal<'_>, operation: &Operation, rejection: &Rejection) -> Result<()> {
    let connection = journal.reader();
    let key = Key::of(operation);
    sync::thaw(connection, &key)?;
    let mut has_field = false;
    for detail in &rejection.details {
        let value = match (detail.field.as_str(), operation.kind) {
            (REMOVAL, kind) => Some(if kind == OperationKind::Delete { "true" } else { "false" }.to_owned()),
            (name, _) => operation.fields.get(name).map(|json| json.text().to_owned()),
        };
        let Some(value) = value else { continue };
        let (field, reason) = (detail.field.clone(), detail.message.clone());
        sync::put_refusal(connection, &StoredRefusal { key: key.clone(), field, value, reason })?;
        has_field = true;
    }
    if !has_field {
        let (field, reason) = (WHOLE_RECORD.to_owned(), rejection.message.clone());
        sync::put_refusal(connection, &StoredRefusal { key: key.clone(), field, value: String::new(), reason })?;
    }
    forget_settled_refusals(connection, &key)?;
    outbox::mark(connection, &key)
}

/// Deletes refusals of values that the record does not have any more.
fn forget_settled_refusals(connection: &Connection, key: &Key) -> Result<()> {
    let refusals = sync::refusals(connection, key)?;
    if refusals.is_empty() {
        return Ok(());
    }
    let Some(local) = sync::replica(connection, key)? else { return Ok(()) };
    let fields = local.fields();
    for refusal in refusals {
        let stands = match refusal.field.as_str() {
            WHOLE_RECORD => true,
            REMOVAL => refusal.value == local.record.is_removed().to_string(),
            name => fields.get(name).map_or("null", |json| json.text()) == refusal.value,
        };
        if !stands {
            sync::delete_refusal(connection, key, &refusal.field)?;
        }
    }
    Ok(())
}

/// Applies a state of a record on the server.
fn apply_change(journal: &mut Journal<'_>, change: &Change, reread: i64, is_rereading: bool) -> Result<()> {
    let connection = journal.reader();
    let key = Key::new(&change.collection, change.record_id);
    let base_version = sync::base_version(connection, &key)?;
    if let Some((version, false)) = base_version
        && (change.version < version || change.version == version && !is_rereading)
    {
        return if is_rereading { sync::note_listed(connection, &key, reread) } else { Ok(()) };
    }
    if let Some(record) = change.alias_of {
        return apply_alias(journal, change, record, reread);
    }
    if change.fields.is_some() {
        // The server knows it as a record of its own. One that was restored may have lost that it was an alias.
        sync::delete_alias(connection, &key)?;
    }
    let Copies { local, stored_base, base, .. } = Copies::read(connection, &key)?;
    let stored = StoredBase::of_change(change, stored_base.as_ref(), reread);
    let theirs = Author {
        op_id: journal.new_id().0,
        at: change.updated_at.or(change.deleted_at).unwrap_or_default(),
        device_id: change.device_id.map(|id| id.to_string()).unwrap_or_default(),
    };
    let device_id = theirs.device_id.clone();
    let incoming = stored.incoming(sync::base_replica(connection, &key, &stored)?, theirs);
    let ours = journal.author(local.as_ref());
    match plan(local.as_ref(), base.as_ref(), &incoming, &ours, is_rereading) {
        Action::Skip => return Ok(()),
        Action::Keep => sync::put_base(connection, &key, &stored)?,
        Action::Store(replica) => {
            sync::put_base(connection, &key, &stored)?;
            journal.received(&key.collection, local.as_ref(), replica, &device_id)?;
            forget_settled_refusals(connection, &key)?;
        }
    }
    // Without a mark nothing was changed here, and the record is as the server's.
    if local.is_some() { outbox::mark(connection, &key) } else { Ok(()) }
}

/// Notes that an id is an alias of another record. A record that this device has under it is joined to that one.
fn apply_alias(journal: &mut Journal<'_>, change: &Change, record: RecordId, reread: i64) -> Result<()> {
    let connection = journal.reader();
    let key = Key::new(&change.collection, change.record_id);
    let base = StoredBase { is_row_gone: true, ..StoredBase::of_change(change, None, reread) };
    if sync::replica(connection, &key)?.is_none() {
        journal.learned_alias(&key, record)?;
    } else if let (Some(collection), true) = (
        Collection::by_name(&key.collection),
        sync::replica(connection, &Key::new(&change.collection, record))?.is_some(),
    ) {
        journal.moved(collection, key.id, record)?;
        outbox::mark(connection, &Key::new(&change.collection, record))?;
    } else {
        // The other record comes later; an operation on this one is then answered with it.
        sync::mark_may_exist(connection, &key)?;
        return sync::delete_base(connection, &key);
    }
    sync::put_base(connection, &key, &base)
}

/// Ends a full re-read: what the server has not listed, it has lost, so it is sent again.
fn end_reread(journal: &Journal<'_>, reread: i64) -> Result<()> {
    let connection = journal.reader();
    for key in sync::unlisted(connection, reread)?.into_iter().filter(|_| Rule::UnlistedRecordsAreSentAgain.holds()) {
        sync::delete_base(connection, &key)?;
        if sync::replica(connection, &key)?.is_some() && !sync::is_sent(connection, &key)? {
            sync::mark_may_exist(connection, &key)?;
            outbox::mark(connection, &key)?;
        }
    }
    Ok(())
}

/// Compares digest and audit. Moves the audit on.
fn is_different(
    connection: &Connection,
    progress: &mut Progress,
    request: &SyncRequest,
    response: &SyncResponse,
    is_idle: bool,
) -> Result<bool> {
    if !digest::are_equal(&digest::digests(connection)?, &response.digest) {
        return Ok(true);
    }
    // Both sides have hashed the same moment only if nothing has changed.
    let (Some(asked), Some(audit), true) = (&request.audit, &response.audit, is_idle) else { return Ok(false) };
    if audit.collection != asked.collection {
        return Ok(false);
    }
    let is_different = audit.hash != asked.hash;
    if audit.next.is_some() && !is_different {
        (progress.audit_collection, progress.audit_after) = (Some(audit.collection.clone()), audit.next);
        return Ok(false);
    }
    let collections = outbox::collections(connection)?;
    let next = collections.iter().find(|name| **name > audit.collection).or(collections.first());
    (progress.audit_collection, progress.audit_after) = (next.cloned(), None);
    Ok(is_different)
}
