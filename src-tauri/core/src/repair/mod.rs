//! Repair of a damaged garage: detects the damage, moves the file aside, and saves its readable content.
//!
//! - `examine`: checks a file and counts its content
//! - `salvage`: reads rows of a damaged file
//! - `from_history`: rebuilds lost records from history
//!
//! Invariants: a damaged file is never deleted. A repair that crashes between two steps loses nothing: a note beside
//! the garage's file names the file that was set aside, and the next repair undoes the finished steps before it starts.

pub(crate) mod examine;
mod from_history;
mod salvage;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use garage_domain::{COLLECTIONS, Collection};
use garage_files::{Existing, have_equal_content, make_folder_of, move_into_place, sync_folder, with_suffix};
use garage_sqlite::Access;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;

use self::{
    examine::RecordCount,
    salvage::{Table, salvaged},
};
use crate::{
    ChangeListener, ErrorCode, Garage, GarageConfig, GarageError,
    error::at,
    lock::GarageLock,
    store::{
        self, history,
        journal::{Journal, Stamp},
        records,
        schema::{self, Defect},
        stored_value::StoredValue,
    },
};

/// The result of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// Where the damaged file was moved to; it is never deleted. Null if the file was repaired in place.
    pub damaged_file: Option<PathBuf>,
    /// Parts of the schema that were missing or changed and were created again, such as `index vehicles_by_name`.
    pub mended: Vec<String>,
    /// The numbers of records in the repaired garage, in the order of the collections.
    pub records: Vec<RecordCount>,
    /// Changes of history in the repaired garage.
    #[cfg_attr(feature = "specta", specta(type = u32))]
    pub changes: u64,
    /// The newest backup beside the garage, which may have records that could not be saved.
    pub newest_backup: Option<PathBuf>,
}

impl Garage {
    /// Opens the garage as [`Garage::open`] does. A damaged garage is repaired first, and the repair is returned.
    ///
    /// # Errors
    /// Same as [`Garage::open`] and [`Garage::repair`].
    pub async fn open_or_repair(
        config: GarageConfig,
        on_change: ChangeListener,
    ) -> Result<(Garage, Option<Repair>), GarageError> {
        match Garage::open(config.clone(), on_change.clone()).await {
            Err(error) if error.code() == ErrorCode::GarageDamaged => {}
            opened => return Ok((opened?, None)),
        }
        match Garage::repair(config.clone(), on_change.clone()).await {
            // Another program has repaired it meanwhile.
            Err(GarageError::NotDamaged) => Ok((Garage::open(config, on_change).await?, None)),
            repaired => repaired.map(|(garage, repair)| (garage, Some(repair))),
        }
    }

    /// Repairs a damaged garage. If only parts of the schema are missing or changed, they are created again in place.
    /// Otherwise the file is moved aside, and its readable rows are copied to a new one. A record whose row is lost is
    /// rebuilt from history.
    ///
    /// # Errors
    /// [`GarageError::NotDamaged`] (`Canceled`) if the garage is sound; [`GarageError::InUse`] (`GarageLocked`) if
    /// another program has it open; [`GarageError::Store`] if the file is another program's or a newer version's or
    /// cannot be read, the files cannot be moved, or the new garage cannot be written. The damaged file is kept in any
    /// case.
    pub async fn repair(config: GarageConfig, on_change: ChangeListener) -> Result<(Garage, Repair), GarageError> {
        let config = config.without_link();
        let lock = GarageLock::exclusive(&config.garage_file).await?;
        let file = config.garage_file.clone();
        let was_interrupted = blocking(move || resume(&file)).await?;
        let mut damage = damage(&config.garage_file).await?;
        let mut mended = Vec::new();
        match damage {
            // Another program may have repaired it while this one waited for the lock.
            Damage::None if !was_interrupted => return Err(GarageError::NotDamaged),
            Damage::None => damage = Damage::Content,
            Damage::Schema => {
                mended = mend(&config).await?;
                damage = self::damage(&config.garage_file).await?;
            }
            Damage::Content => {}
        }
        let damaged_file = match damage {
            Damage::Content => Some(replace(&config).await?),
            Damage::None | Damage::Schema => None,
        };
        let lock = lock.share(&config.garage_file).await?;
        let garage = Garage::open_locked(config, on_change, lock).await?;
        let counts = garage.database.read(|transaction| {
            Ok::<_, GarageError>((examine::record_counts(transaction)?, history::count(transaction)?))
        });
        let (records, changes) = counts.await?;
        let newest_backup = garage.backups()?.into_iter().next().map(|backup| backup.file);
        Ok((garage, Repair { damaged_file, mended, records, changes, newest_backup }))
    }
}

enum Damage {
    None,
    /// Parts of the schema are missing or changed, and can be created again in place.
    Schema,
    Content,
}

/// Examines a file that is to be repaired.
///
/// # Errors
/// [`GarageError::Store`] if the file cannot be examined for another reason than damage.
async fn damage(file: &Path) -> Result<Damage, GarageError> {
    let file = file.to_owned();
    let examine = move || {
        let connection = store::open_unchanged(&file, Access::Read)?;
        let defects = schema::defects(&connection)?;
        if schema::is_empty(&connection)? || has_damaged_content(&connection, &defects)? {
            return Ok(Damage::Content);
        }
        Ok(match schema::can_be_mended(&connection, &defects)? {
            _ if defects.is_empty() => Damage::None,
            true => Damage::Schema,
            false => Damage::Content,
        })
    };
    match blocking(examine).await {
        Err(error) if error.code() == ErrorCode::GarageDamaged => Ok(Damage::Content),
        examined => examined,
    }
}

fn has_damaged_content(connection: &Connection, defects: &[Defect]) -> Result<bool, GarageError> {
    if !defects.iter().any(Defect::is_of_search_index) {
        return Ok(!examine::content_problems(connection, None)?.is_empty());
    }
    for table in schema::readable_tables(connection)? {
        if !examine::content_problems(connection, Some(&table))?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Creates missing and changed parts of the schema again, in one transaction. Returns their names.
async fn mend(config: &GarageConfig) -> Result<Vec<String>, GarageError> {
    let (file, stamp) = (config.garage_file.clone(), stamp(config));
    let mended = blocking(move || {
        let mut connection = store::open_unchanged(&file, Access::Write)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let defects = schema::defects(&transaction)?;
        schema::mend(&transaction, &defects)?;
        let is_lost = |collection: &Collection| defects.iter().any(|defect| defect.is_missing_table(collection.table));
        if COLLECTIONS.into_iter().any(is_lost) {
            rebuild(&transaction, &mut Journal::begin(&transaction, stamp)?, is_lost)?;
        }
        transaction.commit()?;
        Ok(defects.iter().map(Defect::title).collect::<Vec<_>>())
    });
    let mended = mended.await?;
    tracing::warn!(?mended, "parts of the garage's schema were created again");
    Ok(mended)
}

/// Replaces a damaged garage with a new one that holds its readable content, and sets the damaged file aside. Returns
/// where the damaged file is.
async fn replace(config: &GarageConfig) -> Result<PathBuf, GarageError> {
    let now = config.environment.now().strftime("%Y%m%dT%H%M%S%.fZ");
    let damaged_file = with_suffix(&config.garage_file, &format!(".damaged-{now}"));
    // Work in a scratch folder and move the result into place when it is complete, so that a failure changes nothing.
    let folder = make_folder_of(&config.garage_file)?;
    let scratch = tempfile::Builder::new().prefix(".motovault-repair-").tempdir_in(folder);
    let scratch = scratch.map_err(|source| at(folder, source))?;
    let new_file = scratch.path().join("new.db");
    store::open(&new_file).await?.close().await;
    let (source, copy) = (config.garage_file.clone(), scratch.path().join("damaged.db"));
    let sound = new_file.clone();
    let tables = blocking(move || salvaged(&source, &copy, &sound)).await?;
    fill(&new_file, tables, stamp(config)).await?;
    let (file, aside) = (config.garage_file.clone(), damaged_file.clone());
    blocking(move || put_in_place(&file, &new_file, &aside, LastStep::Done)).await?;
    tracing::warn!(file = %damaged_file.display(), "the damaged garage was moved aside");
    Ok(damaged_file)
}

/// Fills a new garage.
async fn fill(file: &Path, tables: Vec<Table>, stamp: Stamp) -> Result<(), GarageError> {
    let database = store::open(file).await?;
    let filled = database.write(move |transaction| {
        let mut journal = Journal::begin(transaction, stamp)?;
        for Table { name, columns, rows } in tables {
            if name == "device" {
                keep_device_id(transaction, &columns, &rows)?;
                continue;
            }
            for values in rows {
                match journal.salvaged(name, &columns, values) {
                    Err(error) if is_of_the_system(&error) => return Err(error.into()),
                    // Skip only this row if its columns do not match or it breaks a constraint.
                    Err(error) => tracing::warn!(table = name, %error, "a row could not be saved"),
                    Ok(_) => {}
                }
            }
        }
        rebuild(transaction, &mut journal, |_| true)?;
        Ok(store::sync::read_everything_again(transaction)?)
    });
    let filled = filled.await;
    database.close().await;
    filled
}

/// Gives a new garage the id of the damaged one: it is on the same device.
fn keep_device_id(
    transaction: &Transaction<'_>,
    columns: &[String],
    rows: &[Vec<StoredValue>],
) -> Result<(), GarageError> {
    let index = columns.iter().position(|column| column == "device_id");
    if let Some(StoredValue::Text(id)) = index.and_then(|index| rows.first()?.get(index))
        && let Ok(id) = str::from_utf8(id)
        && !id.is_empty()
    {
        transaction.execute("UPDATE device SET device_id = ?1", [id])?;
    }
    Ok(())
}

/// Whether a statement failed because of the system, not because of its values.
fn is_of_the_system(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DiskFull, OutOfMemory, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DiskFull | OutOfMemory | ReadOnly | SystemIoFailure))
}

/// Rebuilds lost records of some collections from history. A record whose row exists is not lost, even if the row
/// cannot be read.
fn rebuild(
    transaction: &Transaction<'_>,
    journal: &mut Journal<'_>,
    is_of: impl Fn(&Collection) -> bool,
) -> Result<(), GarageError> {
    let mut no_cancel = || Ok::<_, GarageError>(());
    let mut found = Vec::new();
    for collection in COLLECTIONS {
        found.extend(records::all(transaction, collection, &mut no_cancel)?.records);
    }
    let (history, _) = history::all(transaction, &mut no_cancel)?;
    for record in from_history::missing(&found, &history) {
        if is_of(record.collection) && !records::exists(transaction, record.collection, record.id)? {
            journal.rebuilt(record)?;
        }
    }
    Ok(())
}

fn stamp(config: &GarageConfig) -> Stamp {
    let environment = config.environment.clone();
    Stamp { now: environment.now(), new_uuid: Box::new(move || environment.new_uuid()), program: config.program.name() }
}

/// The steps of putting a repaired garage in place. Tests stop a repair after each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LastStep {
    Noted,
    SetAside,
    LogRemoved,
    InPlace,
    Done,
}

type Step<'a> = &'a dyn Fn() -> Result<(), GarageError>;

/// Sets the damaged file and its log aside and puts the new file in its place. `garage_file` always exists: after a
/// crash it is the damaged or the repaired garage, never an empty one.
fn put_in_place(garage_file: &Path, new_file: &Path, damaged_file: &Path, last: LastStep) -> Result<(), GarageError> {
    let folder = make_folder_of(garage_file)?;
    let note = note_of(garage_file);
    let steps: [(LastStep, Step<'_>); 5] = [
        (LastStep::Noted, &|| {
            let name = damaged_file.file_name().unwrap_or_default().as_encoded_bytes();
            let written = std::fs::write(&note, name).and_then(|()| File::open(&note)?.sync_all());
            written.map_err(|source| at(&note, source))
        }),
        (LastStep::SetAside, &|| {
            for suffix in ["", "-wal"] {
                link_or_copy(&with_suffix(garage_file, suffix), &with_suffix(damaged_file, suffix))?;
            }
            Ok(())
        }),
        (LastStep::LogRemoved, &|| {
            // SQLite would replay the old log into the new file.
            for suffix in ["-wal", "-shm"] {
                remove(&with_suffix(garage_file, suffix))?;
            }
            Ok(())
        }),
        (LastStep::InPlace, &|| Ok(move_into_place(new_file, garage_file, Existing::Replace)?)),
        (LastStep::Done, &|| remove(&note)),
    ];
    for (step, perform) in steps {
        perform()?;
        sync_folder(folder)?;
        if step == last {
            break;
        }
    }
    Ok(())
}

/// Undoes the steps of a repair that crashed before the new file was in place: the log that was set aside belongs to
/// the damaged file. Returns whether there was such a repair.
fn resume(garage_file: &Path) -> Result<bool, GarageError> {
    let note = note_of(garage_file);
    let mut name = Vec::new();
    match File::open(&note).and_then(|mut note| note.read_to_end(&mut name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        read => read.map_err(|source| at(&note, source))?,
    };
    let damaged_file = match String::from_utf8(name) {
        Ok(name) if !name.is_empty() && !name.contains(['/', '\\']) => garage_file.with_file_name(name),
        // The repair crashed before the note was complete, which is the first step.
        _ => {
            remove(&note)?;
            return Ok(false);
        }
    };
    let is_in_place = damaged_file.exists() && !have_equal_content(garage_file, &damaged_file)?;
    if !is_in_place {
        let (aside, log) = (with_suffix(&damaged_file, "-wal"), with_suffix(garage_file, "-wal"));
        if aside.exists() && !log.exists() {
            link_or_copy(&aside, &log)?;
        }
        sync_folder(make_folder_of(garage_file)?)?;
        // These are further links to, or copies of, the files that are in place again.
        for suffix in ["", "-wal"] {
            remove(&with_suffix(&damaged_file, suffix))?;
        }
    }
    remove(&note)?;
    sync_folder(make_folder_of(garage_file)?)?;
    Ok(!is_in_place)
}

/// Whether a repair of this garage did not finish.
pub(crate) fn is_interrupted(garage_file: &Path) -> bool {
    note_of(garage_file).exists()
}

/// The note beside the garage's file: it holds the name under which a repair sets the damaged file aside.
fn note_of(garage_file: &Path) -> PathBuf {
    with_suffix(garage_file, ".repairing")
}

fn remove(file: &Path) -> Result<(), GarageError> {
    match std::fs::remove_file(file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(at(file, source)),
        _ => Ok(()),
    }
}

/// Hard-links a file to a second name, or copies it if the file system has no links. Does nothing if it does not exist.
fn link_or_copy(file: &Path, kept: &Path) -> Result<(), GarageError> {
    let copy = || {
        std::fs::copy(file, kept)?;
        File::options().write(true).open(kept)?.sync_all()
    };
    match std::fs::hard_link(file, kept).or_else(|_| copy()) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(at(file, source)),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GarageError> + Send + 'static,
) -> Result<T, GarageError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_crash_at_any_step_of_a_repair_the_next_one_finds_every_file() {
        for last in [LastStep::Noted, LastStep::SetAside, LastStep::LogRemoved, LastStep::InPlace, LastStep::Done] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = |name: &str| folder.path().join(name);
            let (garage, new, aside) = (path("garage.db"), path("new.db"), path("garage.db.damaged-1"));
            let write = |path: &Path, text: &str| std::fs::write(path, text).expect("written");
            let read = |path: &Path| std::fs::read_to_string(path).ok();
            write(&garage, "damaged");
            write(&with_suffix(&garage, "-wal"), "newest edits");
            write(&new, "repaired");
            put_in_place(&garage, &new, &aside, last).expect("the steps up to this one");
            assert!(garage.exists(), "{last:?}: the garage's file exists");
            let was_interrupted = resume(&garage).expect("resumed");
            assert!(!is_interrupted(&garage), "{last:?}");
            let log = read(&with_suffix(&garage, "-wal"));
            if last < LastStep::InPlace {
                assert!(was_interrupted, "{last:?}");
                assert_eq!(read(&garage).as_deref(), Some("damaged"), "{last:?}");
                assert_eq!(log.as_deref(), Some("newest edits"), "{last:?}");
                assert!(!aside.exists(), "{last:?}");
            } else {
                assert!(!was_interrupted, "{last:?}");
                assert_eq!((read(&garage).as_deref(), log), (Some("repaired"), None), "{last:?}");
                assert_eq!(read(&aside).as_deref(), Some("damaged"), "{last:?}");
                assert_eq!(read(&with_suffix(&aside, "-wal")).as_deref(), Some("newest edits"), "{last:?}");
            }
        }
    }

    #[test]
    fn a_note_without_a_plain_file_name_changes_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let garage = folder.path().join("garage.db");
        for note in ["", "../elsewhere", "\u{0}"] {
            std::fs::write(&garage, "sound").expect("written");
            std::fs::write(note_of(&garage), note).expect("written");
            let resumed = resume(&garage);
            assert_eq!(std::fs::read_to_string(&garage).expect("read"), "sound");
            assert!(note == "\u{0}" || matches!(resumed, Ok(false)), "{note:?}");
        }
    }
}
