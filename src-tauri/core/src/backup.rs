//! The whole garage as one SQLite file, and back.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, tz::TimeZone};

use crate::{Garage, GarageError, store};

/// How many daily backups are kept.
const KEPT_DAILY_BACKUPS: usize = 7;

impl Garage {
    /// Writes the garage as it is at this moment into one file, which must not exist yet.
    ///
    /// # Errors
    /// The file exists, or cannot be written; no half file is left.
    pub async fn back_up(&self, file: &Path) -> Result<(), GarageError> {
        Ok(self.database.back_up(file).await?)
    }

    /// Replaces everything in the garage by a backup, after the garage itself has been backed up. Gives the file that
    /// holds what was replaced. The restored garage is a device of its own: what the old one sent is not sent again.
    ///
    /// # Errors
    /// The file is no intact garage, or is from a newer version; or the garage cannot be saved before. Nothing has
    /// been changed then.
    pub async fn restore_backup(&self, file: &Path) -> Result<PathBuf, GarageError> {
        let backup = store::check(file).await?;
        let replaced = self.backup_folder().join(format!("before-restore-{}.db", stamp(self.environment.now())));
        self.database.back_up(&replaced).await?;
        let device_id = self.environment.new_uuid();
        store::replace(&self.database, backup, device_id).await?;
        self.on_change.many_changed();
        Ok(replaced)
    }

    /// Makes today's backup beside the garage unless it is there, and removes the oldest beyond seven.
    ///
    /// # Errors
    /// The backup cannot be written. Old ones are removed only after a new one is complete.
    pub async fn back_up_daily(&self) -> Result<(), GarageError> {
        let folder = self.backup_folder();
        let today = self.environment.now().to_zoned(TimeZone::UTC).date();
        let file = folder.join(format!("daily-{today}.db"));
        if file.exists() {
            return Ok(());
        }
        self.back_up(&file).await?;
        let names = std::fs::read_dir(&folder).map_err(|source| store_error(&folder, source))?;
        let mut daily: Vec<PathBuf> = names
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("daily-")))
            .collect();
        // By name is by date.
        daily.sort();
        for old in daily.iter().rev().skip(KEPT_DAILY_BACKUPS) {
            std::fs::remove_file(old).map_err(|source| store_error(old, source))?;
        }
        Ok(())
    }

    /// Where backups are kept: beside the garage's file.
    #[must_use]
    pub fn backup_folder(&self) -> PathBuf {
        self.garage_file.with_file_name("backups")
    }
}

fn store_error(path: &Path, source: std::io::Error) -> GarageError {
    garage_sqlite::Error::File { path: path.to_owned(), source }.into()
}

/// A time that can stand in a file's name.
fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%S%.fZ").to_string()
}
