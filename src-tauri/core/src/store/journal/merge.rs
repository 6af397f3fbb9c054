//! Merges two records that represent the same thing.

use garage_domain::{
    COLLECTIONS, ChangeKind, Collection, FieldAccess, FieldValue, Origin, Record, RecordId, differences,
};
use rusqlite::{Result, params};

use super::{Journal, records, rows};

impl Journal<'_> {
    /// Merges the record `from` into the record `to`: values that `to` lacks, references, history, conflicts and
    /// aliases. Typed values replace decoded values and defaults. If both values are typed and differ, `from`'s becomes
    /// an alternative of a conflict. `from`'s id becomes an alias of `to`.
    ///
    /// Returns the merged record, or `None` without a change if one of the two does not exist.
    #[cfg_attr(not(test), expect(dead_code, reason = "the sync engine will call it to merge records"))]
    pub fn moved(&mut self, collection: &'static Collection, from: RecordId, to: RecordId) -> Result<Option<Record>> {
        let (Some(old), Some(before)) = (self.record(collection, from)?, self.record(collection, to)?) else {
            return Ok(None);
        };
        if old.id == before.id {
            return Ok(Some(before));
        }
        let (mut after, differing) = joined(&before, &old);
        after.created_at = before.created_at.min(old.created_at);
        after.updated_at = self.now();
        let (from, to) = (old.id.to_string(), before.id.to_string());
        let name = collection.name;
        // Delete the row first: its unique values and its position must be free.
        rows::delete(self.transaction, collection, old.id)?;
        for (sql, parameters) in [
            (
                "UPDATE history SET moved_from = coalesce(moved_from, record_id), record_id = ?2
                 WHERE record_id = ?1 AND collection = ?3",
                [&from, &to],
            ),
            ("UPDATE OR IGNORE conflict SET record_id = ?2 WHERE record_id = ?1 AND collection = ?3", [&from, &to]),
            ("DELETE FROM conflict WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1", [&from, &to]),
            ("DELETE FROM refused WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1", [&from, &to]),
            ("DELETE FROM base WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1", [&from, &to]),
            ("DELETE FROM waiting WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1", [&from, &to]),
            ("UPDATE alias SET record_id = ?2 WHERE record_id = ?1 AND collection = ?3", [&from, &to]),
            ("INSERT OR REPLACE INTO alias (alias_id, record_id, collection) VALUES (?1, ?2, ?3)", [&from, &to]),
        ] {
            rows::execute(self.transaction, sql, params![parameters[0], parameters[1], name])?;
        }
        for (field, value) in &differing {
            let alternative = serde_json::json!([{
                "opId": self.new_id(), "value": value.to_json(), "at": old.updated_at, "deviceId": self.device_id,
            }]);
            let sql = "INSERT OR IGNORE INTO conflict (collection, record_id, field, alternatives)
                       VALUES (?1, ?2, ?3, ?4)";
            rows::execute(self.transaction, sql, params![name, to, field, alternative.to_string()])?;
        }
        self.move_references(collection, old.id, before.id)?;
        self.put(Some(&before), &after)?;
        self.touched.insert((name, old.id));
        let entry = self.entry(&after, ChangeKind::Merged, differences(Some(&before), &after), None);
        rows::insert_history(self.transaction, &entry)?;
        rows::mark_waiting(self.transaction, after.collection.name, after.id)?;
        Ok(Some(after))
    }

    /// Points references to `from` at `to`. Each is a local edit that waits to be sent.
    fn move_references(&mut self, collection: &Collection, from: RecordId, to: RecordId) -> Result<()> {
        for referring in COLLECTIONS {
            for (field, _) in referring.references().filter(|(_, other)| *other == collection.name) {
                for before in records::referring(self.transaction, referring, field, from)? {
                    let mut after = before.clone();
                    after.set(field, Some(FieldValue::Text(to.to_string())));
                    self.put(Some(&before), &after)?;
                    rows::mark_waiting(self.transaction, after.collection.name, after.id)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns `to` with the values that `from` adds, and `from`'s typed values that conflict with typed ones.
fn joined(to: &Record, from: &Record) -> (Record, Vec<(String, FieldValue)>) {
    let mut after = to.clone();
    let mut differing = Vec::new();
    for name in from.names() {
        let Some(value) = from.value(name) else { continue };
        let current = to.value(name);
        if current.as_ref() == Some(&value) {
            if from.origin(name) == Origin::Typed {
                after.set_origin(name, Origin::Typed);
            }
            continue;
        }
        let default = to.collection.field(name).and_then(|field| field.default_value());
        let is_open = current.is_none() || (default.is_some() && current == default);
        let is_default = default.as_ref() == Some(&value);
        let is_typed = |record: &Record| record.origin(name) == Origin::Typed;
        if is_open || (!is_default && is_typed(from) && !is_typed(to)) {
            after.set_origin(name, from.origin(name));
            after.set_value(name, Some(value));
        } else if !is_default && is_typed(from) {
            differing.push((name.to_owned(), value));
        }
    }
    (after, differing)
}
