//! When a garage's file is damaged: finding out, moving it aside, and saving what can still be read.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
};

use garage_domain::{Origin, Vehicle, VehicleFields, VehicleId};
use rusqlite::{Connection, OpenFlags, Row};
use serde::Serialize;

use crate::{
    ChangeKind, ChangeListener, ErrorCode, FieldChange, Garage, GarageConfig, GarageError, HistoryEntry,
    store::{
        history as history_table,
        vehicles::{self as vehicles_table, COLUMNS},
    },
};

/// The state of a garage's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// What SQLite finds wrong with the file; empty where nothing is.
    pub problems: Vec<String>,
    /// Vehicles in the garage.
    pub vehicles: u64,
    /// Vehicles that were removed and can be restored.
    pub removed: u64,
    /// Changes in history.
    pub changes: u64,
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

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// Where the damaged file is now; it is never deleted.
    pub damaged_file: PathBuf,
    /// Vehicles that were saved from it, the removed ones included.
    #[cfg_attr(feature = "specta", specta(type = u32))]
    pub vehicles: usize,
    /// Changes of history that were saved from it.
    #[cfg_attr(feature = "specta", specta(type = u32))]
    pub changes: usize,
    /// The newest backup beside the garage, which may hold what could not be saved.
    pub newest_backup: Option<PathBuf>,
}

impl Garage {
    /// Checks the whole file and counts what is in it.
    ///
    /// # Errors
    /// The file is too damaged even for that.
    pub async fn examine(&self) -> Result<Examination, GarageError> {
        let snapshot_month = self.snapshot_month().await.ok().map(str::to_owned);
        let counted = self.database.read(|transaction| {
            let mut problems = Vec::new();
            transaction.pragma_query(None, "integrity_check", |row| {
                problems.push(row.get::<_, String>(0)?);
                Ok(())
            })?;
            problems.retain(|problem| problem != "ok");
            let count = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
            let vehicles = count("SELECT count(*) FROM vehicles WHERE deleted_at_us IS NULL")?.unsigned_abs();
            let removed = count("SELECT count(*) FROM vehicles WHERE deleted_at_us IS NOT NULL")?.unsigned_abs();
            let changes = count("SELECT count(*) FROM history")?.unsigned_abs();
            let schema = count("SELECT max(version) FROM refinery_schema_history")?;
            Ok::<_, GarageError>((problems, vehicles, removed, changes, schema))
        });
        let (problems, vehicles, removed, changes, schema) = counted.await?;
        Ok(Examination {
            problems,
            vehicles,
            removed,
            changes,
            schema,
            garage_file: self.garage_file.clone(),
            size_bytes: std::fs::metadata(&self.garage_file).map(|it| it.len()).unwrap_or_default(),
            backup_folder: self.backup_folder(),
            snapshot_month,
            snapshot_file: self.snapshot.path().to_owned(),
        })
    }

    /// Opens the garage as [`Garage::open`] does; a damaged one is repaired first, and then the repair is told.
    ///
    /// # Errors
    /// As of [`Garage::open`] and [`Garage::repair`].
    pub async fn open_or_repair(
        config: GarageConfig,
        on_change: ChangeListener,
    ) -> Result<(Garage, Option<Repair>), GarageError> {
        match Garage::open(config.clone(), on_change.clone()).await {
            Err(error) if error.code() == ErrorCode::GarageDamaged => {
                let lock = RepairLock::take(&config).await?;
                // Another program may have been quicker.
                match Garage::open(config.clone(), on_change.clone()).await {
                    Err(error) if error.code() == ErrorCode::GarageDamaged => {}
                    opened => return Ok((opened?, None)),
                }
                let (garage, repair) = Garage::repair_locked(config, on_change, &lock).await?;
                Ok((garage, Some(repair)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Moves a damaged garage aside and makes a new one of what can be read in it. A vehicle whose own row is lost is
    /// put together again from its history.
    ///
    /// # Errors
    /// The files cannot be moved, or the new garage cannot be written; the damaged file is there in any case.
    pub async fn repair(config: GarageConfig, on_change: ChangeListener) -> Result<(Garage, Repair), GarageError> {
        let lock = RepairLock::take(&config).await?;
        Garage::repair_locked(config, on_change, &lock).await
    }

    async fn repair_locked(
        config: GarageConfig,
        on_change: ChangeListener,
        _lock: &RepairLock,
    ) -> Result<(Garage, Repair), GarageError> {
        let stamp = config.environment.now().strftime("%Y%m%dT%H%M%S%.fZ").to_string();
        let damaged_file = with_suffix(&config.garage_file, &format!(".damaged-{stamp}"));
        let repairing_file = with_suffix(&config.garage_file, &format!(".repairing-{stamp}"));
        // Filled first and put in place when it is whole: where that fails, all is as it was.
        let Salvage { vehicles, history } = Salvage::of(&config.garage_file);
        let (vehicle_count, change_count) = (vehicles.len(), history.len());
        let repairing = GarageConfig { garage_file: repairing_file.clone(), ..config.clone() };
        if let Err(error) = filled(repairing, vehicles, history).await {
            for suffix in SUFFIXES {
                let _ = std::fs::remove_file(with_suffix(&repairing_file, suffix));
            }
            return Err(error);
        }
        // SQLite's companions go along: the log may hold the newest edits.
        for suffix in SUFFIXES {
            move_if_there(&with_suffix(&config.garage_file, suffix), &with_suffix(&damaged_file, suffix))?;
        }
        move_if_there(&repairing_file, &config.garage_file)?;
        tracing::warn!(file = %damaged_file.display(), vehicle_count, change_count, "the damaged garage was moved aside");
        let garage = Garage::open(config, on_change).await?;
        let newest_backup = garage.backups()?.into_iter().next().map(|backup| backup.file);
        Ok((garage, Repair { damaged_file, vehicles: vehicle_count, changes: change_count, newest_backup }))
    }
}

/// Held while a garage is repaired: two who repair at once would move each other's new garage aside. The system lets go
/// of it when a program ends, however it ends.
struct RepairLock {
    _file: File,
}

impl RepairLock {
    async fn take(config: &GarageConfig) -> Result<RepairLock, GarageError> {
        let path = with_suffix(&config.garage_file, ".repair-lock");
        let wait = move || {
            let file = File::create(&path).and_then(|file| file.lock().map(|()| file));
            let file = file.map_err(|source| garage_sqlite::Error::File { path, source })?;
            Ok(RepairLock { _file: file })
        };
        tokio::task::spawn_blocking(wait).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

/// SQLite's files: the database, its log, and the log's index.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// A new garage with this in it, closed again.
async fn filled(config: GarageConfig, vehicles: Vec<Vehicle>, history: Vec<HistoryEntry>) -> Result<(), GarageError> {
    let garage = Garage::open(config, ChangeListener::none()).await?;
    let fill = garage.database.write(move |transaction| {
        for vehicle in &vehicles {
            vehicles_table::insert(transaction, vehicle)?;
        }
        for entry in &history {
            history_table::insert(transaction, entry)?;
        }
        Ok::<_, GarageError>(())
    });
    let filled = fill.await;
    garage.close().await;
    filled
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), GarageError> {
    match std::fs::rename(from, to) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(garage_sqlite::Error::File { path: from.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What can be read of a damaged file, in its order; nothing where it is no database at all.
#[derive(Default)]
struct Salvage {
    vehicles: Vec<Vehicle>,
    history: Vec<HistoryEntry>,
}

impl Salvage {
    fn of(file: &Path) -> Salvage {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let Ok(connection) = Connection::open_with_flags(file, flags) else { return Salvage::default() };
        // Lets SQLite read a file that is shorter than it says.
        let _ = connection.pragma_update(None, "writable_schema", true);
        // A garage that was not upgraded before it was damaged lacks what came later.
        let has_column = |column: &str| connection.column_exists(None, "vehicles", column).unwrap_or(false);
        let columns = COLUMNS.split(", ").map(|column| if has_column(column) { column } else { "'{}'" });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let mut vehicles = readable_rows(&connection, &columns, "vehicles", vehicles_table::vehicle_of, |it| it.id);
        let history = readable_rows(&connection, "*", "history", history_table::entry_of, |entry| entry.id);
        let found: HashSet<VehicleId> = vehicles.iter().map(|vehicle| vehicle.id).collect();
        vehicles.extend(told_by(&history).into_iter().filter(|vehicle| !found.contains(&vehicle.id)));
        Salvage { vehicles, history }
    }
}

/// The vehicles as their history tells them, in the order in which they were added. One whose beginning is lost is put
/// together as far as its changes go.
fn told_by(history: &[HistoryEntry]) -> Vec<Vehicle> {
    let mut vehicles: Vec<Vehicle> = Vec::new();
    for entry in history {
        let known = vehicles.iter().position(|vehicle| vehicle.id == entry.vehicle_id);
        let index = known.unwrap_or_else(|| {
            vehicles.push(Vehicle {
                id: entry.vehicle_id,
                fields: VehicleFields::default(),
                origins: BTreeMap::new(),
                created_at: entry.at,
                updated_at: entry.at,
                deleted_at: None,
            });
            vehicles.len() - 1
        });
        let vehicle = &mut vehicles[index];
        for FieldChange { field, new, origin, .. } in &entry.fields {
            vehicle.fields.set(*field, new.clone());
            vehicle.origins.remove(field);
            if new.is_some() && *origin != Origin::Typed {
                vehicle.origins.insert(*field, origin.clone());
            }
        }
        vehicle.updated_at = entry.at;
        vehicle.deleted_at = (entry.kind == ChangeKind::Removed).then_some(entry.at);
    }
    vehicles.retain(|vehicle| vehicle.fields.is_identifiable());
    vehicles
}

/// The rows before a damaged place and, read from the other end, those behind it.
fn readable_rows<T, K: std::hash::Hash + Eq>(
    connection: &Connection,
    columns: &str,
    table: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    key: fn(&T) -> K,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut until_damage = |direction: &str| {
        let mut rows = Vec::new();
        let sql = format!("SELECT {columns} FROM {table} ORDER BY position {direction}");
        let Ok(mut statement) = connection.prepare(&sql) else { return rows };
        let Ok(mut found) = statement.query([]) else { return rows };
        while let Ok(Some(row)) = found.next() {
            // One value that cannot be read costs its row, not those behind it.
            rows.extend(read(row).ok().filter(|row| seen.insert(key(row))));
        }
        rows
    };
    let mut rows = until_damage("ASC");
    let mut behind = until_damage("DESC");
    behind.reverse();
    rows.append(&mut behind);
    rows
}
