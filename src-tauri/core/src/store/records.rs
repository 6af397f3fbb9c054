//! Reading records of any collection. Reading never judges: a value that no rule allows is carried, and a row that
//! cannot be read at all is left out and counted, never an error.

use std::{collections::HashMap, sync::LazyLock};

use garage_domain::{
    COLLECTIONS, Collection, ColumnKind, Extra, Field, FieldAccess, FieldValue, Origins, Record, RecordId,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, types::ValueRef};
use serde::Serialize;
use serde_json::{Map, Value};

/// `SELECT id, …, deleted_at_us FROM table` for each collection, by its declaration; to be continued with a condition.
static SELECTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let select = |collection: &Collection| format!("SELECT {} FROM {}", columns(collection), collection.table);
    COLLECTIONS.into_iter().map(|collection| (collection.name, select(collection))).collect()
});

/// The columns of a record, in the order of [`record_of`].
pub(super) fn columns(collection: &Collection) -> String {
    let fields: Vec<&str> = collection.fields.iter().map(|field| field.column).collect();
    format!("id, {}, origins, extra, created_at_us, updated_at_us, deleted_at_us", fields.join(", "))
}

/// The beginning of a statement that reads records.
pub(super) fn select(collection: &Collection) -> &'static str {
    SELECTS.get(collection.name).unwrap_or_else(|| unreachable!("every collection has its statement"))
}

/// Records that were read, and the rows that could not be.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub records: Vec<Record>,
    pub unreadable: Vec<Unreadable>,
}

/// A row that is no record or change, column by column, for a person to look at.
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

/// The record of this id, or of the record that it was joined to; removed or not.
pub(crate) fn by_id(connection: &Connection, collection: &'static Collection, id: RecordId) -> Result<Option<Record>> {
    let id = resolved(connection, collection, id)?;
    let sql = format!("{} WHERE id = ?1", select(collection));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map_or(Ok(None), |row| record_of(row, collection))
}

/// The id that records with this id go by: another one, if the record was joined to another.
pub(crate) fn resolved(connection: &Connection, collection: &Collection, id: RecordId) -> Result<RecordId> {
    let sql = "SELECT record_id FROM alias WHERE collection = ?1 AND alias_id = ?2";
    let alias: Option<String> =
        connection.prepare_cached(sql)?.query_row([collection.name, &id.to_string()], |row| row.get(0)).optional()?;
    Ok(alias.and_then(|alias| alias.parse().ok()).unwrap_or(id))
}

/// All records of a collection, the removed ones too, in their order; `at_each` can stop it.
pub(crate) fn all<E: From<rusqlite::Error>>(
    connection: &Connection,
    collection: &'static Collection,
    at_each: &mut dyn FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<Found, E> {
    let sql = format!("{} ORDER BY position", select(collection));
    collected(connection, collection, &sql, &[], at_each)
}

/// The records whose reference `field` leads to this record, the removed ones too, in the order of `field`.
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

/// How many rows a collection has, the removed ones too.
pub(crate) fn count(connection: &Connection, collection: &Collection) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", collection.table);
    let count = connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// Whether there is a row of this id, readable or not.
pub(crate) fn exists(connection: &Connection, collection: &Collection, id: RecordId) -> Result<bool> {
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", collection.table);
    connection.prepare_cached(&sql)?.exists([id.to_string()])
}

/// Another live record than `id` with this value in the collection's unique field.
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

/// A record from a row of `select`; `None` if the row cannot be read.
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
            // A strict table holds no other.
            ValueRef::Real(_) | ValueRef::Blob(_) => return Ok(None),
        };
        if let Some(value) = value {
            record.set(field, Some(value));
        }
    }
    // Bookkeeping that nobody can read says nothing, and the row is there all the same.
    record.origins =
        text(row, first_last)?.and_then(|text| serde_json::from_str::<Origins>(text).ok()).unwrap_or_default();
    let extra = text(row, first_last + 1)?.and_then(|text| serde_json::from_str::<Extra>(text).ok());
    record.extra.extend(extra.unwrap_or_default());
    record.deleted_at = match row.get_ref(first_last + 4)? {
        ValueRef::Null => None,
        _ => match time(row, first_last + 4)? {
            Some(time) => Some(time),
            None => return Ok(None),
        },
    };
    Ok(Some(record))
}

/// A column's text; `None` if it holds none, or no UTF-8.
pub(super) fn text<'r>(row: &'r Row<'_>, index: usize) -> Result<Option<&'r str>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(text) => str::from_utf8(text).ok(),
        _ => None,
    })
}

/// A column's microseconds as a time; `None` if it holds none, or one out of range.
pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Integer(us) => Timestamp::from_microsecond(us).ok(),
        _ => None,
    })
}
