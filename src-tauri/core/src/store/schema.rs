//! The parts of a garage's schema, and which of them a file lacks because of damage or a tool.

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
    /// The kind and the name, such as `index vehicles_by_name`.
    pub fn name(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Whether it holds records, which cannot be created again.
    pub fn holds_records(&self) -> bool {
        let is_of_collection = || COLLECTIONS.iter().any(|collection| collection.table == self.name);
        self.kind == "table" && (self.name == "history" || is_of_collection())
    }
}

/// Returns the parts of the current schema that a file lacks. All migrations must have been applied.
pub(crate) fn missing(connection: &Connection) -> Result<Vec<Part>> {
    let present = parts(connection)?;
    let expected = parts(&reference()?)?;
    let is_missing = |part: &Part| !present.iter().any(|it| it.name == part.name && it.kind == part.kind);
    Ok(expected.into_iter().filter(is_missing).collect())
}

/// Creates missing parts. Tables come first, because indexes, triggers and views need them.
pub(crate) fn mend(connection: &Connection, missing: &[Part]) -> Result<()> {
    let mut missing: Vec<&Part> = missing.iter().collect();
    missing.sort_by_key(|part| (part.kind != "table", part.kind != "view"));
    for part in missing {
        connection.execute_batch(&part.sql)?;
    }
    if connection.query_row("SELECT count(*) FROM upkeep", [], |row| row.get::<_, i64>(0))? == 0 {
        connection.execute("INSERT INTO upkeep VALUES (1, 0, 0)", [])?;
    }
    if connection.query_row("SELECT count(*) FROM device", [], |row| row.get::<_, i64>(0))? == 0 {
        connection.execute_batch(NEW_DEVICE)?;
    }
    // While a trigger was missing, the index was not updated.
    journal::rebuild_search(connection)
}

/// A random UUID (version 4) as the new device id if the old one is lost. History keeps the old id.
const NEW_DEVICE: &str = "INSERT INTO device VALUES (1, lower(
    hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
    || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
))";

/// An empty in-memory garage with the current schema.
fn reference() -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    text::register(&connection)?;
    let migrated = migrations::migrations::runner().set_grouped(true).run(&mut connection);
    migrated.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(connection)
}

/// Lists the parts of a schema, except those that SQLite creates itself, such as a search index's tables.
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
