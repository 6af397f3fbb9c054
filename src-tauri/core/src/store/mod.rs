//! The garage's SQLite file: its schema, and one module of functions per table.

use std::{fmt::Display, path::Path};

use garage_sqlite::{Database, Error};
use rusqlite::{
    Connection, Row, RowIndex,
    types::{FromSql, Type},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod vehicles;
pub(crate) mod vin_cache;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// Opens the garage's file and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    Database::open(path, migrations::migrations::runner()).await
}

/// Opens a backup and checks that it is an intact garage.
pub(crate) async fn check(path: &Path) -> Result<Connection, Error> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || garage_sqlite::check(&path, &migrations::migrations::runner()))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Replaces the garage's content by a backup's, as another device.
pub(crate) async fn replace(
    database: &Database,
    backup: Connection,
    device_id: Uuid,
    goes_on: impl Fn(u64, u64) -> bool + Send + 'static,
) -> Result<(), Error> {
    database.replace(backup, migrations::migrations::runner(), goes_on).await?;
    database
        .write(move |transaction| {
            transaction.execute("UPDATE device SET device_id = ?1", [device_id.to_string()])?;
            Ok(())
        })
        .await
}

/// A column's value as the domain's type; one that does not fit says which column it is.
fn parsed<S: FromSql, T>(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
    parse: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<T> {
    parse(row.get(column)?).ok_or_else(|| {
        let reason = format!("column {column} holds a value that this version cannot read");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
    })
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: impl RowIndex + Copy + Display) -> rusqlite::Result<T> {
    parsed(row, column, |text: String| serde_json::from_str(&text).ok())
}

fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
