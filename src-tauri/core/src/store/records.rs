//! Reads records of any collection. Reading does not validate: values that break rules are returned, and a row that
//! cannot be read is left out of lists and counted, never an error.

use std::{collections::HashMap, sync::LazyLock};

use garage_domain::{
    COLLECTIONS, Collection, ColumnKind, Extra, Field, FieldAccess, FieldValue, Origins, Record, RecordId,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, types::ValueRef};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// `SELECT id, …, deleted_at_us FROM table` for each collection, built from its declaration; a condition can follow.
static SELECTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let select = |collection: &Collection| format!("SELECT {} FROM {}", columns(collection), collection.table);
    COLLECTIONS.into_iter().map(|collection| (collection.name, select(collection))).collect()
});

/// The columns of a record, in the order of [`record_of`].
pub(super) fn columns(collection: &Collection) -> String {
    let fields: Vec<&str> = collection.fields.iter().map(|field| field.column).collect();
    format!("id, {}, origins, extra, created_at_us, updated_at_us, deleted_at_us", fields.join(", "))
}

pub(super) fn select(collection: &Collection) -> &'static str {
    SELECTS.get(collection.name).unwrap_or_else(|| unreachable!("every collection has its statement"))
}

/// The readable records, and the unreadable rows.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub records: Vec<Record>,
    pub unreadable: Vec<Unreadable>,
}

/// A row that cannot be read as a record or change, by column, for a person to inspect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Unreadable {
    table: &'static str,
    row: Map<String, Value>,
}

impl Unreadable {
    pub(super) fn of(table: &'static str, row: &Row<'_>) -> Result<Unreadable> {
        let names: Vec<String> = row.as_ref().column_names().into_iter().map(str::to_owned).collect();
        let mut columns = Map::new();
        for (index, name) in names.into_iter().enumerate() {
            let value = match row.get_ref(index)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(integer) => integer.into(),
                ValueRef::Real(float) => float.into(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match str::from_utf8(bytes) {
                    Ok(text) => text.into(),
                    Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
                },
            };
            columns.insert(name, value);
        }
        Ok(Unreadable { table, row: columns })
    }
}

/// Returns the record with this id, or the record that it was merged into; removed or not.
pub(crate) fn by_id(connection: &Connection, collection: &'static Collection, id: RecordId) -> Result<Option<Record>> {
    by_own_id(connection, collection, resolved(connection, collection, id)?)
}

/// Returns the record with this id, removed or not; `None` for an alias.
pub(crate) fn by_own_id(
    connection: &Connection,
    collection: &'static Collection,
    id: RecordId,
) -> Result<Option<Record>> {
    let sql = format!("{} WHERE id = ?1", select(collection));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map_or(Ok(None), |row| record_of(row, collection))
}

/// Returns the id that an alias stands for, or the id itself.
pub(crate) fn resolved(connection: &Connection, collection: &Collection, id: RecordId) -> Result<RecordId> {
    let sql = "SELECT record_id FROM alias WHERE collection = ?1 AND alias_id = ?2";
    let alias: Option<String> =
        connection.prepare_cached(sql)?.query_row([collection.name, &id.to_string()], |row| row.get(0)).optional()?;
    Ok(alias.and_then(|alias| alias.parse().ok()).unwrap_or(id))
}

/// Replaces the record's id, and the ids in its references, if they are aliases.
pub(crate) fn with_resolved_ids(connection: &Connection, mut record: Record) -> Result<Record> {
    record.id = resolved(connection, record.collection, record.id)?;
    with_resolved_references(connection, record)
}

pub(crate) fn with_resolved_references(connection: &Connection, mut record: Record) -> Result<Record> {
    for (field, collection) in record.collection.references() {
        let (Some(id), Some(collection)) = (record.reference(field), Collection::by_name(collection)) else {
            continue;
        };
        let resolved = resolved(connection, collection, id)?;
        if resolved != id {
            record.set(field, Some(FieldValue::Text(resolved.to_string())));
        }
    }
    Ok(record)
}

/// Returns all records of a collection, including removed ones, by position. `at_each` can cancel.
pub(crate) fn all<E: From<rusqlite::Error>>(
    connection: &Connection,
    collection: &'static Collection,
    at_each: &mut dyn FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<Found, E> {
    let sql = format!("{} ORDER BY position", select(collection));
    collected(connection, collection, &sql, &[], at_each)
}

/// Returns the records whose reference `field` has this id, including removed ones, by position.
pub(crate) fn referring(
    connection: &Connection,
    collection: &'static Collection,
    field: &Field,
    id: RecordId,
) -> Result<Vec<Record>> {
    let select = select(collection);
    let sql = format!("{select} WHERE {} = ?1 ORDER BY position", field.column);
    let found = collected(connection, collection, &sql, &[&id.to_string()], &mut || Ok::<_, rusqlite::Error>(()))?;
    Ok(found.records)
}

/// The records that have a value in `extra`.
pub(super) fn with_extra(connection: &Connection, collection: &'static Collection) -> Result<Vec<Record>> {
    let sql = format!("{} WHERE extra IS NOT NULL", select(collection));
    Ok(collected(connection, collection, &sql, &[], &mut || Ok::<_, rusqlite::Error>(()))?.records)
}

fn collected<E: From<rusqlite::Error>>(
    connection: &Connection,
    collection: &'static Collection,
    sql: &str,
    parameters: &[&dyn rusqlite::ToSql],
    at_each: &mut dyn FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<Found, E> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        at_each()?;
        match record_of(row, collection)? {
            Some(record) => found.records.push(record),
            None => found.unreadable.push(Unreadable::of(collection.table, row)?),
        }
    }
    Ok(found)
}

/// Returns how many rows a collection has, including removed ones.
pub(crate) fn count(connection: &Connection, collection: &Collection) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", collection.table);
    let count = connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// Returns how many rows of a collection are not removed, and how many are.
pub(crate) fn count_by_removal(connection: &Connection, collection: &Collection) -> Result<(u64, u64)> {
    let sql = format!("SELECT count(*) - count(deleted_at_us), count(deleted_at_us) FROM {}", collection.table);
    let counts = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()));
    connection.query_row(&sql, [], counts)
}

/// Whether a row with this id exists, readable or not.
pub(crate) fn exists(connection: &Connection, collection: &Collection, id: RecordId) -> Result<bool> {
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", collection.table);
    connection.prepare_cached(&sql)?.exists([id.to_string()])
}

/// Returns another live record that has the same value in the collection's unique field.
pub(crate) fn twin(connection: &Connection, collection: &Collection, record: &Record) -> Result<Option<RecordId>> {
    let Some(unique) = collection.unique else { return Ok(None) };
    let Some(FieldValue::Text(value)) = record.get(unique) else { return Ok(None) };
    let sql = format!(
        "SELECT id FROM {} WHERE {} = ?1 AND id <> ?2 AND deleted_at_us IS NULL LIMIT 1",
        collection.table, unique.column
    );
    let twin: Option<String> =
        connection.prepare_cached(&sql)?.query_row([value, record.id.to_string()], |row| row.get(0)).optional()?;
    Ok(twin.and_then(|id| id.parse().ok()))
}

/// Reads a record from a row of `select`. Returns `None` if the row cannot be read.
pub(super) fn record_of(row: &Row<'_>, collection: &'static Collection) -> Result<Option<Record>> {
    let first_last = collection.fields.len() + 1;
    let (Some(id), Some(created_at), Some(updated_at)) =
        (text(row, 0)?.and_then(|id| id.parse().ok()), time(row, first_last + 2)?, time(row, first_last + 3)?)
    else {
        return Ok(None);
    };
    let mut record = Record::new(collection, id, created_at);
    record.updated_at = updated_at;
    for (field, index) in collection.fields.iter().zip(1..) {
        let value = match row.get_ref(index)? {
            ValueRef::Null => None,
            ValueRef::Integer(flag @ (0 | 1)) if field.rule.column_kind() == ColumnKind::Boolean => {
                Some(FieldValue::Boolean(flag == 1))
            }
            ValueRef::Integer(integer) => Some(FieldValue::Integer(integer)),
            ValueRef::Text(_) => match text(row, index)? {
                Some(text) => Some(FieldValue::Text(text.to_owned())),
                None => return Ok(None),
            },
            // A strict table has no such values.
            ValueRef::Real(_) | ValueRef::Blob(_) => return Ok(None),
        };
        if let Some(value) = value {
            record.set(field, Some(value));
        }
    }
    // A change would overwrite text that was taken for an empty object.
    let (Some(origins), Some(extra), Some(deleted_at)) =
        (json::<Origins>(row, first_last)?, json::<Extra>(row, first_last + 1)?, time_or_null(row, first_last + 4)?)
    else {
        return Ok(None);
    };
    record.origins = origins;
    record.extra.extend(extra);
    record.deleted_at = deleted_at;
    Ok(Some(record))
}

/// Returns a column's text, or `None` if it is not valid UTF-8 text.
pub(super) fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r str>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(text) => str::from_utf8(text).ok(),
        _ => None,
    })
}

/// Returns a column's JSON, empty if the column is null, or `None` if it is not JSON of this type.
pub(super) fn json<T: DeserializeOwned + Default>(row: &Row<'_>, index: usize) -> Result<Option<T>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Some(T::default()),
        _ => text(row, index)?.and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// Whether a column is null or a JSON object, without reading the object's members.
pub(super) fn is_object_or_null(row: &Row<'_>, index: usize) -> Result<bool> {
    let is_object =
        |text: &str| text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    Ok(matches!(row.get_ref(index)?, ValueRef::Null) || text(row, index)?.is_some_and(is_object))
}

/// Returns a column's time, which can be null, or `None` if it is neither null nor a time.
pub(super) fn time_or_null(row: &Row<'_>, index: usize) -> Result<Option<Option<Timestamp>>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Some(None),
        _ => time(row, index)?.map(Some),
    })
}

/// Returns a column's microseconds as a time, or `None` if it is not an integer in range.
pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Integer(us) => Timestamp::from_microsecond(us).ok(),
        _ => None,
    })
}
