//! Checks a garage's file and counts its content.

use std::path::PathBuf;

use garage_domain::{COLLECTIONS, Collection};
use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::{
    ErrorCode, Garage, GarageError,
    store::{self, foreign, history, records, schema},
    sync,
};

/// The result of checking a garage's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum FileState {
    /// SQLite's integrity check passes, and the schema is complete.
    Sound,
    /// SQLite's integrity check fails, or a part of the schema is missing or changed.
    Damaged {
        /// One message per problem.
        problems: Vec<String>,
    },
    /// The check itself failed, so the state is unknown.
    CouldNotCheck {
        /// The error message.
        reason: String,
    },
}

/// How many records of a collection a garage has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct RecordCount {
    /// The collection's name, such as `serviceEntries`.
    pub collection: &'static str,
    /// Records that are not removed.
    #[cfg_attr(feature = "specta", specta(type = u32))]
    pub count: u64,
    /// Removed records.
    #[cfg_attr(feature = "specta", specta(type = u32))]
    pub removed: u64,
}

/// The state of a garage's file and the amount of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// The result of the check.
    pub file: FileState,
    /// What is wrong with the tables of sync, a message for each; empty if nothing is.
    pub sync_problems: Vec<String>,
    /// The numbers of records, in the order of the collections.
    pub records: Vec<RecordCount>,
    /// Records of collections that this version does not know, including unreadable ones.
    pub foreign_records: u64,
    /// Changes in history.
    pub changes: u64,
    /// Rows that this version cannot read. Lists leave them out; backups, exports and repairs keep them.
    pub unreadable: u64,
    /// The version of the file's schema.
    pub schema: i64,
    /// The garage's file.
    pub garage_file: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The folder of its backups.
    pub backup_folder: PathBuf,
    /// The release of the vPIC data, such as `2026-10`; `None` without usable data.
    pub snapshot_month: Option<String>,
    /// The file of the vPIC data.
    pub snapshot_file: PathBuf,
}

struct Counted {
    records: Vec<RecordCount>,
    foreign_records: u64,
    changes: u64,
    unreadable: u64,
    schema: i64,
}

impl Garage {
    /// Checks the whole file and counts its content. Writers are not blocked. In a damaged file, what cannot be counted
    /// counts as 0.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the file cannot be read.
    pub async fn examine(&self) -> Result<Examination, GarageError> {
        let snapshot_month = self.snapshot_month().await.ok().map(str::to_owned);
        let examined = self.database.read_long(|transaction| {
            let file = state_of(transaction);
            let is_damaged = matches!(file, FileState::Damaged { .. });
            // The check of a damaged file says what is wrong.
            let sync_problems = if is_damaged { Vec::new() } else { sync::problems(transaction)? };
            Ok::<_, GarageError>((file, sync_problems, counted(transaction, is_damaged)?))
        });
        let (file, sync_problems, counted) = examined.await?;
        Ok(Examination {
            file,
            sync_problems,
            records: counted.records,
            foreign_records: counted.foreign_records,
            changes: counted.changes,
            unreadable: counted.unreadable,
            schema: counted.schema,
            garage_file: self.garage_file.clone(),
            size_bytes: std::fs::metadata(&self.garage_file).map(|it| it.len()).unwrap_or_default(),
            backup_folder: self.backup_folder(),
            snapshot_month,
            snapshot_file: self.snapshot.path().to_owned(),
        })
    }
}

fn counted(connection: &Connection, is_damaged: bool) -> rusqlite::Result<Counted> {
    let or_zero = |counted: rusqlite::Result<u64>| if is_damaged { counted.or(Ok(0)) } else { counted };
    let mut no_cancel = || Ok::<_, rusqlite::Error>(());
    let mut unreadable = or_zero(history::all(connection, &mut no_cancel).map(|(_, rows)| rows.len() as u64))?;
    unreadable += or_zero(foreign::all(connection).map(|(_, rows)| rows.len() as u64))?;
    let mut counts = Vec::new();
    for collection in COLLECTIONS {
        let found = records::all(connection, collection, &mut no_cancel);
        unreadable += or_zero(found.map(|found| found.unreadable.len() as u64))?;
        counts.push(match record_count(connection, collection) {
            Err(_) if is_damaged => RecordCount { collection: collection.name, count: 0, removed: 0 },
            counted => counted?,
        });
    }
    Ok(Counted {
        records: counts,
        foreign_records: or_zero(foreign::count(connection))?,
        changes: or_zero(history::count(connection))?,
        unreadable,
        schema: store::schema_version(connection).or_else(|error| if is_damaged { Ok(0) } else { Err(error) })?,
    })
}

/// The numbers of records in a sound garage.
pub(super) fn record_counts(connection: &Connection) -> rusqlite::Result<Vec<RecordCount>> {
    COLLECTIONS.into_iter().map(|collection| record_count(connection, collection)).collect()
}

fn record_count(connection: &Connection, collection: &Collection) -> rusqlite::Result<RecordCount> {
    let (count, removed) = records::count_by_removal(connection, collection)?;
    Ok(RecordCount { collection: collection.name, count, removed })
}

/// Runs SQLite's integrity check and compares the schema with the current one.
fn state_of(connection: &Connection) -> FileState {
    let problems = schema::defects(connection).map_err(GarageError::from).and_then(|defects| {
        let mut problems: Vec<String> = defects.iter().map(ToString::to_string).collect();
        match content_problems(connection, None) {
            // The check cannot read a search index that lacks a table.
            Err(_) if !defects.is_empty() => {}
            content => problems.extend(content?),
        }
        Ok(problems)
    });
    match problems {
        Ok(problems) if problems.is_empty() => FileState::Sound,
        Ok(problems) => FileState::Damaged { problems },
        Err(error) if error.code() == ErrorCode::GarageDamaged => {
            FileState::Damaged { problems: vec![error.to_string()] }
        }
        Err(error) => FileState::CouldNotCheck { reason: error.to_string() },
    }
}

/// Runs SQLite's integrity check of the file, or of one table.
///
/// # Errors
/// [`GarageError::Store`] if the check itself fails, which is damage only if its code is `GarageDamaged`.
pub(super) fn content_problems(connection: &Connection, table: Option<&str>) -> Result<Vec<String>, GarageError> {
    let mut problems = Vec::new();
    let mut push = |row: &Row<'_>| {
        problems.push(row.get::<_, String>(0)?);
        Ok(())
    };
    match table {
        None => connection.pragma_query(None, "integrity_check", &mut push)?,
        Some(table) => connection.pragma(None, "integrity_check", table, &mut push)?,
    }
    problems.retain(|problem| problem != "ok");
    Ok(problems)
}
