//! The whole garage as one SQLite file, and back.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use garage_domain::VEHICLES;
use garage_sqlite::Existing;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    ErrorCode, Garage, GarageError, Progress,
    error::of_target,
    store::{self, backup_folder, records},
};

/// How many daily backups are kept.
const KEPT_DAILY_BACKUPS: usize = 7;

/// The age from which scratch folders are taken for left over.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A backup beside the garage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct BackupFile {
    /// The file.
    pub file: PathBuf,
    /// When it was made.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub made_at: Timestamp,
    /// Its size in bytes.
    #[cfg_attr(feature = "specta", specta(type = f64))]
    pub size_bytes: u64,
}

impl Garage {
    /// Writes the garage as it is at this moment into one file. Progress counts bytes, about.
    ///
    /// # Errors
    /// The file exists and is to be kept, or it cannot be written, or it was stopped; no half file is left.
    pub async fn back_up(&self, file: &Path, existing: Existing, progress: Progress) -> Result<(), GarageError> {
        let goes_on = move |done, total| progress.at(done, total).is_ok();
        self.database.back_up(file, existing, goes_on).await.map_err(of_target)
    }

    /// Replaces everything in the garage by a backup, after the garage itself has been backed up. Gives the file that
    /// holds what was replaced. The restored garage is a device of its own: what the old one sent is not sent again.
    /// Progress counts the backup's pages.
    ///
    /// # Errors
    /// The file is no intact garage, or is from a newer version; or the garage cannot be saved before; or it was
    /// stopped. Nothing has been changed then.
    pub async fn restore_backup(&self, file: &Path, progress: Progress) -> Result<PathBuf, GarageError> {
        self.database.refuse_own_file(file).map_err(of_target)?;
        let folder = self.backup_folder();
        std::fs::create_dir_all(&folder).map_err(|source| unwritable(&folder, source))?;
        let scratch = tempfile::Builder::new()
            .prefix(".motovault-restore-")
            .tempdir_in(&folder)
            .map_err(|source| unwritable(&folder, source))?;
        let backup = upgraded_copy(file, &scratch.path().join("copy.db"), self.environment.new_uuid()).await?;
        let replaced = self.backup_folder().join(format!("before-restore-{}.db", stamp(self.environment.now())));
        let goes_on = move |done, total| progress.at(done, total).is_ok();
        self.database.replace(backup, &replaced, goes_on).await.map_err(of_target)?;
        self.on_change.everything_changed();
        Ok(replaced)
    }

    /// Makes today's backup beside the garage unless it is there, and removes the oldest beyond seven. A garage without
    /// a vehicle has none: it would displace, day by day, what was there before it was emptied.
    ///
    /// # Errors
    /// The backup cannot be written. Old ones are removed only after a new one is complete.
    pub async fn back_up_daily(&self) -> Result<(), GarageError> {
        let folder = self.backup_folder();
        let today = self.environment.now().to_zoned(TimeZone::UTC).date();
        let file = folder.join(format!("daily-{today}.db"));
        let is_empty = async || {
            let vehicles =
                self.database.read(|transaction| Ok::<_, GarageError>(records::count(transaction, &VEHICLES)?));
            Ok::<_, GarageError>(vehicles.await? == 0)
        };
        if file.exists() || is_empty().await? {
            return Ok(());
        }
        match self.back_up(&file, Existing::Keep, Progress::none()).await {
            // Another program was quicker.
            Err(error) if error.code() == ErrorCode::FileExists => return Ok(()),
            made => made?,
        }
        remove_left_over(&folder);
        if let Some(beside) = self.garage_file.parent() {
            remove_left_over(beside);
        }
        let names = std::fs::read_dir(&folder).map_err(|source| unwritable(&folder, source))?;
        // Only what was made here, and never today's: a clock that was once wrong leaves names from the future.
        let mut others: Vec<PathBuf> = names
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| *path != file && daily_of(path).is_some())
            .collect();
        // By name is by date.
        others.sort();
        for old in others.iter().rev().skip(KEPT_DAILY_BACKUPS - 1) {
            std::fs::remove_file(old).map_err(|source| unwritable(old, source))?;
        }
        Ok(())
    }

    /// Starts today's backup after the first write of the day; one that failed is tried again after the next write.
    pub(crate) fn back_up_on_first_write(&self) {
        let today = self.environment.now().to_zoned(TimeZone::UTC).date();
        self.daily_backup.start_once(today, || {
            let garage = self.clone();
            tokio::spawn(async move {
                if let Err(error) = garage.back_up_daily().await {
                    tracing::warn!(%error, "there is no backup of today");
                    garage.daily_backup.try_again();
                }
            })
        });
    }

    /// Waits until no daily backup is being made.
    pub async fn daily_backup_settled(&self) {
        self.daily_backup.finish().await;
    }

    /// The backups beside the garage, the newest first.
    ///
    /// # Errors
    /// Their folder cannot be read.
    pub fn backups(&self) -> Result<Vec<BackupFile>, GarageError> {
        let folder = self.backup_folder();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(GarageError::Unreadable { path: folder, source }),
        };
        let mut backups: Vec<BackupFile> = entries
            .filter_map(|entry| {
                let (file, metadata) = (entry.as_ref().ok()?.path(), entry.as_ref().ok()?.metadata().ok()?);
                let made_at = Timestamp::try_from(metadata.modified().ok()?).ok()?;
                let is_backup = metadata.is_file() && file.extension().is_some_and(|extension| extension == "db");
                is_backup.then_some(BackupFile { file, made_at, size_bytes: metadata.len() })
            })
            .collect();
        backups.sort_by(|a, b| b.made_at.cmp(&a.made_at).then_with(|| b.file.cmp(&a.file)));
        Ok(backups)
    }

    /// Where backups are kept: beside the garage's file and named after it, so that no two garages share them.
    #[must_use]
    pub fn backup_folder(&self) -> PathBuf {
        backup_folder(&self.garage_file)
    }
}

/// An empty file is a new garage, but not where there was one: a full disk or a sync tool may have emptied it.
///
/// # Errors
/// It is empty, and there are daily backups.
pub(crate) fn refuse_emptied(garage_file: &Path) -> Result<(), GarageError> {
    let is_empty = std::fs::metadata(garage_file).is_ok_and(|it| it.is_file() && it.len() == 0);
    let has_backups = || {
        let entries = std::fs::read_dir(backup_folder(garage_file)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| daily_of(&entry.path()).is_some())
    };
    if is_empty && has_backups() { Err(GarageError::Emptied) } else { Ok(()) }
}

/// The day of a daily backup; none where the file is another.
fn daily_of(path: &Path) -> Option<Date> {
    path.file_name()?.to_str()?.strip_prefix("daily-")?.strip_suffix(".db")?.parse().ok()
}

/// Removes what programs that were killed have left unfinished. A day later none of them is still at it.
fn remove_left_over(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_scratch = [garage_sqlite::PARTIAL_PREFIX, ".motovault-restore-", ".motovault-repair-"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix));
        let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
        if is_scratch && age.is_some_and(|age| age > LEFT_OVER) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The day for which this program has started a backup, and the task that makes it.
#[derive(Clone, Default)]
pub(crate) struct DailyBackup(Arc<Mutex<StartedBackup>>);

#[derive(Default)]
struct StartedBackup {
    day: Option<Date>,
    making: Option<JoinHandle<()>>,
}

impl DailyBackup {
    fn start_once(&self, today: Date, start: impl FnOnce() -> JoinHandle<()>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.day != Some(today) {
            *state = StartedBackup { day: Some(today), making: Some(start()) };
        }
    }

    /// Lets the next write start a backup again.
    fn try_again(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).day = None;
    }

    /// Waits for the one that is being made.
    pub async fn finish(&self) {
        let making = self.0.lock().unwrap_or_else(PoisonError::into_inner).making.take();
        if let Some(making) = making {
            let _ = making.await;
        }
    }
}

/// A checked copy of a backup, brought up to date and named as a device of its own: what goes wrong with it goes wrong
/// before anything is replaced.
async fn upgraded_copy(file: &Path, copy: &Path, device_id: Uuid) -> Result<rusqlite::Connection, GarageError> {
    let as_backup = |error| match error {
        garage_sqlite::Error::File { path, source } => GarageError::Unreadable { path, source },
        error => match GarageError::from(error) {
            error if matches!(error.code(), ErrorCode::GarageDamaged | ErrorCode::GarageForeign) => {
                GarageError::BadBackup
            }
            error => error,
        },
    };
    let backup = store::check(file).await.map_err(as_backup)?;
    garage_sqlite::vacuum_into(&backup, copy).map_err(as_backup)?;
    drop(backup);
    // A schema that is not ours, in a file that looks like a garage, does not get through this.
    match store::open(copy).await {
        Ok(database) => {
            let name = "UPDATE device SET device_id = ?1";
            let named = database.write::<_, garage_sqlite::Error>(move |transaction| {
                Ok(transaction.execute(name, [device_id.to_string()])?)
            });
            let named = named.await;
            database.close().await;
            named.map_err(as_backup)?;
        }
        Err(error)
            if matches!(error, garage_sqlite::Error::Migration(_))
                && error.sqlite_code() != Some(rusqlite::ErrorCode::DiskFull) =>
        {
            return Err(GarageError::BadBackup);
        }
        Err(error) => return Err(as_backup(error)),
    }
    let upgraded = store::check(copy).await.map_err(as_backup)?;
    let is_garage = upgraded.query_row("SELECT count(*) FROM vehicles, device", [], |row| row.get::<_, i64>(0)).is_ok();
    if is_garage { Ok(upgraded) } else { Err(GarageError::BadBackup) }
}

fn unwritable(path: &Path, source: std::io::Error) -> GarageError {
    GarageError::Unwritable { path: path.to_owned(), source }
}

/// A time that can stand in a file's name.
fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%S%.fZ").to_string()
}
