//! The parts of a garage's schema: which of them a file lacks or has in another form, because of damage or a tool, and
//! mending them.

use std::{
    fmt,
    sync::{LazyLock, OnceLock},
};

use garage_domain::COLLECTIONS;
use refinery::Target;
use rusqlite::{Connection, OptionalExtension, Result};

use super::{journal, migrations, text};

/// The table in which refinery records the applied migrations.
const MIGRATIONS: &str = "refinery_schema_history";
/// The search index. It is rebuilt from the vehicles.
const SEARCH_INDEX: &str = "vehicle_words";

/// A table, index, trigger or view of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    kind: String,
    name: String,
    sql: String,
}

impl Part {
    /// The kind and the name, such as `index vehicles_by_name`.
    fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    fn is_table(&self) -> bool {
        self.kind == "table"
    }

    /// Whether it is a table of records or of their history.
    fn holds_records(&self) -> bool {
        let is_of_collection = || COLLECTIONS.iter().any(|collection| collection.table == self.name);
        self.is_table() && (self.name == "history" || self.name == "foreign_records" || is_of_collection())
    }

    /// Whether the SQL is the same but for white space. That of refinery's table and of the search index's own tables
    /// depends on the versions of these libraries.
    fn has_same_sql(&self, other: &Part) -> bool {
        let compact = |sql: &str| sql.split_whitespace().collect::<String>();
        self.sql == other.sql
            || self.name == MIGRATIONS
            || is_of_search_index(&self.name)
            || compact(&self.sql) == compact(&other.sql)
    }
}

/// Whether a table is one in which the search index stores its data.
fn is_of_search_index(table: &str) -> bool {
    table.strip_prefix(SEARCH_INDEX).is_some_and(|rest| rest.starts_with('_'))
}

/// A part of the schema that a file lacks, or has with other SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Defect {
    part: Part,
    is_missing: bool,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = if self.is_missing { "is missing" } else { "differs from this version's schema" };
        write!(f, "{} {problem}", self.part.title())
    }
}

impl Defect {
    /// The part's kind and name, such as `index vehicles_by_name`.
    pub fn title(&self) -> String {
        self.part.title()
    }

    /// Whether it is a table of the search index. Without it SQLite's check of the whole file fails.
    pub fn is_of_search_index(&self) -> bool {
        is_of_search_index(&self.part.name)
    }

    /// Whether it is a missing table of this name.
    pub fn is_missing_table(&self, name: &str) -> bool {
        self.is_missing && self.part.is_table() && self.part.name == name
    }
}

/// The version of a file's schema, and whether the table of applied migrations names it. Without that table, a file
/// with content is taken for one of the newest version. `None` for an empty file.
fn version_of(connection: &Connection) -> Result<Option<(i64, bool)>> {
    let applied = match connection.table_exists(None, MIGRATIONS)? {
        true => connection.query_row(&format!("SELECT max(version) FROM {MIGRATIONS}"), [], |row| row.get(0))?,
        false => None,
    };
    let has_content = || parts(connection).map(|parts| parts.iter().any(|part| part.name != MIGRATIONS));
    match applied {
        Some(version) => Ok(Some((version, true))),
        None => Ok(has_content()?.then(|| (newest_version(), false))),
    }
}

/// The version of the newest migration.
pub(crate) fn newest_version() -> i64 {
    static NEWEST: LazyLock<i64> = LazyLock::new(|| {
        let migrations = migrations();
        migrations.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or_default().into()
    });
    *NEWEST
}

/// Whether the file's version is older than the newest.
pub(crate) fn is_older(connection: &Connection) -> Result<bool> {
    Ok(version_of(connection)?.is_some_and(|(version, _)| version < newest_version()))
}

/// Whether a file has no table, as one that was emptied.
pub(crate) fn is_empty(connection: &Connection) -> Result<bool> {
    Ok(version_of(connection)?.is_none())
}

/// The tables of a file, except the search index, which cannot be read without its own tables.
pub(crate) fn readable_tables(connection: &Connection) -> Result<Vec<String>> {
    let tables = parts(connection)?.into_iter().filter(|part| part.is_table() && part.name != SEARCH_INDEX);
    Ok(tables.map(|part| part.name).collect())
}

/// Names the parts that a file lacks of the schema of its version.
pub(crate) fn missing(connection: &Connection) -> Result<Vec<String>> {
    let defects = defects(connection)?;
    Ok(defects.iter().filter(|defect| defect.is_missing).map(Defect::title).collect())
}

/// Compares a file's schema with that of its version. Parts of an older version are compared by name only: the upgrade
/// replaces them.
pub(crate) fn defects(connection: &Connection) -> Result<Vec<Defect>> {
    let Some((version, is_recorded)) = version_of(connection)? else { return Ok(Vec::new()) };
    let (present, expected) = (parts(connection)?, expected_parts(version)?);
    let defect = |part: Part| {
        let found = present.iter().find(|it| it.name == part.name && it.kind == part.kind);
        let is_missing = found.is_none() || part.name == MIGRATIONS && !is_recorded;
        let is_same = || version < newest_version() || found.is_some_and(|found| found.has_same_sql(&part));
        (is_missing || !is_same()).then_some(Defect { part, is_missing })
    };
    Ok(expected.into_iter().filter_map(defect).collect())
}

/// Whether [`mend`] mends these parts and loses no row: a table that has other columns would have to be replaced.
/// Records of an older version cannot be rebuilt, and without the table of applied migrations the version is known only
/// if the file has all other parts of the newest one.
pub(crate) fn can_be_mended(connection: &Connection, defects: &[Defect]) -> Result<bool> {
    let is_older = is_older(connection)?;
    let is_version_known = defects.len() == 1 || !defects.iter().any(|defect| defect.is_missing_table(MIGRATIONS));
    Ok(is_version_known
        && defects.iter().all(|defect| {
            let name = &defect.part.name;
            !defect.part.is_table()
                || name == SEARCH_INDEX
                || defect.is_missing && !(is_older && defect.part.holds_records())
        }))
}

/// Mends a copy of a garage as [`mend`] does. Returns `false` and changes nothing if it cannot be mended or lacks a
/// table of records.
pub(crate) fn mend_copy(connection: &mut Connection) -> Result<bool> {
    let transaction = connection.transaction()?;
    let defects = defects(&transaction)?;
    let is_whole = !defects.iter().any(|defect| defect.part.holds_records());
    if !is_whole || !can_be_mended(&transaction, &defects)? {
        return Ok(false);
    }
    mend(&transaction, &defects)?;
    transaction.commit()?;
    Ok(true)
}

/// Creates missing parts again, and replaces changed ones. Tables get the rows that they have in a new garage, among
/// them another device id.
pub(crate) fn mend(connection: &Connection, defects: &[Defect]) -> Result<()> {
    let Some((version, _)) = version_of(connection)? else { return Ok(()) };
    let new = reference(version)?;
    let mut defects: Vec<&Defect> = defects.iter().collect();
    // Other parts need tables, and the search index makes its own.
    defects.sort_by_key(|Defect { part, .. }| (!part.is_table(), part.name != SEARCH_INDEX));
    for Defect { part, is_missing } in defects {
        if !is_missing {
            connection.execute_batch(&format!("DROP {} {}", part.kind, part.name))?;
        }
        let exists = "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2";
        if connection.query_row(exists, [&part.kind, &part.name], |_| Ok(())).optional()?.is_none() {
            connection.execute_batch(&part.sql)?;
        }
        if part.is_table() && part.name != SEARCH_INDEX {
            journal::copy_rows(&new, connection, &part.name)?;
        }
    }
    // While a trigger was missing, the index was not updated. After an upgrade it is rebuilt in any case.
    if version < newest_version() { Ok(()) } else { journal::rebuild_search(connection) }
}

/// The parts of the schema of a version. Those of the newest are computed once.
fn expected_parts(version: i64) -> Result<Vec<Part>> {
    static NEWEST: OnceLock<Vec<Part>> = OnceLock::new();
    if version != newest_version() {
        return parts(&reference(version)?);
    }
    if let Some(parts) = NEWEST.get() {
        return Ok(parts.clone());
    }
    let computed = parts(&reference(version)?)?;
    Ok(NEWEST.get_or_init(|| computed).clone())
}

/// An empty in-memory garage with the schema of a version.
fn reference(version: i64) -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    text::register(&connection)?;
    let target = version.try_into().map_or(Target::Latest, Target::Version);
    let runner = migrations().set_grouped(true).set_target(target);
    let migrated = runner.run(&mut connection);
    migrated.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(connection)
}

/// Lists the parts of a schema, except indexes that SQLite creates itself.
fn parts(connection: &Connection) -> Result<Vec<Part>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
    )?;
    let parts = statement.query_map([], |row| Ok(Part { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? }))?;
    parts.collect()
}
