//! Rebuilds lost records from history.

use std::collections::{HashMap, HashSet};

use garage_domain::{ChangeKind, Collection, FieldChange, HistoryEntry, Origin, Record, RecordId};

/// Returns the records of `history` that are not in `found`. A found record without history that has the same fields as
/// a missing record is that record with a damaged id, so it is not rebuilt.
pub(super) fn missing(found: &[Record], history: &[HistoryEntry]) -> Vec<Record> {
    let with_history: HashSet<RecordId> = history.iter().map(|entry| entry.record_id).collect();
    let ids: HashSet<RecordId> = found.iter().map(|record| record.id).collect();
    let without_history: Vec<&Record> = found.iter().filter(|record| !with_history.contains(&record.id)).collect();
    let holds_the_same = |a: &Record, b: &Record| {
        a.collection == b.collection && a.collection.fields.iter().all(|it| a.value(it.name) == b.value(it.name))
    };
    let is_missing = |record: &Record| {
        !ids.contains(&record.id) && !without_history.iter().any(|found| holds_the_same(found, record))
    };
    records_from_history(history).into_iter().filter(is_missing).collect()
}

/// Replays history into records, in the order in which they were added. A record whose oldest changes are lost is
/// rebuilt from the remaining ones; a record that does not pass its collection's check is left out.
fn records_from_history(history: &[HistoryEntry]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut places: HashMap<RecordId, usize> = HashMap::new();
    for entry in history {
        // A merged record's own history is part of the record that it was merged into.
        let Some(collection) = Collection::by_name(&entry.collection).filter(|_| entry.moved_from.is_none()) else {
            continue;
        };
        let place = *places.entry(entry.record_id).or_insert_with(|| {
            records.push(Record::new(collection, entry.record_id, entry.at));
            records.len() - 1
        });
        let record = &mut records[place];
        for FieldChange { field, new, origin, .. } in &entry.fields {
            record.set_value(field, new.clone());
            record.set_origin(field, if new.is_some() { origin.clone() } else { Origin::Typed });
        }
        record.updated_at = entry.at;
        match entry.kind {
            ChangeKind::Removed => record.deleted_at = Some(entry.at),
            ChangeKind::Added | ChangeKind::Restored => record.deleted_at = None,
            ChangeKind::Edited | ChangeKind::Merged | ChangeKind::Other(_) => {}
        }
    }
    records.retain(|record| (record.collection.check)(&mut record.clone()).is_ok());
    records
}
