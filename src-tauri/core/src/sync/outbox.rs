//! What is sent: freezes a batch of operations, before the first byte leaves.

use std::collections::{BTreeSet, HashMap};

use garage_domain::rules::Rule;
use garage_domain::{Collection, Extra, FieldAccess, FieldValue, Json, replica::Replica};
use garage_protocol::sync::{MAX_BYTES, MAX_RECORDS, Operation, OperationKind};
use rusqlite::{Connection, Result};

use super::{
    plan::{Base, Draft, Refused, draft},
    restrict::restrict,
    wire,
};
use crate::store::{
    journal::Journal,
    scope::Scope,
    sync::{self, FreedValue, Key, StoredBase, WHOLE_RECORD},
};

/// What a request has besides operations, about, in bytes.
const ENVELOPE_BYTES: usize = 8 << 10;
/// How many marks are read at a time.
const MARKS_AT_A_TIME: usize = 500;

/// A record that waits, with what there is to send of it.
struct Candidate {
    key: Key,
    local: Replica,
    base: Option<Base>,
    draft: Draft,
}

/// The three copies of a record that decide what is sent.
pub(super) struct Copies {
    pub local: Option<Replica>,
    pub stored_base: Option<StoredBase>,
    pub base: Option<Base>,
    pub refused: Refused,
}

impl Copies {
    pub fn read(connection: &Connection, key: &Key) -> Result<Copies> {
        Copies::read_with(connection, key, sync::base(connection, key)?)
    }

    fn read_with(connection: &Connection, key: &Key, stored_base: Option<StoredBase>) -> Result<Copies> {
        let base = match &stored_base {
            Some(stored) => Some(stored.for_plan(sync::base_replica(connection, key, stored)?)),
            None => None,
        };
        let mut refused = Refused::default();
        for refusal in sync::refusals(connection, key)? {
            if refusal.field == WHOLE_RECORD {
                refused.is_whole = true;
            } else {
                refused.values.insert(refusal.field, refusal.value);
            }
        }
        Ok(Copies { local: sync::replica(connection, key)?, stored_base, base, refused })
    }

    pub fn draft(&self, may_exist: bool) -> Option<Draft> {
        draft(self.local.as_ref()?, self.base.as_ref(), may_exist, &self.refused)
    }

    /// The draft of a record that waits. References that the server has by another id are sent, too: the record waits because
    /// this device has joined the records that they refer to.
    fn waiting_draft(&self, may_exist: bool) -> Option<Draft> {
        let draft = self.draft(may_exist);
        let (Some(local), Some(stored)) = (&self.local, &self.stored_base) else { return draft };
        if stored.is_row_gone || self.refused.is_whole {
            return draft;
        }
        let mut references = Extra::new();
        for (field, _) in local.record.collection.references() {
            let value = local.record.get(field).map(|value| value.to_json());
            if let Some(value) = value.filter(|value| stored.fields.get(field.name) != Some(value)) {
                references.insert(field.name.to_owned(), value);
            }
        }
        if references.is_empty() {
            return draft;
        }
        let none = Draft { kind: OperationKind::Update, fields: Extra::new(), origins: Default::default() };
        let mut draft = draft.unwrap_or(none);
        draft.fields.extend(references);
        Some(draft)
    }
}

/// Marks a record as waiting if there is something to send of it, else removes its mark.
pub(super) fn mark(connection: &Connection, key: &Key) -> Result<()> {
    mark_with(connection, key, sync::base(connection, key)?)
}

/// Stores a base, and marks its record.
pub(super) fn mark_with_base(connection: &Connection, key: &Key, base: StoredBase) -> Result<()> {
    sync::put_base(connection, key, &base)?;
    mark_with(connection, key, Some(base))
}

fn mark_with(connection: &Connection, key: &Key, base: Option<StoredBase>) -> Result<()> {
    let may_exist = sync::waits(connection, key)?.unwrap_or(false);
    match Copies::read_with(connection, key, base)?.draft(may_exist) {
        Some(_) => sync::mark_waiting(connection, &key.collection, key.id),
        None => sync::unmark_waiting(connection, key),
    }
}

/// Freezes the next batch of at most `most` operations, unless one is in flight. Returns the batch in flight. What the server
/// does not take keeps its mark.
///
/// An operation that takes a unique value waits until this device has given it up elsewhere: the server would take the
/// record for a duplicate.
pub(super) fn freeze(journal: &mut Journal<'_>, scope: &Scope, most: usize) -> Result<Vec<Operation>> {
    let connection = journal.reader();
    let sent = sync::sent(connection)?;
    if !sent.is_empty() {
        if Rule::FrozenOperations.holds() {
            return Ok(sent);
        }
        dissolve(connection)?;
    }
    let most = most.min(scope.most_operations()).clamp(1, MAX_RECORDS);
    let mut batch = Batch { operations: Vec::new(), bytes: ENVELOPE_BYTES, most };
    let mut freed = Freed::new();
    let mut held: Option<Candidate> = None;
    let mut after = None;
    'all: loop {
        let waiting = sync::waiting_after(connection, after.as_ref(), MARKS_AT_A_TIME)?;
        let Some(last) = waiting.last() else { break };
        after = Some(last.key.clone());
        for mark in waiting.into_iter().filter(|mark| scope.has_collection(&mark.key.collection)) {
            let copies = Copies::read(connection, &mark.key)?;
            let Some(draft) = copies.waiting_draft(mark.may_exist) else {
                sync::unmark_waiting(connection, &mark.key)?;
                continue;
            };
            // The re-read that is under way first says what the server has instead.
            if copies.base.as_ref().is_some_and(|base| base.is_forgotten) {
                continue;
            }
            let draft = restrict(scope, &mark.key.collection, draft, copies.base.as_ref());
            let (Some(draft), Some(local)) = (draft, copies.local) else { continue };
            let candidate = Candidate { key: mark.key, local, base: copies.base, draft };
            if let Some(holder) = holder(connection, &candidate, &mut freed)? {
                if holder.is_waiting && candidate.base.as_ref().is_some_and(is_live) && held.is_none() {
                    held = Some(candidate);
                }
                continue;
            }
            if !batch.push(journal, candidate)? {
                break 'all;
            }
        }
    }
    // Records that wait for each other's values: one gives up its own first.
    if let (true, Some(mut held)) = (batch.operations.is_empty() && Rule::OneGivesUpItsValue.holds(), held) {
        held.draft = giving_up(&held);
        batch.push(journal, held)?;
    }
    Ok(batch.operations)
}

struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
    most: usize,
}

impl Batch {
    /// Freezes an operation. Returns `false` if the batch is full, and had no room for it.
    fn push(&mut self, journal: &Journal<'_>, candidate: Candidate) -> Result<bool> {
        let Candidate { key, local, base, draft } = candidate;
        let version = base.as_ref().map(|base| base.version);
        let operation = wire::operation(draft, &key, journal.new_id().0, version, &local);
        let bytes = serde_json::to_string(&operation).map_or(0, |json| json.len()) + 1;
        let is_full = self.operations.len() >= self.most || self.bytes + bytes > MAX_BYTES;
        if is_full && !self.operations.is_empty() {
            return Ok(false);
        }
        sync::freeze(journal.reader(), &operation)?;
        if operation.kind == OperationKind::Create {
            sync::mark_may_exist(journal.reader(), &key)?;
        }
        self.bytes += bytes;
        self.operations.push(operation);
        Ok(true)
    }
}

fn is_live(base: &Base) -> bool {
    !base.replica.record.is_removed()
}

fn unique_value(replica: &Replica) -> Option<String> {
    match replica.record.get(replica.record.collection.unique?) {
        Some(FieldValue::Text(value)) if !replica.record.is_removed() => Some(value),
        _ => None,
    }
}

/// The unique value that the record has on the server after the operation, if it is live there. A record that was removed
/// after it may have been sent is made again, and removed by the next operation.
fn taken_value(candidate: &Candidate) -> Option<FieldValue> {
    let is_live = match candidate.draft.kind {
        OperationKind::Create | OperationKind::Restore => true,
        OperationKind::Update => candidate.base.as_ref().is_none_or(is_live),
        OperationKind::Delete => false,
    };
    candidate.local.record.get(candidate.local.record.collection.unique?).filter(|_| is_live)
}

/// The values that this device has given up and the server has not, by collection.
type Freed = HashMap<&'static str, HashMap<String, FreedValue>>;

/// The record that has the value on the server that an operation takes, and gives it up on this device.
fn holder<'f>(connection: &Connection, candidate: &Candidate, freed: &'f mut Freed) -> Result<Option<&'f FreedValue>> {
    let taken = taken_value(candidate).filter(|_| Rule::UniqueValuesAreHeld.holds());
    let Some(FieldValue::Text(value)) = taken else { return Ok(None) };
    if candidate.base.as_ref().and_then(|base| unique_value(&base.replica)).as_ref() == Some(&value) {
        return Ok(None);
    }
    let collection = candidate.local.record.collection;
    if !freed.contains_key(collection.name) {
        let values = sync::freed_values(connection, collection)?.into_iter();
        freed.insert(collection.name, values.map(|freed| (freed.value.clone(), freed)).collect());
    }
    let holder = freed.get(collection.name).and_then(|freed| freed.get(&value));
    Ok(holder.filter(|freed| freed.holder != candidate.key.id))
}

/// Clears the unique value first; or removes the record first, if it would break a rule without the value.
fn giving_up(held: &Candidate) -> Draft {
    let (Some(unique), Some(base)) = (held.local.record.collection.unique, &held.base) else {
        return held.draft.clone();
    };
    let mut without = base.replica.record.clone();
    without.set(unique, None);
    let check = held.local.record.collection.check;
    let is_complete = check(&mut without).is_ok();
    let null = Json::from(&serde_json::Value::Null);
    Draft {
        kind: if is_complete { OperationKind::Update } else { OperationKind::Delete },
        fields: if is_complete { Extra::from([(unique.name.to_owned(), null)]) } else { Extra::new() },
        origins: Default::default(),
    }
}

/// Dissolves the batch in flight: what it would have changed waits. A create may have been applied.
pub(super) fn dissolve(connection: &Connection) -> Result<()> {
    for operation in sync::sent(connection)? {
        let key = Key::of(&operation);
        sync::thaw(connection, &key)?;
        sync::mark_waiting(connection, &key.collection, key.id)?;
    }
    Ok(())
}

/// The collections to audit: those with bases, and all that this version knows.
pub(super) fn collections(connection: &Connection) -> Result<Vec<String>> {
    let known = garage_domain::COLLECTIONS.into_iter().map(|collection: &Collection| collection.name.to_owned());
    Ok(sync::collections(connection)?.into_iter().chain(known).collect::<BTreeSet<_>>().into_iter().collect())
}
