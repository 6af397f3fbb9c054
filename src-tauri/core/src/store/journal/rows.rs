//! The journal's SQL statements.

use std::{collections::HashMap, sync::LazyLock};

use garage_domain::{COLLECTIONS, Collection, Extra, FieldValue, HistoryEntry, Record, RecordId, VEHICLES};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, ToSql, named_params, params, params_from_iter, types::Value};
use serde::Serialize;

use super::super::{foreign::ForeignRecord, records::columns, stored_value::StoredValue, text};

/// How many positions vehicles created in the same microsecond can have.
const PLACES_PER_MICROSECOND: i64 = 1024;
/// The last microsecond with its own positions, in the year 2255. Later vehicles are numbered consecutively.
const LAST_MICROSECOND: i64 = (1 << 53) - 1;

/// `INSERT INTO table (id, …, position)` for each collection, built from its declaration.
static INSERTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let insert = |collection: &Collection| {
        let columns = format!("{}, position", columns(collection));
        let parameters = vec!["?"; columns.split(", ").count()].join(", ");
        format!("INSERT INTO {} ({columns}) VALUES ({parameters})", collection.table)
    };
    COLLECTIONS.into_iter().map(|collection| (collection.name, insert(collection))).collect()
});

pub(super) fn insert(connection: &Connection, record: &Record) -> Result<()> {
    let position = match record.collection == &VEHICLES {
        true => Some(place(connection, microseconds(record.created_at), &record.id.to_string())?),
        false => None,
    };
    let mut values = vec![Value::Text(record.id.to_string())];
    values.extend(record.collection.fields.iter().map(|field| column_value(record.stored(field))));
    values.extend([
        Value::Text(to_json(&record.origins)?),
        extra_value(&record.extra)?,
        Value::Integer(microseconds(record.created_at)),
        Value::Integer(microseconds(record.updated_at)),
        record.deleted_at.map(microseconds).into(),
        position.into(),
    ]);
    let sql = INSERTS.get(record.collection.name).unwrap_or_else(|| unreachable!("every collection has its statement"));
    connection.prepare_cached(sql)?.execute(params_from_iter(values)).map(drop)
}

/// Updates only the columns that differ, so that no other column's triggers fire.
pub(super) fn update(connection: &Connection, before: &Record, after: &Record) -> Result<()> {
    let mut changes: Vec<(&str, Value)> = Vec::new();
    for field in after.collection.fields {
        if before.stored(field) != after.stored(field) {
            changes.push((field.column, column_value(after.stored(field))));
        }
    }
    if before.origins != after.origins {
        changes.push(("origins", Value::Text(to_json(&after.origins)?)));
    }
    if before.extra != after.extra {
        changes.push(("extra", extra_value(&after.extra)?));
    }
    if before.created_at != after.created_at {
        let created_at = microseconds(after.created_at);
        changes.push(("created_at_us", Value::Integer(created_at)));
        if after.collection == &VEHICLES {
            let position = place(connection, created_at, &after.id.to_string())?;
            changes.push(("position", Value::Integer(position)));
        }
    }
    if before.updated_at != after.updated_at {
        changes.push(("updated_at_us", Value::Integer(microseconds(after.updated_at))));
    }
    if before.deleted_at != after.deleted_at {
        changes.push(("deleted_at_us", after.deleted_at.map(microseconds).into()));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let columns = changes.iter().map(|(column, _)| format!("{column} = ?")).collect::<Vec<_>>().join(", ");
    let sql = format!("UPDATE {} SET {columns} WHERE id = ?", after.collection.table);
    let values = changes.into_iter().map(|(_, value)| value).chain([Value::Text(after.id.to_string())]);
    connection.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}

pub(super) fn delete(connection: &Connection, collection: &Collection, id: RecordId) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE id = ?1", collection.table);
    connection.prepare_cached(&sql)?.execute([id.to_string()]).map(drop)
}

/// Deletes a record with its history and its mark.
pub(super) fn withdraw(connection: &Connection, collection: &Collection, id: RecordId) -> Result<()> {
    delete(connection, collection, id)?;
    let id = id.to_string();
    execute(connection, "DELETE FROM history WHERE record_id = ?1", &[&id])?;
    let mark = "DELETE FROM waiting WHERE collection = ?1 AND record_id = ?2";
    execute(connection, mark, &[&collection.name, &id])
}

/// Returns a free position for a vehicle. Positions sort by creation time, then id, so one index serves both.
fn place(connection: &Connection, created_at_us: i64, id: &str) -> Result<i64> {
    let earliest = created_at_us.clamp(0, LAST_MICROSECOND) * PLACES_PER_MICROSECOND;
    let next = connection
        .prepare_cached(
            "SELECT position FROM vehicles
             WHERE position >= ?1 AND (created_at_us, id) > (?2, ?3) ORDER BY position LIMIT 1",
        )?
        .query_row(params![earliest, created_at_us, id], |row| row.get::<_, i64>(0))
        .optional()?;
    let last_before: Option<i64> = connection
        .prepare_cached("SELECT max(position) FROM vehicles WHERE position < ?1")?
        .query_row([next.unwrap_or(i64::MAX)], |row| row.get(0))?;
    let place = last_before.map_or(earliest, |last| earliest.max(last + 1));
    if next == Some(place) {
        make_room(connection, place)?;
    }
    Ok(place)
}

/// Shifts the vehicles from this position up to the next gap by one.
fn make_room(connection: &Connection, place: i64) -> Result<()> {
    let mut end = place;
    let mut is_taken = connection.prepare_cached("SELECT 1 FROM vehicles WHERE position = ?1")?;
    while is_taken.exists([end])? {
        end += 1;
    }
    let mut shift = connection.prepare_cached("UPDATE vehicles SET position = ?1 + 1 WHERE position = ?1")?;
    for position in (place..end).rev() {
        shift.execute([position])?;
    }
    Ok(())
}

pub(super) fn insert_history(connection: &Connection, entry: &HistoryEntry) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history
                 (id, collection, record_id, kind, fields, undoes, at_us, device_id, program, moved_from)
             VALUES (:id, :collection, :record_id, :kind, :fields, :undoes, :at_us, :device_id, :program, :moved_from)",
        )?
        .execute(named_params! {
            ":id": entry.id.0.to_string(),
            ":collection": entry.collection,
            ":record_id": entry.record_id.to_string(),
            ":kind": entry.kind.name(),
            ":fields": to_json(&entry.fields)?,
            ":undoes": entry.undoes.map(|id| id.0.to_string()),
            ":at_us": microseconds(entry.at),
            ":device_id": entry.device_id,
            ":program": entry.program,
            ":moved_from": entry.moved_from.map(|id| id.to_string()),
        })
        .map(drop)
}

pub(super) fn delete_foreign(connection: &Connection, collection: &str, id: RecordId) -> Result<()> {
    let sql = "DELETE FROM foreign_records WHERE collection = ?1 AND record_id = ?2";
    execute(connection, sql, &[&collection, &id.to_string()])
}

pub(super) fn insert_foreign(connection: &Connection, record: &ForeignRecord) -> Result<bool> {
    let ForeignRecord { collection, id, fields, origins, created_at, updated_at, deleted_at } = record;
    let times = [Some(*created_at), Some(*updated_at), *deleted_at];
    write_foreign(connection, "INSERT OR IGNORE", collection, *id, [to_json(fields)?, to_json(origins)?], times)
}

/// Stores a record of a collection that this version does not know, in place of the one before.
pub(super) fn put_foreign(connection: &Connection, collection: &str, record: &Record) -> Result<()> {
    let json = [to_json(&record.extra)?, to_json(&record.origins)?];
    let times = [Some(record.created_at), Some(record.updated_at), record.deleted_at];
    write_foreign(connection, "INSERT OR REPLACE", collection, record.id, json, times).map(drop)
}

fn write_foreign(
    connection: &Connection,
    insert: &str,
    collection: &str,
    id: RecordId,
    [fields, origins]: [String; 2],
    times: [Option<Timestamp>; 3],
) -> Result<bool> {
    let sql = format!(
        "{insert} INTO foreign_records
             (collection, record_id, fields, origins, created_at_us, updated_at_us, deleted_at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    );
    let [created_at, updated_at, deleted_at] = times.map(|time| time.map(microseconds));
    let values = params![collection, id.to_string(), fields, origins, created_at, updated_at, deleted_at];
    Ok(connection.prepare_cached(&sql)?.execute(values)? > 0)
}

/// `table` and `columns` must be names of the current schema, never names from the damaged file.
pub(super) fn insert_salvaged(
    connection: &Connection,
    table: &str,
    columns: &[String],
    mut values: Vec<StoredValue>,
) -> Result<bool> {
    let value_of = |values: &[StoredValue], name: &str| {
        columns.iter().position(|column| column == name).and_then(|index| values.get(index).cloned())
    };
    if table == VEHICLES.table {
        // Positions of older schemas are row numbers.
        let created_at = value_of(&values, "created_at_us");
        let (Some(StoredValue::Other(Value::Integer(created_at))), Some(StoredValue::Text(id))) =
            (created_at, value_of(&values, "id"))
        else {
            return Ok(false);
        };
        let position = place(connection, created_at, &String::from_utf8_lossy(&id))?;
        if let Some(index) = columns.iter().position(|column| column == "position") {
            values[index] = StoredValue::Other(Value::Integer(position));
        }
    }
    let parameters = vec!["?"; columns.len()].join(", ");
    let sql = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({parameters})", columns.join(", "));
    let inserted = connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(inserted > 0)
}

/// Computes sort keys and the search index again with the current SQL functions.
pub(crate) fn rebuild_search(connection: &Connection) -> Result<()> {
    connection.execute_batch(
        "UPDATE vehicles SET (name_key, make_key, type_key) =
             (SELECT name_key, make_key, type_key FROM vehicle_keys WHERE vehicle_keys.position = vehicles.position);
         INSERT INTO vehicle_words (vehicle_words) VALUES ('delete-all');
         INSERT INTO vehicle_words (rowid, text) SELECT position, words FROM vehicle_keys;",
    )?;
    connection.execute("UPDATE upkeep SET search_version = ?1", [text::VERSION]).map(drop)
}

/// Copies the rows of a table of a new garage that are not there yet.
pub(crate) fn copy_rows(from: &Connection, to: &Connection, table: &str) -> Result<()> {
    let mut select = from.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = select.column_count();
    let sql = format!("INSERT OR IGNORE INTO {table} VALUES ({})", vec!["?"; columns].join(", "));
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|index| row.get::<_, Value>(index)).collect::<Result<Vec<_>>>()?;
        to.execute(&sql, params_from_iter(values))?;
    }
    Ok(())
}

fn column_value(value: Option<&FieldValue>) -> Value {
    match value {
        Some(FieldValue::Boolean(flag)) => Value::Integer((*flag).into()),
        Some(FieldValue::Integer(integer)) => Value::Integer(*integer),
        Some(FieldValue::Text(text)) => Value::Text(text.clone()),
        // `extra` holds such a value.
        Some(FieldValue::Other(_)) | None => Value::Null,
    }
}

fn extra_value(extra: &Extra) -> Result<Value> {
    if extra.is_empty() { Ok(Value::Null) } else { to_json(extra).map(Value::Text) }
}

fn microseconds(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Runs a statement.
pub(super) fn execute(connection: &Connection, sql: &str, parameters: &[&dyn ToSql]) -> Result<()> {
    connection.prepare_cached(sql)?.execute(parameters).map(drop)
}
