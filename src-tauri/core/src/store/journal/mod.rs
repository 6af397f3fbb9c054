//! The journal: the only code that writes records.
//!
//! A journal lives for one IMMEDIATE transaction and takes any number of records. Each of its entries writes the row,
//! its history and its marks together, so that none can be forgotten:
//!
//! - [`Journal::local`]: what a person did here. It waits to be sent.
//! - [`Journal::received`]: what the server sent. It becomes the base.
//! - [`Journal::imported`]: what a file brought, with its own history. It waits to be sent.
//! - [`Journal::moved`]: two records turned out to be one.
//! - [`Journal::salvaged`] and [`Journal::told`]: a row as it stood in a damaged file, and a record as history tells it.
//!
//! Invariants: time is taken once per journal; aliases are resolved before anything is written; whether a record is
//! removed is part of the record, never derived from the kind of change; `touched` names every record that was written.

mod merge;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use garage_domain::{
    ChangeId, ChangeKind, Collection, FieldAccess, FieldChange, FieldValue, HistoryEntry, Origin, Record, RecordId,
    differences,
};
use jiff::Timestamp;
use rusqlite::{Result, Transaction, types::Value};
use uuid::Uuid;

pub(crate) use self::rows::rebuild_search;
use super::{device_id, foreign::ForeignRecord, history, records};

/// The program that history names for what the server sent.
const SYNC: &str = "sync";

/// Where time and ids of a write come from, and who writes.
pub(crate) struct Stamp {
    /// The time of the write.
    pub now: Timestamp,
    /// Where new ids come from.
    pub new_uuid: Box<dyn Fn() -> Uuid + Send>,
    /// The program, for history.
    pub program: &'static str,
}

/// A record that was written: its collection's name and its id.
pub(crate) type Touched = (&'static str, RecordId);

/// The writes of one transaction.
pub(crate) struct Journal<'t> {
    transaction: &'t Transaction<'t>,
    stamp: Stamp,
    device_id: String,
    touched: BTreeSet<Touched>,
}

impl<'t> Journal<'t> {
    /// A journal in this transaction.
    pub fn begin(transaction: &'t Transaction<'t>, stamp: Stamp) -> Result<Journal<'t>> {
        Ok(Journal { transaction, stamp, device_id: device_id(transaction)?, touched: BTreeSet::new() })
    }

    /// Every record that was written.
    pub fn finish(self) -> BTreeSet<Touched> {
        self.touched
    }

    /// The time of the write.
    pub fn now(&self) -> Timestamp {
        self.stamp.now
    }

    /// A new id.
    pub fn new_id(&self) -> RecordId {
        RecordId((self.stamp.new_uuid)())
    }

    /// The transaction, for reading in it.
    pub fn reader(&self) -> &'t Transaction<'t> {
        self.transaction
    }

    /// The record of this id, or of the record that it was joined to; removed or not.
    pub fn record(&self, collection: &'static Collection, id: RecordId) -> Result<Option<Record>> {
        records::by_id(self.transaction, collection, id)
    }

    /// Stores what a person did: `after` in place of `before`, `None` for a new record. Returns the record as it is
    /// stored; where nothing differs, nothing is written.
    pub fn local(
        &mut self,
        before: Option<&Record>,
        after: Record,
        kind: ChangeKind,
        undoes: Option<ChangeId>,
    ) -> Result<Record> {
        let mut after = self.resolved(after)?;
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

    /// Stores what the server sent, at the version that it gave: the row and the base, with the times as sent, and
    /// history in the name of the device that made the change. It does not wait to be sent.
    #[cfg_attr(not(test), expect(dead_code, reason = "the sync engine stores what it pulls by this"))]
    pub fn received(&mut self, record: Record, version: i64, device_id: &str) -> Result<()> {
        let record = self.resolved(record)?;
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
            // A row that cannot be read is replaced by one that can.
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

    /// Stores a record that a file brought, with the history that the file has of it; without one, it counts as added
    /// now. Returns `None` for a record that is here already, which stays as it is.
    pub fn imported(&mut self, record: Record, history: &[HistoryEntry]) -> Result<Option<Imported>> {
        let mut record = self.resolved(record)?;
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

    /// Takes out what [`Journal::imported`] brought, with its history, for an import that failed or was stopped. A
    /// record that somebody has changed since stays.
    pub fn withdraw(&mut self, imported: &Imported) -> Result<()> {
        let Imported { collection, id, changes } = *imported;
        if history::of_record(self.transaction, id)?.len() == changes {
            rows::withdraw(self.transaction, collection, id)?;
            self.touched.insert((collection.name, id));
        }
        Ok(())
    }

    /// Stores a record of a collection that this version does not know, as a file brought it, with its history; the
    /// one that is here wins. It waits to be sent.
    pub fn foreign(&mut self, record: &ForeignRecord, history: &[HistoryEntry]) -> Result<bool> {
        let is_new = rows::insert_foreign(self.transaction, record)?;
        if is_new {
            self.imported_history(record.id, history)?;
            rows::mark_waiting(self.transaction, &record.collection, record.id)?;
        }
        Ok(is_new)
    }

    /// Stores the changes that a file has of a record; those that are here already stay.
    fn imported_history(&mut self, id: RecordId, history: &[HistoryEntry]) -> Result<()> {
        for entry in history {
            if history::by_id(self.transaction, entry.id)?.is_none() {
                rows::insert_history(self.transaction, &HistoryEntry { record_id: id, ..entry.clone() })?;
            }
        }
        Ok(())
    }

    /// Stores a row of a table as it stood in a damaged file, whatever is in it. A row whose key is here already is
    /// left out. Returns whether it came in.
    pub fn salvaged(&mut self, table: &str, columns: &[String], values: Vec<Value>) -> Result<bool> {
        rows::insert_salvaged(self.transaction, table, columns, values)
    }

    /// Stores a record whose row is lost, as its history tells it. It adds no history: that is what it comes from.
    pub fn told(&mut self, record: Record) -> Result<()> {
        self.put(None, &record)?;
        rows::mark_waiting(self.transaction, record.collection.name, record.id)
    }

    /// The record under the id that it goes by now, with references to the ids that those records go by.
    fn resolved(&self, mut record: Record) -> Result<Record> {
        record.id = records::resolved(self.transaction, record.collection, record.id)?;
        for (field, collection) in record.collection.references() {
            let (Some(id), Some(collection)) = (record.reference(field), Collection::by_name(collection)) else {
                continue;
            };
            let resolved = records::resolved(self.transaction, collection, id)?;
            if resolved != id {
                record.set(field, Some(FieldValue::Text(resolved.to_string())));
            }
        }
        Ok(record)
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

/// A record that [`Journal::imported`] brought.
pub(crate) struct Imported {
    collection: &'static Collection,
    id: RecordId,
    /// How many changes its history has.
    changes: usize,
}

/// An empty field has no origin, and one that is not noted was typed.
fn drop_needless_origins(record: &mut Record) {
    let has_origin: Vec<String> = record
        .origins
        .iter()
        .filter(|(name, origin)| **origin != Origin::Typed && record.value(name).is_some())
        .map(|(name, _)| name.clone())
        .collect();
    record.origins.retain(|name, _| has_origin.contains(name));
}
