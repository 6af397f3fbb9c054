//! Values of rows as SQLite stores them, for copying rows without interpreting them.

use rusqlite::{
    Result, ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

/// A value as SQLite stores it. SQLite stores any bytes as text, not only UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoredValue {
    Text(Vec<u8>),
    Other(Value),
}

impl From<ValueRef<'_>> for StoredValue {
    fn from(value: ValueRef<'_>) -> StoredValue {
        match value {
            ValueRef::Text(bytes) => StoredValue::Text(bytes.to_owned()),
            ValueRef::Blob(bytes) => StoredValue::Other(Value::Blob(bytes.to_owned())),
            ValueRef::Real(float) => StoredValue::Other(Value::Real(float)),
            ValueRef::Integer(integer) => StoredValue::Other(Value::Integer(integer)),
            ValueRef::Null => StoredValue::Other(Value::Null),
        }
    }
}

impl ToSql for StoredValue {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            StoredValue::Text(bytes) => ValueRef::Text(bytes),
            StoredValue::Other(value) => value.into(),
        }))
    }
}
