//! The tables `history` and `device`.

use garage_domain::VehicleId;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Result, Row, Transaction, named_params};

use super::{from_json, parsed, to_json};
use crate::{
    GarageError,
    vehicles::history::{ChangeId, ChangeKind, HistoryEntry},
};

/// Adds a change.
pub(crate) fn insert(transaction: &Transaction<'_>, entry: &HistoryEntry) -> Result<()> {
    transaction.prepare_cached(include_str!("sql/insert_history.sql"))?.execute(named_params! {
        ":id": entry.id.0.to_string(),
        ":vehicle_id": entry.vehicle_id.to_string(),
        ":kind": entry.kind.name(),
        ":fields": to_json(&entry.fields)?,
        ":undoes": entry.undoes.map(|id| id.0.to_string()),
        ":at_us": entry.at.as_microsecond(),
        ":device_id": entry.device_id,
        ":program": entry.program,
    })?;
    Ok(())
}

/// Adds a change from a file, unless it is here.
pub(crate) fn insert_if_new(transaction: &Transaction<'_>, entry: &HistoryEntry) -> Result<()> {
    match by_id(transaction, entry.id)? {
        Some(_) => Ok(()),
        None => insert(transaction, entry),
    }
}

/// How many changes there are.
pub(crate) fn count_all(transaction: &Transaction<'_>) -> Result<u64> {
    let count = transaction.query_row("SELECT count(*) FROM history", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// All changes, oldest first; `at_each` can stop it.
pub(crate) fn all(
    transaction: &Transaction<'_>,
    at_each: &mut dyn FnMut() -> std::result::Result<(), GarageError>,
) -> std::result::Result<Vec<HistoryEntry>, GarageError> {
    let mut statement = transaction.prepare_cached("SELECT * FROM history ORDER BY position")?;
    let rows = statement.query_and_then([], |row| {
        at_each()?;
        Ok(entry_of(row)?)
    })?;
    rows.collect()
}

/// The changes of a vehicle, newest first.
pub(crate) fn of_vehicle(transaction: &Transaction<'_>, id: VehicleId) -> Result<Vec<HistoryEntry>> {
    transaction
        .prepare_cached("SELECT * FROM history WHERE vehicle_id = ?1 ORDER BY position DESC")?
        .query_map([id.to_string()], entry_of)?
        .collect()
}

/// One change.
pub(crate) fn by_id(transaction: &Transaction<'_>, id: ChangeId) -> Result<Option<HistoryEntry>> {
    transaction
        .prepare_cached("SELECT * FROM history WHERE id = ?1")?
        .query_row([id.0.to_string()], entry_of)
        .optional()
}

/// What this device calls itself.
pub(crate) fn device_id(transaction: &Transaction<'_>) -> Result<String> {
    transaction.prepare_cached("SELECT device_id FROM device")?.query_row([], |row| row.get(0))
}

/// A change from a row with all columns of the table.
pub(crate) fn entry_of(row: &Row<'_>) -> Result<HistoryEntry> {
    Ok(HistoryEntry {
        id: ChangeId(parsed(row, "id", |text: String| text.parse().ok())?),
        vehicle_id: parsed(row, "vehicle_id", |text: String| text.parse().ok())?,
        kind: parsed(row, "kind", |text: String| ChangeKind::by_name(&text))?,
        fields: from_json(row, "fields")?,
        undoes: parsed(row, "undoes", |text: Option<String>| match text {
            Some(text) => text.parse().ok().map(|id| Some(ChangeId(id))),
            None => Some(None),
        })?,
        at: parsed(row, "at_us", |us: i64| Timestamp::from_microsecond(us).ok())?,
        device_id: row.get("device_id")?,
        program: row.get("program")?,
    })
}
