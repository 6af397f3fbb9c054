//! The lock file beside the garage's file that a program holds while it changes the session. Two programs that exchange
//! one refresh token at the same time look to the server like a thief and an owner.
//!
//! Two garages of one account have two lock files. The server allows that: a used refresh token is valid again until its
//! successor is used.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use garage_files::{FileLock, with_suffix};

use super::SessionError;

/// A refresh takes at most the 30 seconds of its request, and the time to unlock the key store.
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The path of a garage's lock file for its session.
pub(super) fn path(garage_file: &Path) -> PathBuf {
    with_suffix(garage_file, ".session.lock")
}

/// A held lock; released when dropped.
pub(super) struct SessionLock(#[expect(dead_code, reason = "held until dropped")] FileLock);

impl SessionLock {
    /// Waits for the lock.
    ///
    /// # Errors
    /// [`SessionError::Busy`] after a minute; [`SessionError::NotLocked`] if the file cannot be created.
    pub async fn take(path: &Path) -> Result<SessionLock, SessionError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let lock = FileLock::try_exclusive(path).map_err(|error| SessionError::NotLocked(error.to_string()))?;
            match lock {
                Some(lock) => return Ok(SessionLock(lock)),
                None if Instant::now() < until => tokio::time::sleep(BETWEEN_TRIES).await,
                None => return Err(SessionError::Busy),
            }
        }
    }
}
