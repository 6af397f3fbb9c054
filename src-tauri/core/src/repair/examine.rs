//! Finding out what state a garage's file is in.

use std::path::PathBuf;

use garage_domain::{SERVICE_ENTRIES, VEHICLES};
use rusqlite::{Connection, ErrorCode as SqliteCode};
use serde::Serialize;

use crate::{
    Garage, GarageError,
    store::{self, history, records, schema},
};

/// Whether a garage's file is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum FileState {
    /// SQLite finds nothing wrong with it, and nothing of its schema is missing.
    Sound,
    /// SQLite finds it damaged, or a part of its schema is missing.
    Damaged {
        /// What is wrong.
        problems: Vec<String>,
    },
    /// It could not be checked, so nobody knows.
    CouldNotCheck {
        /// Why.
        reason: String,
    },
}

/// The state of a garage's file, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// Whether the file is sound.
    pub file: FileState,
    /// Vehicles in the garage.
    pub vehicles: u64,
    /// Vehicles that were removed and can be restored.
    pub removed: u64,
    /// Service entries, removed ones included.
    pub service_entries: u64,
    /// Records of collections that this version does not know.
    pub foreign_records: u64,
    /// Changes in history.
    pub changes: u64,
    /// Rows that this version cannot read. They are left out of lists, and kept in backups, exports and repairs.
    pub unreadable: u64,
    /// The version of the file's schema.
    pub schema: i64,
    /// The garage's file.
    pub garage_file: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Where its backups are.
    pub backup_folder: PathBuf,
    /// The release of the vPIC data, such as `2026-10`; none where there is no usable data.
    pub snapshot_month: Option<String>,
    /// The vPIC data's file.
    pub snapshot_file: PathBuf,
}

/// What is counted in a garage.
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
    /// Checks the whole file and counts what is in it. Does not hold up writers.
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
    let mut unreadable = history::all(connection, &mut go_on)?.1.len();
    for collection in garage_domain::COLLECTIONS {
        unreadable += records::all(connection, collection, &mut go_on)?.unreadable.len();
    }
    let removed = count("SELECT count(*) FROM vehicles WHERE deleted_at_us IS NOT NULL")?;
    Ok(Counted {
        vehicles: records::count(connection, &VEHICLES)? - removed,
        removed,
        service_entries: records::count(connection, &SERVICE_ENTRIES)?,
        foreign_records: count("SELECT count(*) FROM foreign_records")?,
        changes: history::count(connection)?,
        unreadable: unreadable as u64,
        schema: store::schema_version(connection)?,
    })
}

/// What SQLite says of a file, and what is missing of its schema.
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
