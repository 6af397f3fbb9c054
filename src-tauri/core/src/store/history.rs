//! Reads history. Entries that cannot be read are left out of lists and counted.

use garage_domain::{ChangeId, ChangeKind, FieldChange, HistoryEntry, RecordId};
use rusqlite::{Connection, Result, Row};

use super::records::{Unreadable, text, time};

const SELECT: &str = "SELECT id, collection, record_id, kind, fields, undoes, at_us, device_id, program, moved_from
                      FROM history";

pub(crate) fn count(connection: &Connection) -> Result<u64> {
    let count = connection.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// Returns all readable changes, oldest first, and the unreadable rows. `at_each` can cancel. The order depends only on
/// the changes, so it is the same in every garage that has them.
pub(crate) fn all<E: From<rusqlite::Error>>(
    connection: &Connection,
    at_each: &mut dyn FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<(Vec<HistoryEntry>, Vec<Unreadable>), E> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY at_us, id"))?;
    let mut rows = statement.query([])?;
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        at_each()?;
        match entry_of(row)? {
            Some(entry) => entries.push(entry),
            None => unreadable.push(Unreadable::of("history", row)?),
        }
    }
    Ok((entries, unreadable))
}

/// Lists the changes of a record, newest first.
pub(crate) fn of_record(connection: &Connection, id: RecordId) -> Result<Vec<HistoryEntry>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE record_id = ?1 ORDER BY position DESC"))?;
    let mut rows = statement.query([id.to_string()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.extend(entry_of(row)?);
    }
    Ok(entries)
}

pub(crate) fn by_id(connection: &Connection, id: ChangeId) -> Result<Option<HistoryEntry>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    let mut rows = statement.query([id.0.to_string()])?;
    rows.next()?.map_or(Ok(None), entry_of)
}

/// Returns the change in a row of `SELECT`, or `None` if the row cannot be read.
fn entry_of(row: &Row<'_>) -> Result<Option<HistoryEntry>> {
    let owned = |index: usize| Ok::<_, rusqlite::Error>(text(row, index)?.map(str::to_owned));
    let id = |index: usize| Ok::<_, rusqlite::Error>(text(row, index)?.and_then(|text| text.parse::<RecordId>().ok()));
    let fields = text(row, 4)?.and_then(|text| serde_json::from_str::<Vec<FieldChange>>(text).ok());
    let entry = (|| {
        Some(HistoryEntry {
            id: ChangeId(id(0).ok()??.0),
            collection: owned(1).ok()??,
            record_id: id(2).ok()??,
            kind: ChangeKind::from(owned(3).ok()??),
            fields: fields?,
            undoes: id(5).ok()?.map(|id| ChangeId(id.0)),
            at: time(row, 6).ok()??,
            device_id: owned(7).ok()??,
            program: owned(8).ok()??,
            moved_from: id(9).ok()?,
        })
    })();
    Ok(entry)
}
