//! The lock file beside the garage's file, held shared by every program that has the garage open, and exclusively by a
//! repair, which moves the file. Without it, a program could keep writing to a file that another one has moved.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use garage_files::{FileLock, with_suffix};

use crate::GarageError;

/// How long to retry while another program holds a conflicting lock.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A held lock; released when dropped.
pub(crate) struct GarageLock(#[expect(dead_code, reason = "held until dropped")] FileLock);

impl GarageLock {
    /// Waits for the shared lock. While it is held, no program can move the garage.
    ///
    /// # Errors
    /// [`GarageError::InUse`] after 5 s; [`GarageError::Store`] if the lock file or its folder cannot be created.
    pub async fn shared(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, FileLock::try_shared).await
    }

    /// Waits for the exclusive lock. While it is held, no other program can open the garage.
    ///
    /// # Errors
    /// [`GarageError::InUse`] after 5 s; [`GarageError::Store`] if the lock file or its folder cannot be created.
    pub async fn exclusive(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, FileLock::try_exclusive).await
    }

    /// Replaces the exclusive lock with a shared one.
    ///
    /// # Errors
    /// Same as [`GarageLock::shared`].
    pub async fn share(self, garage_file: &Path) -> Result<GarageLock, GarageError> {
        drop(self);
        GarageLock::shared(garage_file).await
    }

    async fn take(
        garage_file: &Path,
        lock: fn(&Path) -> Result<Option<FileLock>, garage_files::Error>,
    ) -> Result<GarageLock, GarageError> {
        let path = with_suffix(garage_file, ".lock");
        let until = Instant::now() + PATIENCE;
        loop {
            match lock(&path)? {
                Some(lock) => return Ok(GarageLock(lock)),
                None if Instant::now() < until => tokio::time::sleep(BETWEEN_TRIES).await,
                None => return Err(GarageError::InUse),
            }
        }
    }
}
