//! Reads the readable rows of a damaged file, without interpreting their values.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{Read, Seek, Write},
    path::Path,
};

use garage_domain::COLLECTIONS;
use garage_files::with_suffix;
use rusqlite::{Connection, OpenFlags, Result, Row};

use crate::{GarageError, error::at, store::stored_value::StoredValue};

/// The tables to read besides those of the collections. The search index and sort keys are rebuilt instead.
const TABLES: [&str; 10] =
    ["history", "device", "waiting", "base", "sent", "alias", "conflict", "foreign_records", "refused", "sync"];
/// The recursion limit of the binary search for readable rows between two damaged places.
const DEEPEST_PROBE: u32 = 12;

pub(super) struct Table {
    pub name: &'static str,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<StoredValue>>,
}

/// Reads a copy of the file, since reading a damaged database can change it. SQLite reads nothing if the first page is
/// damaged, so the copy is read up to three times: as it is, with the header of the `sound` garage, and with its first
/// page. Returns no table if nothing is readable.
///
/// # Errors
/// [`GarageError::Store`] if the file cannot be copied.
pub(super) fn salvaged(file: &Path, copy: &Path, sound: &Path) -> std::result::Result<Vec<Table>, GarageError> {
    for beginning in [0, HEADER_BYTES, PAGE_BYTES] {
        for suffix in ["", "-wal"] {
            let (from, to) = (with_suffix(file, suffix), with_suffix(copy, suffix));
            match std::fs::copy(&from, &to) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(at(&from, source)),
                _ => {}
            }
        }
        let _ = std::fs::remove_file(with_suffix(copy, "-shm"));
        replace_beginning(copy, sound, beginning).map_err(|source| at(copy, source))?;
        let tables = read(copy, sound);
        if tables.iter().any(|table| table.name != "device" && !table.rows.is_empty()) {
            return Ok(tables);
        }
    }
    Ok(Vec::new())
}

fn read(copy: &Path, sound: &Path) -> Vec<Table> {
    let connection = |path: &Path, flags| Connection::open_with_flags(path, flags).ok();
    let (Some(damaged), Some(sound)) =
        (connection(copy, OpenFlags::SQLITE_OPEN_READ_WRITE), connection(sound, OpenFlags::SQLITE_OPEN_READ_ONLY))
    else {
        return Vec::new();
    };
    // Lets SQLite read a file that is shorter than its header says.
    let _ = damaged.pragma_update(None, "writable_schema", true);
    let collections = COLLECTIONS.iter().map(|collection| collection.table);
    collections.chain(TABLES).filter_map(|name| table(&damaged, &sound, name)).collect()
}

/// Reads a table by the columns of the current schema. A file with an older schema lacks some of them, which then get
/// the new file's defaults.
fn table(damaged: &Connection, sound: &Connection, name: &'static str) -> Option<Table> {
    let of_table = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0";
    let names = |connection: &Connection| -> Result<Vec<String>> {
        connection.prepare(of_table)?.query_map([name], |row| row.get(0))?.collect()
    };
    let present = names(damaged).ok()?;
    let old_name = |column: &str| match column {
        "record_id" if name == "history" => "vehicle_id".to_owned(),
        column => column.to_owned(),
    };
    let is_key = |column: &String| matches!(column.as_str(), "name_key" | "make_key" | "type_key");
    let mut columns = Vec::new();
    let mut sources = Vec::new();
    for column in names(sound).ok()?.into_iter().filter(|column| !is_key(column)) {
        if let Some(source) = [column.clone(), old_name(&column)].into_iter().find(|it| present.contains(it)) {
            columns.push(column);
            sources.push(source);
        }
    }
    if columns.is_empty() {
        return None;
    }
    let rows = match columns.iter().any(|column| column == "position") {
        true => rows_by_position(damaged, name, &sources.join(", ")),
        false => rows_in_order(damaged, name, &sources.join(", ")),
    };
    Some(Table { name, columns, rows })
}

/// Reads rows up to the first damaged place.
fn rows_in_order(connection: &Connection, table: &str, columns: &str) -> Vec<Vec<StoredValue>> {
    let mut found = Vec::new();
    let mut read = || {
        let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push(values_of(row)?);
        }
        Ok::<_, rusqlite::Error>(())
    };
    let _ = read();
    found
}

/// Reads rows by position: up to the first damaged place, from the end back to the last one, and those in between.
fn rows_by_position(connection: &Connection, table: &'static str, columns: &str) -> Vec<Vec<StoredValue>> {
    let mut search = Search { connection, table, columns, rows: BTreeMap::new() };
    let (before, is_all) = search.read("", "ORDER BY position");
    if !is_all {
        let before = before.unwrap_or(i64::MIN);
        let (behind, _) = search.read("", "ORDER BY position DESC");
        let behind = behind.unwrap_or(i64::MAX);
        for position in search.listed_by_indexes() {
            if position > before && position < behind {
                search.read(&format!("WHERE position = {position}"), "");
            }
        }
        search.between(before, behind, 0);
    }
    search.rows.into_values().collect()
}

/// The rows of a table found so far, by position.
struct Search<'a> {
    connection: &'a Connection,
    table: &'static str,
    columns: &'a str,
    rows: BTreeMap<i64, Vec<StoredValue>>,
}

impl Search<'_> {
    /// Reads rows until they end or one cannot be read. Returns the last position read, and whether it reached the end.
    fn read(&mut self, condition: &str, order: &str) -> (Option<i64>, bool) {
        let Search { connection, table, columns, rows: found } = self;
        let sql = format!("SELECT {columns}, position AS place FROM {table} {condition} {order}");
        let mut last = None;
        let mut read = || {
            let mut statement = connection.prepare_cached(&sql)?;
            let place_index = statement.column_count() - 1;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let place: i64 = row.get(place_index)?;
                last = Some(place);
                let mut values = values_of(row)?;
                values.truncate(place_index);
                found.insert(place, values);
            }
            Ok::<_, rusqlite::Error>(())
        };
        let is_end = read().is_ok();
        (last, is_end)
    }

    /// Lists the positions in the table's indexes, without reading the table.
    fn listed_by_indexes(&self) -> HashSet<i64> {
        let mut listed = HashSet::new();
        let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1";
        let names = |sql: &str| -> Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map([self.table], |row| row.get(0))?.collect()
        };
        for index in names(indexes).unwrap_or_default() {
            for order in ["ASC", "DESC"] {
                // SQLite uses a partial index only with its own condition.
                for presence in ["", "WHERE deleted_at_us IS NULL", "WHERE deleted_at_us IS NOT NULL"] {
                    let table = self.table;
                    let sql = format!(
                        "SELECT position FROM {table} INDEXED BY \"{}\" {presence} ORDER BY id {order}",
                        index.replace('"', "\"\"")
                    );
                    let mut read = || {
                        let mut statement = self.connection.prepare(&sql)?;
                        let mut rows = statement.query([])?;
                        while let Some(row) = rows.next()? {
                            listed.insert(row.get(0)?);
                        }
                        Ok::<_, rusqlite::Error>(())
                    };
                    let _ = read();
                }
            }
        }
        listed
    }

    /// Binary search for readable rows between two positions that were read.
    fn between(&mut self, low: i64, high: i64, depth: u32) {
        if depth > DEEPEST_PROBE || high.saturating_sub(low) < 2 {
            return;
        }
        let middle = low / 2 + high / 2;
        let (last, is_end) =
            self.read(&format!("WHERE position >= {middle} AND position < {high}"), "ORDER BY position");
        if let Some(last) = last.filter(|_| !is_end) {
            self.between(last, high, depth + 1);
        } else if last.is_none() && !is_end {
            self.between(middle, high, depth + 1);
        }
        let below = format!("WHERE position > {low} AND position < {middle}");
        let (first, is_start) = self.read(&below, "ORDER BY position DESC");
        if !is_start {
            self.between(low, first.unwrap_or(middle), depth + 1);
        }
    }
}

fn values_of(row: &Row<'_>) -> Result<Vec<StoredValue>> {
    (0..row.as_ref().column_count()).map(|index| row.get_ref(index).map(StoredValue::from)).collect()
}

/// The sizes of SQLite's header and of a garage's pages (<https://sqlite.org/fileformat.html>).
const HEADER_BYTES: usize = 100;
const PAGE_BYTES: usize = 4_096;

/// Overwrites the first `length` bytes of a file with those of a sound garage.
fn replace_beginning(file: &Path, sound: &Path, length: usize) -> std::io::Result<()> {
    // If "change counter" and "version-valid-for" differ, SQLite ignores the header's page count and uses the file's
    // size.
    const CHANGE_COUNTER: std::ops::Range<usize> = 24..28;
    const PAGES_VALID_FOR: std::ops::Range<usize> = 92..96;
    const FREE_PAGES: std::ops::Range<usize> = 32..40;
    if length == 0 || !file.exists() {
        return Ok(());
    }
    let mut beginning = vec![0; length];
    File::open(sound)?.read_exact(&mut beginning)?;
    beginning[CHANGE_COUNTER].fill(1);
    beginning[PAGES_VALID_FOR].fill(0);
    beginning[FREE_PAGES].fill(0);
    let mut file = File::options().write(true).open(file)?;
    if file.metadata()?.len() < beginning.len() as u64 {
        return Ok(());
    }
    file.rewind()?;
    file.write_all(&beginning)
}
