//! Locks between processes.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use crate::{Error, make_folder_of};

/// A held lock on an empty file that exists for this purpose only. It is released when this is dropped or the process
/// ends. The file is never deleted: a process that waits for the lock of a deleted file would get it beside the holder
/// of a new one.
///
/// On a file system without locks every lock is granted.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Returns the shared lock, or `None` if another process or [`FileLock`] has the exclusive one. Creates the file
    /// and its folder if they are missing.
    ///
    /// # Errors
    /// [`Error`] if the file or its folder cannot be created.
    pub fn try_shared(path: &Path) -> Result<Option<FileLock>, Error> {
        try_lock(path, File::try_lock_shared)
    }

    /// Returns the exclusive lock, or `None` if another process or [`FileLock`] has a lock. Creates the file and its
    /// folder if they are missing.
    ///
    /// # Errors
    /// [`Error`] if the file or its folder cannot be created.
    pub fn try_exclusive(path: &Path) -> Result<Option<FileLock>, Error> {
        try_lock(path, File::try_lock)
    }

    /// Waits for the exclusive lock, without a limit. Creates the file and its folder if they are missing.
    ///
    /// # Errors
    /// [`Error`] if the file or its folder cannot be created.
    pub fn exclusive(path: &Path) -> Result<FileLock, Error> {
        let file = open(path)?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(Error::at(path)(error)),
            _ => Ok(FileLock { _file: file }),
        }
    }
}

fn try_lock(path: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Option<FileLock>, Error> {
    let file = open(path)?;
    match lock(&file) {
        Ok(()) => Ok(Some(FileLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(Some(FileLock { _file: file }))
        }
        Err(TryLockError::Error(error)) => Err(Error::at(path)(error)),
    }
}

fn open(path: &Path) -> Result<File, Error> {
    make_folder_of(path)?;
    File::options().create(true).truncate(false).write(true).open(path).map_err(Error::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusive_lock_excludes_all_others_and_shared_locks_exclude_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folder/file.lock");
        let is_free = |lock: Result<Option<FileLock>, Error>| lock.expect("asked").is_some();
        let exclusive = FileLock::exclusive(&path).expect("locked");
        assert!(!is_free(FileLock::try_shared(&path)) && !is_free(FileLock::try_exclusive(&path)));
        drop(exclusive);
        let shared = FileLock::try_shared(&path).expect("asked").expect("free");
        assert!(is_free(FileLock::try_shared(&path)) && !is_free(FileLock::try_exclusive(&path)));
        drop(shared);
        assert!(is_free(FileLock::try_exclusive(&path)));
        assert!(path.exists());
    }

    #[test]
    fn a_waiting_process_gets_the_lock_when_it_is_released() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.lock");
        let held = FileLock::exclusive(&path).expect("locked");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| FileLock::exclusive(&path).map(drop));
            drop(held);
            waiting.join().expect("no panic").expect("locked");
        });
    }

    #[test]
    fn a_lock_below_a_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("written");
        let path = folder.path().join("file/x.lock");
        assert_eq!(FileLock::exclusive(&path).expect_err("no folder").source.kind(), io::ErrorKind::NotADirectory);
    }
}
