//! The journal: the only code that writes records.
//!
//! A journal exists for one IMMEDIATE transaction and accepts any number of records. Each entry point writes the row,
//! its history and its sync marks together, so that a caller cannot forget one:
//!
//! - [`Journal::local`]: a change made on this device; it waits to be sent.
//! - [`Journal::settled`]: a change made on this device that also says which conflicts the record has then.
//! - [`Journal::received`]: what a record became after a change on the server.
//! - [`Journal::imported`]: a record from a file, with its history; it waits to be sent.
//! - [`Journal::moved`]: a merge of two records.
//! - [`Journal::salvaged`] and [`Journal::rebuilt`]: a row of a damaged file, and a record rebuilt from history.
//!
//! Invariants: one journal has one time; aliases are resolved before anything is written; whether a record is removed
//! is part of the record, never derived from the kind of change; `touched` contains every record that was written.

mod adopt;
mod merge;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use garage_domain::{
    ChangeId, ChangeKind, Collection, FieldChange, FieldValue, HistoryEntry, Origin, Record, RecordId, UNKNOWN,
    conflict::{self, CONFLICTS, Conflicts, REMOVAL},
    differences,
    merge::Author,
    replica::{Replica, conflicts_json},
    rules::Rule,
};
use jiff::Timestamp;
use rusqlite::{Result, Transaction};
use uuid::Uuid;

pub(crate) use self::{
    adopt::adopt_known,
    rows::{copy_rows, rebuild_search, to_json},
};
use super::{
    device_id,
    foreign::ForeignRecord,
    history, records,
    stored_value::StoredValue,
    sync::{self, Key, WHOLE_RECORD},
};

/// The program that history records for changes from the server.
const SYNC: &str = "sync";

/// The time, the id source and the program of a write.
pub(crate) struct Stamp {
    pub now: Timestamp,
    pub new_uuid: Box<dyn Fn() -> Uuid + Send>,
    pub program: &'static str,
}

/// The collection's name and the id of a written record.
pub(crate) type Touched = (&'static str, RecordId);

/// The writes of one transaction.
pub(crate) struct Journal<'t> {
    transaction: &'t Transaction<'t>,
    stamp: Stamp,
    device_id: String,
    touched: BTreeSet<Touched>,
}

impl<'t> Journal<'t> {
    pub fn begin(transaction: &'t Transaction<'t>, stamp: Stamp) -> Result<Journal<'t>> {
        Ok(Journal { transaction, stamp, device_id: device_id(transaction)?, touched: BTreeSet::new() })
    }

    /// Returns every record that was written.
    pub fn finish(self) -> BTreeSet<Touched> {
        self.touched
    }

    pub fn now(&self) -> Timestamp {
        self.stamp.now
    }

    pub fn new_id(&self) -> RecordId {
        RecordId((self.stamp.new_uuid)())
    }

    /// The transaction, for reads.
    pub fn reader(&self) -> &'t Transaction<'t> {
        self.transaction
    }

    /// Returns the record with this id, or the record that it was merged into; removed or not.
    pub fn record(&self, collection: &'static Collection, id: RecordId) -> Result<Option<Record>> {
        records::by_id(self.transaction, collection, id)
    }

    /// Stores a change made on this device: `after` replaces `before`, which is `None` for a new record. Returns the
    /// stored record. If nothing differs, it writes nothing.
    ///
    /// A change of a field closes its conflict, which was shown, and asks the server again about a value that it has
    /// refused.
    pub fn local(
        &mut self,
        before: Option<&Record>,
        after: Record,
        kind: ChangeKind,
        undoes: Option<ChangeId>,
    ) -> Result<Record> {
        self.changed(before, after, None, kind, undoes)
    }

    /// Same as [`Journal::local`], with the conflicts that the record has after the change.
    pub fn settled(
        &mut self,
        before: &Record,
        after: Record,
        conflicts: Conflicts,
        kind: ChangeKind,
        undoes: Option<ChangeId>,
    ) -> Result<Record> {
        self.changed(Some(before), after, Some(conflicts), kind, undoes)
    }

    fn changed(
        &mut self,
        before: Option<&Record>,
        after: Record,
        settled: Option<Conflicts>,
        kind: ChangeKind,
        undoes: Option<ChangeId>,
    ) -> Result<Record> {
        // A record that was read here goes by its own id already.
        let mut after = match before {
            None => records::with_resolved_ids(self.transaction, after)?,
            Some(_) => records::with_resolved_references(self.transaction, after)?,
        };
        drop_needless_origins(&mut after);
        let mut fields = differences(before, &after);
        let key = Key::new(after.collection.name, after.id);
        let is_moved = before.is_some_and(|before| before.is_removed() != after.is_removed());
        let old_conflicts = if before.is_some() { sync::conflicts(self.transaction, &key)? } else { Conflicts::new() };
        let conflicts = settled.unwrap_or_else(|| {
            let mut conflicts = old_conflicts.clone();
            let changed = fields.iter().map(|change| change.field.as_str()).chain(is_moved.then_some(REMOVAL));
            for name in changed.filter(|_| Rule::EditsCloseConflicts.holds()) {
                conflict::close(&mut conflicts, name, (self.stamp.new_uuid)());
            }
            conflicts
        });
        if let Some(before) = before.filter(|_| fields.is_empty() && !is_moved && conflicts == old_conflicts) {
            return Ok(before.clone());
        }
        after.updated_at = self.now();
        if before.is_none() {
            after.created_at = self.now();
        }
        self.put(before, &after)?;
        if conflicts != old_conflicts {
            sync::put_conflicts(self.transaction, &key, &conflicts)?;
            fields.push(conflicts_change(&old_conflicts, &conflicts));
        }
        for name in fields.iter().map(|change| change.field.as_str()).chain([REMOVAL, WHOLE_RECORD]) {
            sync::delete_refusal(self.transaction, &key, name)?;
        }
        let entry = self.entry(&key, kind, fields, undoes);
        rows::insert_history(self.transaction, &entry)?;
        sync::mark_waiting(self.transaction, &key.collection, key.id)?;
        Ok(after)
    }

    /// Stores what a record became after a change on the server, `before` being what it was: row and conflicts with the
    /// times as sent, and history that names the device that made the change. Base and mark are the caller's.
    pub fn received(
        &mut self,
        collection: &str,
        before: Option<&Replica>,
        after: Replica,
        device_id: &str,
    ) -> Result<()> {
        let record = records::with_resolved_references(self.transaction, after.record)?;
        let key = Key::new(collection, record.id);
        let old = before.map(|before| &before.record);
        let fields = differences(old, &record);
        let kind = match old {
            None => ChangeKind::Added,
            Some(old) => match (old.is_removed(), record.is_removed()) {
                (false, true) => ChangeKind::Removed,
                (true, false) => ChangeKind::Restored,
                _ => ChangeKind::Edited,
            },
        };
        if before.map_or(!after.conflicts.is_empty(), |before| before.conflicts != after.conflicts) {
            sync::put_conflicts(self.transaction, &key, &after.conflicts)?;
            self.touch(&key);
        }
        let is_same_time = old.is_some_and(|old| old.created_at == record.created_at);
        if fields.is_empty() && kind == ChangeKind::Edited && is_same_time {
            return Ok(());
        }
        if record.collection == &UNKNOWN {
            rows::put_foreign(self.transaction, collection, &record)?;
        } else {
            if old.is_none() {
                // Replace a row that exists and cannot be read.
                rows::delete(self.transaction, record.collection, record.id)?;
            }
            self.put(old, &record)?;
        }
        if fields.is_empty() && kind == ChangeKind::Edited {
            return Ok(());
        }
        let entry = HistoryEntry {
            at: record.updated_at,
            device_id: device_id.to_owned(),
            program: SYNC.to_owned(),
            ..self.entry(&key, kind, fields, None)
        };
        rows::insert_history(self.transaction, &entry)
    }

    /// The author of this device's values of a record.
    pub fn author(&self, local: Option<&Replica>) -> Author {
        let at = local.map_or(self.now(), |local| local.record.updated_at);
        Author { op_id: (self.stamp.new_uuid)(), at, device_id: self.device_id.clone() }
    }

    /// Stores a record from a file with its history in the file; without history, it counts as added now. Returns
    /// `None` if the record already exists, which is then unchanged.
    pub fn imported(&mut self, record: Record, history: &[HistoryEntry]) -> Result<Option<Imported>> {
        let mut record = records::with_resolved_ids(self.transaction, record)?;
        if records::exists(self.transaction, record.collection, record.id)? {
            return Ok(None);
        }
        drop_needless_origins(&mut record);
        self.put(None, &record)?;
        if history.is_empty() {
            let key = Key::new(record.collection.name, record.id);
            let entry = self.entry(&key, ChangeKind::Added, differences(None, &record), None);
            rows::insert_history(self.transaction, &entry)?;
        }
        self.imported_history(record.id, history)?;
        sync::mark_waiting(self.transaction, record.collection.name, record.id)?;
        let changes = history::of_record(self.transaction, record.id)?.len();
        Ok(Some(Imported { collection: record.collection, id: record.id, changes }))
    }

    /// Deletes a record that [`Journal::imported`] stored, with its history: the rollback of an import that failed or
    /// was canceled. A record that was changed since is kept.
    pub fn withdraw(&mut self, imported: &Imported) -> Result<()> {
        let Imported { collection, id, changes } = *imported;
        if history::of_record(self.transaction, id)?.len() == changes {
            rows::withdraw(self.transaction, collection, id)?;
            self.touched.insert((collection.name, id));
        }
        Ok(())
    }

    /// Stores a record from a file whose collection this version does not know, with its history. It waits to be sent.
    /// Returns `false` if it already exists, which is then unchanged.
    pub fn foreign(&mut self, record: &ForeignRecord, history: &[HistoryEntry]) -> Result<bool> {
        let is_new = rows::insert_foreign(self.transaction, record)?;
        if is_new {
            self.imported_history(record.id, history)?;
            sync::mark_waiting(self.transaction, &record.collection, record.id)?;
        }
        Ok(is_new)
    }

    /// Stores the changes of a record in a file, except those that already exist.
    fn imported_history(&mut self, id: RecordId, history: &[HistoryEntry]) -> Result<()> {
        for entry in history {
            if history::by_id(self.transaction, entry.id)?.is_none() {
                rows::insert_history(self.transaction, &HistoryEntry { record_id: id, ..entry.clone() })?;
            }
        }
        Ok(())
    }

    /// Stores a row of a damaged file with its values as they are. Returns `false` if its key already exists.
    pub fn salvaged(&mut self, table: &str, columns: &[String], values: Vec<StoredValue>) -> Result<bool> {
        rows::insert_salvaged(self.transaction, table, columns, values)
    }

    /// Stores a record that was rebuilt from history. Adds no history.
    pub fn rebuilt(&mut self, record: Record) -> Result<()> {
        self.put(None, &record)?;
        sync::mark_waiting(self.transaction, record.collection.name, record.id)
    }

    fn put(&mut self, before: Option<&Record>, after: &Record) -> Result<()> {
        match before {
            Some(before) => rows::update(self.transaction, before, after)?,
            None => rows::insert(self.transaction, after)?,
        }
        self.touched.insert((after.collection.name, after.id));
        Ok(())
    }

    /// Counts a record as written. Records of unknown collections are shown nowhere.
    fn touch(&mut self, key: &Key) {
        if let Some(collection) = Collection::by_name(&key.collection) {
            self.touched.insert((collection.name, key.id));
        }
    }

    fn entry(&self, key: &Key, kind: ChangeKind, fields: Vec<FieldChange>, undoes: Option<ChangeId>) -> HistoryEntry {
        HistoryEntry {
            id: ChangeId(self.new_id().0),
            collection: key.collection.clone(),
            record_id: key.id,
            kind,
            fields,
            undoes,
            at: self.now(),
            device_id: self.device_id.clone(),
            program: self.stamp.program.to_owned(),
            moved_from: None,
        }
    }
}

/// A change of conflicts, as history keeps it for undo.
fn conflicts_change(old: &Conflicts, new: &Conflicts) -> FieldChange {
    let value = |conflicts| conflicts_json(conflicts).and_then(FieldValue::of_json);
    FieldChange {
        field: CONFLICTS.to_owned(),
        old: value(old),
        new: value(new),
        origin: Origin::Typed,
        old_origin: Origin::Typed,
    }
}

/// A record that [`Journal::imported`] stored.
pub(crate) struct Imported {
    collection: &'static Collection,
    id: RecordId,
    /// The number of changes in its history.
    changes: usize,
}

/// Drops origins that are implied: an empty field has none, and a value without an origin was typed.
fn drop_needless_origins(record: &mut Record) {
    let has_origin: Vec<String> = record
        .origins
        .iter()
        .filter(|(name, origin)| **origin != Origin::Typed && record.value(name).is_some())
        .map(|(name, _)| name.clone())
        .collect();
    record.origins.retain(|name, _| has_origin.contains(name));
}
