//! Backups: the whole garage as one SQLite file, and restoring it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use garage_domain::VEHICLES;
use garage_files::Existing;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    ErrorCode, Garage, GarageError, Progress,
    error::of_target,
    store::{self, account::AccountRow, backup_folder, records},
    sync::Kept,
};

const KEPT_DAILY_BACKUPS: usize = 7;

/// Scratch folders older than this belong to a program that crashed.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A backup beside the garage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct BackupFile {
    /// Its path.
    pub file: PathBuf,
    /// Its modification time.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub made_at: Timestamp,
    /// Its size in bytes.
    #[cfg_attr(feature = "specta", specta(type = f64))]
    pub size_bytes: u64,
}

impl Garage {
    /// Writes a consistent copy of the garage to one file. Progress counts bytes, approximately.
    ///
    /// # Errors
    /// [`GarageError::Unwritable`] (`FileFailed`) if the file cannot be written, or if it exists and `existing` is
    /// [`Existing::Keep`] (`FileExists`); [`GarageError::Canceled`]. No partial file is left.
    pub async fn back_up(&self, file: &Path, existing: Existing, progress: Progress) -> Result<(), GarageError> {
        let may_continue = move |done, total| progress.at(done, total).is_ok();
        self.database.back_up(file, existing, may_continue).await.map_err(of_target)
    }

    /// Backs the garage up before everything is read from the server again. Replaces the backup of the last time.
    pub(crate) async fn back_up_before_reread(&self) -> Result<(), GarageError> {
        let file = backup_folder(&self.garage_file).join("before-reread.db");
        self.back_up(&file, Existing::Replace, Progress::none()).await
    }

    /// Replaces everything in the garage with a backup. Backs the garage up first and returns the path of that backup.
    /// The restored garage is another device of the same account, and syncs after [`Garage::choose_after_restore`].
    /// Progress counts the backup's pages.
    ///
    /// # Errors
    /// [`GarageError::BadBackup`] (`BackupDamaged`) if the file is damaged or is not a garage;
    /// [`GarageError::BackupOfOtherAccount`] (`OtherAccount`);
    /// [`GarageError::Unreadable`] (`NotFound`, `FileFailed`) if it cannot be read; [`GarageError::Store`]
    /// (`GarageNewer`) if a newer version wrote it; [`GarageError::Unwritable`] if the garage cannot be backed up
    /// first; [`GarageError::Canceled`]. Nothing is changed.
    pub async fn restore_backup(&self, file: &Path, progress: Progress) -> Result<PathBuf, GarageError> {
        self.database.refuse_own_file(file).map_err(of_target)?;
        let kept = self.database.read(|transaction| Ok::<_, GarageError>(Kept::of(transaction)?)).await?;
        let folder = self.backup_folder();
        std::fs::create_dir_all(&folder).map_err(|source| unwritable(&folder, source))?;
        let scratch = tempfile::Builder::new()
            .prefix(".motovault-restore-")
            .tempdir_in(&folder)
            .map_err(|source| unwritable(&folder, source))?;
        let backup = upgraded_copy(file, &scratch.path().join("copy.db"), kept, self.environment.new_uuid()).await?;
        let replaced = self.backup_folder().join(format!("before-restore-{}.db", stamp(self.environment.now())));
        let may_continue = move |done, total| progress.at(done, total).is_ok();
        self.database.replace(backup, &replaced, may_continue).await.map_err(of_target)?;
        self.on_change.everything_changed();
        Ok(replaced)
    }

    /// Writes today's backup beside the garage unless it exists, and deletes the oldest daily backups beyond seven.
    /// Skips a garage without vehicles: its backups would displace those from before it was emptied.
    ///
    /// # Errors
    /// [`GarageError::Unwritable`] if the backup cannot be written or an old one cannot be deleted. Old backups are
    /// deleted only after the new one is complete.
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
            // Another program has written it meanwhile.
            Err(error) if error.code() == ErrorCode::FileExists => return Ok(()),
            made => made?,
        }
        remove_left_over(&folder);
        if let Some(beside) = self.garage_file.parent() {
            remove_left_over(beside);
        }
        let names = std::fs::read_dir(&folder).map_err(|source| unwritable(&folder, source))?;
        // Delete only daily backups, and never today's: a clock that was wrong once leaves names with future dates.
        let mut others: Vec<PathBuf> = names
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| *path != file && daily_of(path).is_some())
            .collect();
        // Sorting by name sorts by date.
        others.sort();
        for old in others.iter().rev().skip(KEPT_DAILY_BACKUPS - 1) {
            std::fs::remove_file(old).map_err(|source| unwritable(old, source))?;
        }
        Ok(())
    }

    /// Starts today's backup after the first write of the day. If it fails, the next write starts it again.
    pub(crate) fn back_up_on_first_write(&self) {
        let today = self.environment.now().to_zoned(TimeZone::UTC).date();
        self.daily_backup.start_once(today, || {
            let garage = self.clone();
            tokio::spawn(async move {
                if let Err(error) = garage.back_up_daily().await {
                    tracing::warn!(%error, "the daily backup failed");
                    garage.daily_backup.try_again();
                }
            })
        });
    }

    /// Waits for the running daily backup, if any.
    pub async fn daily_backup_settled(&self) {
        self.daily_backup.finish().await;
    }

    /// Lists the backups beside the garage, newest first.
    ///
    /// # Errors
    /// [`GarageError::Unreadable`] (`FileFailed`) if their folder cannot be read.
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

    /// The folder of the backups. It is beside the garage's file and named after it, so that no two garages share one.
    #[must_use]
    pub fn backup_folder(&self) -> PathBuf {
        backup_folder(&self.garage_file)
    }
}

/// Refuses an empty file that has daily backups: a full disk or a sync tool may have truncated it. Without backups, an
/// empty file is a new garage.
///
/// # Errors
/// [`GarageError::Emptied`] (`GarageDamaged`).
pub(crate) fn refuse_emptied(garage_file: &Path) -> Result<(), GarageError> {
    let is_empty = std::fs::metadata(garage_file).is_ok_and(|it| it.is_file() && it.len() == 0);
    let has_backups = || {
        let entries = std::fs::read_dir(backup_folder(garage_file)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| daily_of(&entry.path()).is_some())
    };
    if is_empty && has_backups() { Err(GarageError::Emptied) } else { Ok(()) }
}

/// Returns the date in the name of a daily backup, or `None` for other files.
fn daily_of(path: &Path) -> Option<Date> {
    path.file_name()?.to_str()?.strip_prefix("daily-")?.strip_suffix(".db")?.parse().ok()
}

/// Deletes scratch folders of crashed programs: no running program uses one for longer than a day.
fn remove_left_over(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_scratch = [garage_files::PARTIAL_PREFIX, ".motovault-restore-", ".motovault-repair-"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix));
        let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
        if is_scratch && age.is_some_and(|age| age > LEFT_OVER) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The day for which this program last started a backup, and the task that writes it.
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

    /// Makes the next write start a backup again.
    fn try_again(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).day = None;
    }

    pub async fn finish(&self) {
        let making = self.0.lock().unwrap_or_else(PoisonError::into_inner).making.take();
        if let Some(making) = making {
            let _ = making.await;
        }
    }
}

/// Copies a backup, upgrades the copy and makes it another device. Every failure happens before the garage is changed.
async fn upgraded_copy(
    file: &Path,
    copy: &Path,
    kept: Kept,
    device_id: Uuid,
) -> Result<rusqlite::Connection, GarageError> {
    let as_backup = |error| match error {
        garage_sqlite::Error::File(error) => GarageError::Unreadable { path: error.path, source: error.source },
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
    // Fails for a file with our application id and another schema.
    match store::open_copy(copy).await {
        Ok(database) => {
            let prepared = database
                .write::<_, garage_sqlite::Error>(move |transaction| Ok(kept.prepare(transaction, device_id)?))
                .await;
            database.close().await;
            if let Some(AccountRow { server, account, email }) = prepared.map_err(as_backup)? {
                return Err(GarageError::BackupOfOtherAccount { account: email.unwrap_or(account), server });
            }
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

/// The time in a form that is valid in a file name.
fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%S%.fZ").to_string()
}
