//! The journal: the only code that writes records.
//!
//! A journal exists for one IMMEDIATE transaction and accepts any number of records. Each entry point writes the row,
//! its history and its sync marks together, so that a caller cannot forget one:
//!
//! - [`Journal::local`]: a change made on this device; it waits to be sent.
//! - [`Journal::received`]: a record from the server; it becomes the base.
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
    ChangeId, ChangeKind, Collection, FieldChange, HistoryEntry, Origin, Record, RecordId, differences,
};
use jiff::Timestamp;
use rusqlite::{Result, Transaction};
use uuid::Uuid;

pub(crate) use self::{
    adopt::adopt_known,
    rows::{copy_rows, rebuild_search},
};
use super::{device_id, foreign::ForeignRecord, history, records, stored_value::StoredValue};

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
    pub fn local(
        &mut self,
        before: Option<&Record>,
        after: Record,
        kind: ChangeKind,
        undoes: Option<ChangeId>,
    ) -> Result<Record> {
        // A record that was read here goes by its own id already.
        let mut after = match before {
            None => records::with_resolved_ids(self.transaction, after)?,
            Some(_) => records::with_resolved_references(self.transaction, after)?,
        };
        drop_needless_origins(&mut after);
        let fields = differences(before, &after);
        if let Some(before) = before.filter(|before| fields.is_empty() && before.is_removed() == after.is_removed()) {
            return Ok(before.clone());
        }
        after.updated_at = self.now();
        if before.is_none() {
            after.created_at = self.now();
        }
        self.put(before, &after)?;
        let entry = self.entry(&after, kind, fields, undoes);
        rows::insert_history(self.transaction, &entry)?;
        rows::mark_waiting(self.transaction, after.collection.name, after.id)?;
        Ok(after)
    }

    /// Stores a record from the server: the row with the times as sent, the base with the server's version, and history
    /// that names the device that made the change. It does not wait to be sent.
    #[cfg_attr(not(test), expect(dead_code, reason = "the sync engine will call it for pulled records"))]
    pub fn received(&mut self, record: Record, version: i64, device_id: &str) -> Result<()> {
        let record = records::with_resolved_ids(self.transaction, record)?;
        let before = self.record(record.collection, record.id)?;
        let fields = differences(before.as_ref(), &record);
        let kind = match &before {
            None => ChangeKind::Added,
            Some(before) => match (before.is_removed(), record.is_removed()) {
                (false, true) => ChangeKind::Removed,
                (true, false) => ChangeKind::Restored,
                _ => ChangeKind::Edited,
            },
        };
        rows::put_base(self.transaction, &record, version)?;
        if fields.is_empty() && kind == ChangeKind::Edited {
            return Ok(());
        }
        if before.is_none() {
            // Replace a row that exists and cannot be read.
            rows::delete(self.transaction, record.collection, record.id)?;
        }
        self.put(before.as_ref(), &record)?;
        let entry = HistoryEntry {
            at: record.updated_at,
            device_id: device_id.to_owned(),
            program: SYNC.to_owned(),
            ..self.entry(&record, kind, fields, None)
        };
        rows::insert_history(self.transaction, &entry)
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
            let entry = self.entry(&record, ChangeKind::Added, differences(None, &record), None);
            rows::insert_history(self.transaction, &entry)?;
        }
        self.imported_history(record.id, history)?;
        rows::mark_waiting(self.transaction, record.collection.name, record.id)?;
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
            rows::mark_waiting(self.transaction, &record.collection, record.id)?;
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
        rows::mark_waiting(self.transaction, record.collection.name, record.id)
    }

    fn put(&mut self, before: Option<&Record>, after: &Record) -> Result<()> {
        match before {
            Some(before) => rows::update(self.transaction, before, after)?,
            None => rows::insert(self.transaction, after)?,
        }
        self.touched.insert((after.collection.name, after.id));
        Ok(())
    }

    fn entry(
        &self,
        record: &Record,
        kind: ChangeKind,
        fields: Vec<FieldChange>,
        undoes: Option<ChangeId>,
    ) -> HistoryEntry {
        HistoryEntry {
            id: ChangeId(self.new_id().0),
            collection: record.collection.name.to_owned(),
            record_id: record.id,
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
