//! When a garage's file is damaged: finding out, moving it aside, and saving what can still be read.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use garage_domain::{Origin, Vehicle, VehicleFields, VehicleId};
use garage_sqlite::{Existing, make_folder_of, move_into_place, sync_folder, with_suffix};
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};
use serde::Serialize;

use crate::{
    ChangeKind, ChangeListener, ErrorCode, FieldChange, Garage, GarageConfig, GarageError, HistoryEntry,
    lock::GarageLock,
    store::{
        self, history as history_table,
        vehicles::{self as vehicles_table, COLUMNS},
    },
};

/// Rows that are looked for one by one behind a damaged place, where nothing says how far they go.
const LONGEST_GAP: i64 = 2_000;

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
        let counted = self.database.read_long(|transaction| {
            let problems = problems_of(transaction)?;
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
            Err(error) if error.code() == ErrorCode::GarageDamaged => {}
            opened => return Ok((opened?, None)),
        }
        match Garage::repair(config.clone(), on_change.clone()).await {
            // Another program was quicker.
            Err(GarageError::NotDamaged) => Ok((Garage::open(config, on_change).await?, None)),
            repaired => repaired.map(|(garage, repair)| (garage, Some(repair))),
        }
    }

    /// Moves a damaged garage aside and makes a new one of what can be read in it. A vehicle whose own row is lost is
    /// put together again from its history.
    ///
    /// # Errors
    /// The garage is sound, another program has it open, the files cannot be moved, or the new garage cannot be written;
    /// the damaged file is there in any case.
    pub async fn repair(config: GarageConfig, on_change: ChangeListener) -> Result<(Garage, Repair), GarageError> {
        let config = config.without_link();
        let lock = GarageLock::alone(&config.garage_file).await?;
        // Another program may have been quicker, and what it made is sound.
        if store::check(&config.garage_file).await.is_ok_and(|it| unreadable_in(&it).is_empty()) {
            return Err(GarageError::NotDamaged);
        }
        let stamp = config.environment.now().strftime("%Y%m%dT%H%M%S%.fZ");
        let damaged_file = with_suffix(&config.garage_file, &format!(".damaged-{stamp}"));
        // Everything is done in a folder of its own and put in place when it is whole: where that fails, all is as it was.
        let folder = make_folder_of(&config.garage_file)?;
        let scratch = tempfile::Builder::new().prefix(".motovault-repair-").tempdir_in(folder);
        let scratch = scratch.map_err(|source| at(folder, source))?;
        let new_file = scratch.path().join("new.db");
        store::open(&new_file).await?.close().await;
        let (source, copy) = (config.garage_file.clone(), scratch.path().join("damaged.db"));
        let sound = new_file.clone();
        let Salvage { vehicles, history } = tokio::task::spawn_blocking(move || Salvage::of(&source, &copy, &sound))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let (vehicle_count, change_count) = (vehicles.len(), history.len());
        fill(&new_file, vehicles, history).await?;
        // SQLite's log goes along: it may hold the newest edits. What is damaged stays in its place until the last step, so
        // that whoever ends this program in between finds the damage again, and never an empty garage.
        for suffix in ["", "-wal"] {
            keep_as(&with_suffix(&config.garage_file, suffix), &with_suffix(&damaged_file, suffix))?;
        }
        sync_folder(folder)?;
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(&config.garage_file, suffix));
        }
        move_into_place(&new_file, &config.garage_file, Existing::Replace)?;
        tracing::warn!(file = %damaged_file.display(), vehicle_count, change_count, "the damaged garage was moved aside");
        let lock = lock.share(&config.garage_file).await?;
        let garage = Garage::open_locked(config, on_change, lock).await?;
        let newest_backup = garage.backups()?.into_iter().next().map(|backup| backup.file);
        Ok((garage, Repair { damaged_file, vehicles: vehicle_count, changes: change_count, newest_backup }))
    }
}

/// What is wrong with a garage's file; empty where nothing is.
fn problems_of(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    connection.pragma_query(None, "integrity_check", |row| {
        problems.push(row.get::<_, String>(0)?);
        Ok(())
    })?;
    problems.retain(|problem| problem != "ok");
    problems.extend(unreadable_in(connection));
    Ok(problems)
}

/// What SQLite takes for sound, and what is no vehicle or change all the same.
pub(crate) fn unreadable_in(connection: &Connection) -> Vec<String> {
    let vehicles = format!("SELECT {COLUMNS} FROM vehicles");
    let counted = [
        ("vehicles", unreadable_rows(connection, &vehicles, vehicles_table::vehicle_of)),
        ("changes", unreadable_rows(connection, "SELECT * FROM history", history_table::entry_of)),
    ];
    let some = counted.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(what, count)| format!("{count} {what} cannot be read")).collect()
}

/// How many rows hold something that is none of ours.
fn unreadable_rows<T>(connection: &Connection, sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<T>) -> usize {
    let count = || {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], read)?;
        Ok::<_, rusqlite::Error>(rows.filter(Result::is_err).count())
    };
    count().unwrap_or(0)
}

/// Puts this into a new garage.
async fn fill(file: &Path, vehicles: Vec<Vehicle>, history: Vec<HistoryEntry>) -> Result<(), GarageError> {
    let database = store::open(file).await?;
    let fill = database.write(move |transaction| {
        for vehicle in &vehicles {
            vehicles_table::insert(transaction, vehicle)?;
        }
        for entry in &history {
            history_table::insert(transaction, entry)?;
        }
        Ok::<_, GarageError>(())
    });
    let filled = fill.await;
    database.close().await;
    filled
}

/// Gives a file, if it is there, another name besides its own; a copy where the file system has no links.
fn keep_as(file: &Path, kept: &Path) -> Result<(), GarageError> {
    let copy =
        || std::fs::copy(file, kept).and_then(|_| std::fs::OpenOptions::new().write(true).open(kept)?.sync_all());
    match std::fs::hard_link(file, kept).or_else(|_| copy()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(at(file, source)),
        _ => Ok(()),
    }
}

fn at(path: &Path, source: std::io::Error) -> GarageError {
    garage_sqlite::Error::File { path: path.to_owned(), source }.into()
}

/// What can be read of a damaged file, in its order; nothing where it is no database at all.
#[derive(Default)]
struct Salvage {
    vehicles: Vec<Vehicle>,
    history: Vec<HistoryEntry>,
}

impl Salvage {
    /// Reads a copy, since reading a damaged database can change it: as it is, then with what every garage begins with in
    /// its place, taken from a `sound` one. SQLite reads nothing of a file whose first page is lost.
    fn of(file: &Path, copy: &Path, sound: &Path) -> Result<Salvage, GarageError> {
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
            let salvage = Salvage::read(copy);
            if !salvage.vehicles.is_empty() || !salvage.history.is_empty() {
                return Ok(salvage);
            }
        }
        Ok(Salvage::default())
    }

    fn read(copy: &Path) -> Salvage {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let Ok(connection) = Connection::open_with_flags(copy, flags) else { return Salvage::default() };
        // Lets SQLite read a file that is shorter than it says.
        let _ = connection.pragma_update(None, "writable_schema", true);
        // A garage that was not upgraded before it was damaged lacks what came later.
        let has_column = |column: &str| connection.column_exists(None, "vehicles", column).unwrap_or(false);
        let columns = COLUMNS.split(", ").map(|column| if has_column(column) { column } else { "'{}'" });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let mut vehicles = readable_rows(&connection, &columns, "vehicles", vehicles_table::vehicle_of, |it| it.id);
        let history = readable_rows(&connection, "*", "history", history_table::entry_of, |entry| entry.id);
        let missing = missing_from(&vehicles, told_by(&history), &history);
        vehicles.extend(missing);
        Salvage { vehicles, history }
    }
}

/// SQLite's header, and a garage's pages (<https://sqlite.org/fileformat.html>).
const HEADER_BYTES: usize = 100;
const PAGE_BYTES: usize = 4_096;

/// Puts a sound garage's first bytes in the place of a file's.
fn replace_beginning(file: &Path, sound: &Path, length: usize) -> std::io::Result<()> {
    // The counter of changes, and the one that says whether the number of pages is right: apart, SQLite goes by the file.
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

/// Those of the vehicles that history tells whose own rows are lost. A row that has lost only its id is its vehicle all
/// the same: history knows nothing of such an id, and the fields are those it tells.
fn missing_from(found: &[Vehicle], told: Vec<Vehicle>, history: &[HistoryEntry]) -> Vec<Vehicle> {
    let with_history: HashSet<VehicleId> = history.iter().map(|entry| entry.vehicle_id).collect();
    let ids: HashSet<VehicleId> = found.iter().map(|vehicle| vehicle.id).collect();
    let nameless: Vec<&Vehicle> = found.iter().filter(|vehicle| !with_history.contains(&vehicle.id)).collect();
    let is_missing = |told: &Vehicle| !ids.contains(&told.id) && !nameless.iter().any(|it| it.fields == told.fields);
    told.into_iter().filter(is_missing).collect()
}

/// The vehicles as their history tells them, in the order in which they were added. One whose beginning is lost is put
/// together as far as its changes go.
fn told_by(history: &[HistoryEntry]) -> Vec<Vehicle> {
    let mut vehicles: Vec<Vehicle> = Vec::new();
    let mut places: HashMap<VehicleId, usize> = HashMap::new();
    for entry in history {
        let place = *places.entry(entry.vehicle_id).or_insert_with(|| {
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
        let vehicle = &mut vehicles[place];
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

/// The rows before a damaged place, those behind it, read from the other end, and those between two damaged places, looked
/// for one by one.
fn readable_rows<T, K: std::hash::Hash + Eq>(
    connection: &Connection,
    columns: &str,
    table: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    key: fn(&T) -> K,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut rows = BTreeMap::new();
    // Gives the last place that was read, and whether the rows ended there.
    let mut look = |which: &str, place: Option<i64>| {
        let mut last_read = None;
        let mut look = || {
            let sql = format!("SELECT {columns}, position AS place FROM {table} {which}");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = statement.query(params_from_iter(place))?;
            while let Some(row) = found.next()? {
                let place: i64 = row.get("place")?;
                last_read = Some(place);
                // One value that cannot be read costs its row, not those behind it.
                if let Some(row) = read(row).ok().filter(|row| seen.insert(key(row))) {
                    rows.insert(place, row);
                }
            }
            Ok::<_, rusqlite::Error>(())
        };
        let is_end = look().is_ok();
        (last_read, is_end)
    };
    let (before, is_all) = look("ORDER BY position", None);
    if !is_all {
        let before = before.unwrap_or(0);
        let behind = look("ORDER BY position DESC", None).0.unwrap_or(before.saturating_add(LONGEST_GAP));
        for place in before + 1..behind {
            look("WHERE position = ?1", Some(place));
        }
    }
    rows.into_values().collect()
}
