//! The garage's SQLite file: its schema, and one module of functions per table.

use std::path::Path;

use garage_sqlite::{Database, Error};
use rusqlite::{
    Row,
    types::{FromSql, Type},
};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod vehicles;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// Opens the garage's file and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    Database::open(path, migrations::migrations::runner()).await
}

/// A column's value as the domain's type; one that does not fit says which column it is.
fn parsed<S: FromSql, T>(row: &Row<'_>, column: &str, parse: impl FnOnce(S) -> Option<T>) -> rusqlite::Result<T> {
    parse(row.get(column)?).ok_or_else(|| {
        let reason = format!("{column} holds a value that this version cannot read");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
    })
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    parsed(row, column, |text: String| serde_json::from_str(&text).ok())
}

fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
