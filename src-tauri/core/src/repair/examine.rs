//! Checks a garage's file and counts its content.

use std::path::PathBuf;

use garage_domain::{SERVICE_ENTRIES, VEHICLES};
use rusqlite::{Connection, ErrorCode as SqliteCode};
use serde::Serialize;

use crate::{
    Garage, GarageError,
    store::{self, foreign, history, records, schema},
};

/// The result of checking a garage's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum FileState {
    /// SQLite's integrity check passes, and the schema is complete.
    Sound,
    /// SQLite's integrity check fails, or a part of the schema is missing.
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

/// The state of a garage's file and the amount of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// The result of the check.
    pub file: FileState,
    /// Vehicles that are not removed.
    pub vehicles: u64,
    /// Removed vehicles.
    pub removed: u64,
    /// Service entries, including removed ones.
    pub service_entries: u64,
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
    vehicles: u64,
    removed: u64,
    service_entries: u64,
    foreign_records: u64,
    changes: u64,
    unreadable: u64,
    schema: i64,
}

impl Garage {
    /// Checks the whole file and counts its content. Writers are not blocked.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the file is too damaged to count anything.
    pub async fn examine(&self) -> Result<Examination, GarageError> {
        let snapshot_month = self.snapshot_month().await.ok().map(str::to_owned);
        let examined =
            self.database.read_long(|transaction| Ok::<_, GarageError>((state_of(transaction), counted(transaction)?)));
        let (file, counted) = examined.await?;
        Ok(Examination {
            file,
            vehicles: counted.vehicles,
            removed: counted.removed,
            service_entries: counted.service_entries,
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

fn counted(connection: &Connection) -> rusqlite::Result<Counted> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let mut go_on = || Ok::<_, rusqlite::Error>(());
    let mut unreadable = history::all(connection, &mut go_on)?.1.len() + foreign::all(connection)?.1.len();
    for collection in garage_domain::COLLECTIONS {
        unreadable += records::all(connection, collection, &mut go_on)?.unreadable.len();
    }
    let removed = count("SELECT count(*) FROM vehicles WHERE deleted_at_us IS NOT NULL")?;
    Ok(Counted {
        vehicles: records::count(connection, &VEHICLES)? - removed,
        removed,
        service_entries: records::count(connection, &SERVICE_ENTRIES)?,
        foreign_records: foreign::count(connection)?,
        changes: history::count(connection)?,
        unreadable: unreadable as u64,
        schema: store::schema_version(connection)?,
    })
}

/// Runs SQLite's integrity check and compares the schema with the current one.
pub(super) fn state_of(connection: &Connection) -> FileState {
    let mut problems = Vec::new();
    let checked = connection.pragma_query(None, "integrity_check", |row| {
        problems.push(row.get::<_, String>(0)?);
        Ok(())
    });
    problems.retain(|problem| problem != "ok");
    let checked = checked.and_then(|()| schema::missing(connection));
    match checked {
        Ok(missing) => problems.extend(missing.iter().map(|it| format!("{} is missing", it.name()))),
        Err(error) if is_damage(&error) => problems.push(error.to_string()),
        Err(error) => return FileState::CouldNotCheck { reason: error.to_string() },
    }
    if problems.is_empty() { FileState::Sound } else { FileState::Damaged { problems } }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase))
}
