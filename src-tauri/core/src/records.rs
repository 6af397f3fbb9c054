//! Operations on a record of any collection: store, remove, restore, undo.

use garage_domain::{
    ChangeId, ChangeKind, Collection, FieldChange, FieldValue, HistoryEntry, Origin, Patch, Record, RecordId,
    SERVICE_ENTRIES, VEHICLES,
    conflict::{CONFLICTS, Conflicts},
};

use crate::{
    Garage, GarageError, odometer,
    store::{
        history,
        journal::Journal,
        records,
        sync::{self, Key},
    },
};

/// Returns the record unless it is removed.
///
/// # Errors
/// [`GarageError::NotFound`].
pub(crate) fn live(
    journal: &Journal<'_>,
    collection: &'static Collection,
    id: RecordId,
) -> Result<Record, GarageError> {
    let record = journal.record(collection, id)?.filter(|record| !record.is_removed());
    record.ok_or(GarageError::NotFound(collection.noun))
}

/// Sets fields of a record.
///
/// # Errors
/// [`GarageError::Invalid`] if the result does not pass its collection's check. If the record did not pass it before
/// either, because another version wrote it, the edit is allowed.
pub(crate) fn patched(before: &Record, patch: &Patch) -> Result<Record, GarageError> {
    let mut after = before.clone();
    patch.set_on(&mut after);
    checked(Some(before), after)
}

/// Runs the collection's check on a record.
///
/// # Errors
/// Same as [`patched`].
pub(crate) fn checked(before: Option<&Record>, mut after: Record) -> Result<Record, GarageError> {
    let check = after.collection.check;
    match check(&mut after) {
        Err(_) if before.is_some_and(|before| check(&mut before.clone()).is_err()) => Ok(after),
        Err(invalid) => Err(invalid.into()),
        Ok(()) => Ok(after),
    }
}

/// Stores a change of a record. A change of a service entry also updates its vehicle's odometer reading; a change of a
/// vehicle's unit makes its reading a typed one.
///
/// # Errors
/// [`GarageError::DuplicateVin`] if another live record has the same unique value.
pub(crate) fn store(
    journal: &mut Journal<'_>,
    before: Option<&Record>,
    mut after: Record,
    kind: ChangeKind,
    undoes: Option<ChangeId>,
) -> Result<Record, GarageError> {
    refuse_twin(journal, before, &after)?;
    if let Some(before) = before.filter(|_| after.collection == &VEHICLES) {
        odometer::keep_as_typed(before, &mut after);
    }
    let stored = journal.local(before, after, kind, undoes)?;
    if stored.collection == &SERVICE_ENTRIES {
        odometer::follow(journal, before, &stored)?;
    }
    Ok(stored)
}

/// Refuses a second live record with the same unique value. The table has no such constraint: sync accepts every
/// record, so two may share a value until they are merged, and each can be edited meanwhile.
pub(crate) fn refuse_twin(journal: &Journal<'_>, before: Option<&Record>, after: &Record) -> Result<(), GarageError> {
    let value = |record: &Record| record.collection.unique.and_then(|field| record.value(field.name));
    let is_new = before.is_none_or(|before| before.is_removed() || value(before) != value(after));
    if after.is_removed() || !is_new {
        return Ok(());
    }
    match records::twin(journal.reader(), after.collection, after)? {
        Some(_) => Err(GarageError::DuplicateVin),
        None => Ok(()),
    }
}

/// Marks a record as removed. Its data is kept, so that it can be restored.
///
/// # Errors
/// [`GarageError::NotFound`] if there is no such record or it is already removed.
pub(crate) fn remove(
    journal: &mut Journal<'_>,
    collection: &'static Collection,
    id: RecordId,
) -> Result<Record, GarageError> {
    let before = live(journal, collection, id)?;
    let mut after = before.clone();
    after.deleted_at = Some(journal.now());
    store(journal, Some(&before), after, ChangeKind::Removed, None)
}

/// Restores a removed record. Does nothing to a record that is not removed.
///
/// # Errors
/// [`GarageError::NotFound`] if there was never such a record; [`GarageError::DuplicateVin`].
pub(crate) fn restore(
    journal: &mut Journal<'_>,
    collection: &'static Collection,
    id: RecordId,
) -> Result<Record, GarageError> {
    let before = journal.record(collection, id)?.ok_or(GarageError::NotFound(collection.noun))?;
    let mut after = before.clone();
    after.deleted_at = None;
    store(journal, Some(&before), after, ChangeKind::Restored, None)
}

/// Undoes a change by a new change. Fields get their old values and origins; an added record is removed, a removed one
/// restored. This is possible only while nothing newer depends on the change: each field still has the value that the
/// change set, and the record was not removed or restored since. An addition can be undone only if the record has no
/// later change.
///
/// # Errors
/// [`GarageError::NoSuchChange`], [`GarageError::ChangedSince`], [`GarageError::ChangedSinceAdded`],
/// [`GarageError::Removed`], [`GarageError::CannotUndo`]; [`GarageError::Invalid`] and [`GarageError::DuplicateVin`] as for any write.
pub(crate) fn undo(
    journal: &mut Journal<'_>,
    collection: &'static Collection,
    id: ChangeId,
) -> Result<Record, GarageError> {
    let change = history::by_id(journal.reader(), id)?.filter(|change| change.collection == collection.name);
    let change = change.ok_or(GarageError::NoSuchChange)?;
    let before = journal.record(collection, change.record_id)?.ok_or(GarageError::NotFound(collection.noun))?;
    let since: Vec<HistoryEntry> = history::of_record(journal.reader(), before.id)?
        .into_iter()
        .take_while(|entry| entry.id != id)
        .filter(|entry| entry.moved_from.is_none())
        .collect();
    let is_last_word_on_presence = || {
        let says_presence = |kind: &ChangeKind| !matches!(kind, ChangeKind::Edited | ChangeKind::Merged);
        !since.iter().any(|entry| says_presence(&entry.kind))
    };
    let mut after = before.clone();
    let kind = match &change.kind {
        _ if change.moved_from.is_some() => return Err(GarageError::CannotUndo),
        ChangeKind::Merged | ChangeKind::Other(_) => return Err(GarageError::CannotUndo),
        ChangeKind::Added if !since.is_empty() || before.is_removed() => {
            return Err(GarageError::ChangedSinceAdded { noun: collection.noun, is_removed: before.is_removed() });
        }
        ChangeKind::Removed | ChangeKind::Restored if !is_last_word_on_presence() => {
            return Err(GarageError::ChangedSince(None));
        }
        ChangeKind::Restored if before.is_removed() => return Err(GarageError::ChangedSince(None)),
        ChangeKind::Removed if !before.is_removed() => return Err(GarageError::ChangedSince(None)),
        ChangeKind::Edited if before.is_removed() => return Err(GarageError::Removed(collection.noun)),
        ChangeKind::Added | ChangeKind::Restored => {
            after.deleted_at = Some(journal.now());
            ChangeKind::Removed
        }
        ChangeKind::Removed => {
            after.deleted_at = None;
            ChangeKind::Restored
        }
        ChangeKind::Edited => ChangeKind::Edited,
    };
    if change.kind != ChangeKind::Added {
        refuse_if_confirmed_since(&change, &since)?;
        let (conflicts, fields): (Vec<_>, Vec<_>) = change.fields.into_iter().partition(|it| it.field == CONFLICTS);
        take_back(&mut after, &fields)?;
        after = checked(Some(&before), after)?;
        if let [closed] = &conflicts[..] {
            return reopen(journal, &before, after, closed, kind, id);
        }
    }
    store(journal, Some(&before), after, kind, Some(id))
}

/// Stores the undo of a change that closed conflicts: they are open again.
fn reopen(
    journal: &mut Journal<'_>,
    before: &Record,
    after: Record,
    closed: &FieldChange,
    kind: ChangeKind,
    undoes: ChangeId,
) -> Result<Record, GarageError> {
    refuse_twin(journal, Some(before), &after)?;
    let parsed = |value: &Option<FieldValue>| {
        let json = value.as_ref().map(FieldValue::to_json);
        json.and_then(|json| serde_json::from_str::<Conflicts>(json.text()).ok()).unwrap_or_default()
    };
    let (old, new) = (parsed(&closed.old), parsed(&closed.new));
    let mut conflicts = sync::conflicts(journal.reader(), &Key::new(before.collection.name, before.id))?;
    for (field, conflict) in old {
        let is_left = |id| new.get(&field).is_some_and(|it| it.alternatives.iter().any(|other| other.op_id == id));
        for alternative in conflict.alternatives.into_iter().filter(|it| !is_left(it.op_id)) {
            conflicts.entry(field.clone()).or_default().add(alternative);
        }
    }
    Ok(journal.settled(before, after, conflicts, kind, Some(undoes))?)
}

/// A change that kept a value and only replaced its origin cannot be detected by comparing values, so look for later
/// changes of the same field.
fn refuse_if_confirmed_since(change: &HistoryEntry, since: &[HistoryEntry]) -> Result<(), GarageError> {
    let is_confirmed = |name: &str| change.fields.iter().any(|it| it.field == name && it.old == it.new);
    match since.iter().flat_map(|entry| &entry.fields).find(|it| is_confirmed(&it.field)) {
        Some(changed) => Err(GarageError::ChangedSince(Some(changed.field.clone()))),
        None => Ok(()),
    }
}

fn take_back(record: &mut Record, fields: &[FieldChange]) -> Result<(), GarageError> {
    let is_as_left = |it: &&FieldChange| {
        record.value(&it.field) == it.new && (record.origin(&it.field) == it.origin || it.new.is_none())
    };
    if let Some(changed) = fields.iter().find(|it| !is_as_left(it)) {
        return Err(GarageError::ChangedSince(Some(changed.field.clone())));
    }
    for FieldChange { field, old, old_origin, .. } in fields {
        record.set_value(field, old.clone());
        record.set_origin(field, if old.is_some() { old_origin.clone() } else { Origin::Typed });
    }
    Ok(())
}

impl Garage {
    /// Lists all changes of a record, newest first, removed or not.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a record with this id.
    pub(crate) async fn history_of(
        &self,
        collection: &'static Collection,
        id: RecordId,
    ) -> Result<Vec<HistoryEntry>, GarageError> {
        self.database
            .read(move |transaction| {
                let record = records::by_id(transaction, collection, id)?;
                let record = record.ok_or(GarageError::NotFound(collection.noun))?;
                let mut entries = history::of_record(transaction, record.id)?;
                for entry in &mut entries {
                    // Kept for undo; a conflict is shown by itself.
                    entry.fields.retain(|change| change.field != CONFLICTS);
                }
                Ok(entries)
            })
            .await
    }

    /// Returns the record, removed or not.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a record with this id.
    pub(crate) async fn record_or_removed(
        &self,
        collection: &'static Collection,
        id: RecordId,
    ) -> Result<Record, GarageError> {
        let read =
            self.database.read(move |transaction| Ok::<_, GarageError>(records::by_id(transaction, collection, id)?));
        read.await?.ok_or(GarageError::NotFound(collection.noun))
    }

    /// Returns the record unless it is removed.
    ///
    /// # Errors
    /// [`GarageError::NotFound`].
    pub(crate) async fn live_record(
        &self,
        collection: &'static Collection,
        id: RecordId,
    ) -> Result<Record, GarageError> {
        let record = self.record_or_removed(collection, id).await?;
        if record.is_removed() { Err(GarageError::NotFound(collection.noun)) } else { Ok(record) }
    }
}
