//! Who has a garage's file open, across programs: a lock file beside it, held shared by all who use the garage and
//! alone by whoever moves it. Without it, a program would go on writing into a file that another has moved aside.
//!
//! The system lets go of the lock when a program ends, however it ends; the file itself stays, empty.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use garage_sqlite::{make_folder_of, with_suffix};

use crate::GarageError;

/// How long to wait for others to close the garage, or to finish repairing it.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A garage that is in use; released when dropped.
pub(crate) struct GarageLock {
    _file: File,
}

impl GarageLock {
    /// Waits until nobody moves the garage; from then on nobody does.
    ///
    /// # Errors
    /// Somebody takes too long, or the lock's file or its folder cannot be made.
    pub async fn shared(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, File::try_lock_shared).await
    }

    /// Waits until nobody uses the garage; from then on nobody does.
    ///
    /// # Errors
    /// Somebody has it open for too long, or the lock's file or its folder cannot be made.
    pub async fn alone(garage_file: &Path) -> Result<GarageLock, GarageError> {
        GarageLock::take(garage_file, File::try_lock).await
    }

    /// Lets others use the garage, too.
    ///
    /// # Errors
    /// As of [`GarageLock::shared`].
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
                // A file system without locks; nothing better is to be had there.
                Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                    return Ok(GarageLock { _file: file });
                }
                Err(TryLockError::Error(source)) => return Err(at(source).into()),
            }
        }
    }
}
