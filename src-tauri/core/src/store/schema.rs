//! What a garage's schema consists of, and what of it a file lacks: a tool, or damage, may have dropped a part.

use garage_domain::COLLECTIONS;
use rusqlite::{Connection, Result};

use super::{journal, migrations, text};

/// A table, index, trigger or view of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    kind: String,
    name: String,
    sql: String,
}

impl Part {
    /// What it is and is called, such as `index vehicles_by_name`.
    pub fn name(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Whether it holds records, which nothing but a salvage brings back.
    pub fn holds_records(&self) -> bool {
        let is_of_collection = || COLLECTIONS.iter().any(|collection| collection.table == self.name);
        self.kind == "table" && (self.name == "history" || is_of_collection())
    }
}

/// The parts of the current schema that a file lacks. Only for a file whose migrations have all been applied.
pub(crate) fn missing(connection: &Connection) -> Result<Vec<Part>> {
    let present = parts(connection)?;
    let expected = parts(&reference()?)?;
    let is_missing = |part: &Part| !present.iter().any(|it| it.name == part.name && it.kind == part.kind);
    Ok(expected.into_iter().filter(is_missing).collect())
}

/// Makes missing parts again. Tables first, so that the others find what they are on.
pub(crate) fn mend(connection: &Connection, missing: &[Part]) -> Result<()> {
    let mut missing: Vec<&Part> = missing.iter().collect();
    missing.sort_by_key(|part| (part.kind != "table", part.kind != "view"));
    for part in missing {
        connection.execute_batch(&part.sql)?;
    }
    if connection.query_row("SELECT count(*) FROM search_version", [], |row| row.get::<_, i64>(0))? == 0 {
        connection.execute("INSERT INTO search_version VALUES (1, 0)", [])?;
    }
    if connection.query_row("SELECT count(*) FROM device", [], |row| row.get::<_, i64>(0))? == 0 {
        connection.execute_batch(NEW_DEVICE)?;
    }
    // A missing trigger has left the index behind.
    journal::rebuild_search(connection)
}

/// A random UUID (version 4) for a device whose name is lost; history keeps the old one.
const NEW_DEVICE: &str = "INSERT INTO device VALUES (1, lower(
    hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
    || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
))";

/// An empty garage of the current schema, in memory.
fn reference() -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    text::register(&connection)?;
    let migrated = migrations::migrations::runner().set_grouped(true).run(&mut connection);
    migrated.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(connection)
}

/// Without those that SQLite makes itself, such as the tables of a search index.
fn parts(connection: &Connection) -> Result<Vec<Part>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'vehicle\\_words\\_%' ESCAPE '\\'
             AND name <> 'refinery_schema_history'
         ORDER BY rowid",
    )?;
    let parts = statement.query_map([], |row| Ok(Part { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? }))?;
    parts.collect()
}
