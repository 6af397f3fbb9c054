//! A lock file beside the garage's file, held shared by every program that has the garage open, and exclusively by a
//! repair, which moves the file. Without it, a program could keep writing to a file that another one has moved.
//!
//! The operating system releases the lock when a process ends. The empty lock file is never deleted.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use garage_sqlite::{make_folder_of, with_suffix};

use crate::GarageError;

/// How long to retry while another program holds a conflicting lock.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A held lock; released when dropped.
pub(crate) struct GarageLock {
    _file: File,
}

impl GarageLock {
    /// Waits for the shared lock. While it is held, no program can move the garage.
    ///
    /// # Errors
    /// [`GarageError::InUse`] after 5 s; [`GarageError::Store`] if the lock file or its folder cannot be created.
    pub async fn shared(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, File::try_lock_shared).await
    }

    /// Waits for the exclusive lock. While it is held, no other program can open the garage.
    ///
    /// # Errors
    /// [`GarageError::InUse`] after 5 s; [`GarageError::Store`] if the lock file or its folder cannot be created.
    pub async fn alone(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, File::try_lock).await
    }

    /// Replaces the exclusive lock with a shared one.
    ///
    /// # Errors
    /// Same as [`GarageLock::shared`].
    pub async fn share(self, garage_file: &Path) -> Result<GarageLock, GarageError> {
        drop(self);
        GarageLock::shared(garage_file).await
    }

    async fn take(garage_file: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<GarageLock, GarageError> {
        make_folder_of(garage_file)?;
        let path = with_suffix(garage_file, ".lock");
        let at = |source| garage_sqlite::Error::File { path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(at)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match lock(&file) {
                Ok(()) => return Ok(GarageLock { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(TryLockError::WouldBlock) => return Err(GarageError::InUse),
                // The file system has no locks, so work without one.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                    return Ok(GarageLock { _file: file });
                }
                Err(TryLockError::Error(source)) => return Err(at(source).into()),
            }
        }
    }
}
