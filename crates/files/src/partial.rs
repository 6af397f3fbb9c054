//! Writing a file completely before it gets its name.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    Error,
    folder::{folder_of, make_folder_of, sync_folder},
};

/// How the names of the folders begin in which files are written until they are complete. A program that is killed
/// leaves such a folder behind.
pub const PARTIAL_PREFIX: &str = ".motovault-partial-";

/// What to do with a file that already has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Keep it, and fail.
    Keep,
    /// Replace it once the new file is complete.
    Replace,
}

/// A file that is written in a scratch folder beside its target and gets the target's name when it is complete. If this
/// is dropped before that, the scratch folder is deleted.
pub struct PartialFile {
    scratch: TempDir,
    path: PathBuf,
    target: PathBuf,
}

impl PartialFile {
    /// Creates the scratch folder, and the target's folder if it is missing.
    ///
    /// # Errors
    /// [`Error`] if a folder cannot be created.
    pub fn beside(target: &Path) -> Result<PartialFile, Error> {
        let folder = make_folder_of(target)?;
        let scratch = tempfile::Builder::new().prefix(PARTIAL_PREFIX).tempdir_in(folder).map_err(Error::at(folder))?;
        Ok(PartialFile { path: scratch.path().join("partial"), scratch, target: target.to_owned() })
    }

    /// Where to write the content. The file does not exist until the caller or [`PartialFile::create`] creates it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file, on Unix readable by its owner only.
    ///
    /// # Errors
    /// [`Error`] if it cannot be created or has been created before.
    pub fn create(&self) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map_err(Error::at(&self.path))
    }

    /// Gives the file its name as [`move_into_place`] does.
    ///
    /// # Errors
    /// As [`move_into_place`]; the scratch folder is deleted in any case.
    pub fn finish(self, existing: Existing) -> Result<(), Error> {
        move_into_place(&self.path, &self.target, existing)?;
        // A folder that cannot be deleted does not make the file incomplete.
        let _ = self.scratch.close();
        Ok(())
    }
}

/// Writes a file that is whole or not there under its name, readable by its owner only (on Unix).
///
/// # Errors
/// [`Error`] if it cannot be written, with [`io::ErrorKind::AlreadyExists`] if it exists and `existing` is
/// [`Existing::Keep`]. No partial file is left.
pub fn write(target: &Path, content: &[u8], existing: Existing) -> Result<(), Error> {
    let partial = PartialFile::beside(target)?;
    partial.create()?.write_all(content).map_err(Error::at(partial.path()))?;
    partial.finish(existing)
}

/// Moves a complete file to `target` on the same file system, so that after a power cut there is either the whole file
/// under that name or none. The file is synced before, its folder after.
///
/// No connection of this process may have the file open: on Unix, closing it here drops SQLite's locks on it.
///
/// # Errors
/// [`Error`] if the file cannot be synced or moved, with [`io::ErrorKind::AlreadyExists`] if the target exists
/// and `existing` is [`Existing::Keep`].
pub fn move_into_place(complete: &Path, target: &Path, existing: Existing) -> Result<(), Error> {
    // Opened for writing because Windows does not sync a file that is opened for reading only.
    let file = OpenOptions::new().read(true).write(true).open(complete).map_err(Error::at(complete))?;
    file.sync_all().map_err(Error::at(complete))?;
    drop(file);
    match existing {
        Existing::Replace => std::fs::rename(complete, target),
        // Unlike a rename, a link fails if the name is taken.
        Existing::Keep => match std::fs::hard_link(complete, target) {
            Ok(()) => {
                let _ = std::fs::remove_file(complete);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Some file systems have no links.
            Err(_) if target.exists() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(complete, target),
        },
    }
    .map_err(Error::at(target))?;
    sync_folder(folder_of(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_its_name_only_when_it_is_finished() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("new/folder/file");
        let names = || std::fs::read_dir(folder.path().join("new/folder")).expect("a folder").count();
        let abandoned = PartialFile::beside(&target).expect("a scratch folder");
        std::fs::write(abandoned.path(), "half").expect("written");
        assert!(!target.exists());
        drop(abandoned);
        assert_eq!(names(), 0, "an abandoned file leaves nothing behind");
        let partial = PartialFile::beside(&target).expect("a scratch folder");
        std::fs::write(partial.path(), "whole").expect("written");
        partial.finish(Existing::Keep).expect("in place");
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "whole");
        assert_eq!(names(), 1);
    }

    #[test]
    fn an_existing_file_is_kept_or_replaced_as_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("file");
        std::fs::write(&target, "old").expect("written");
        for (existing, content) in [(Existing::Keep, "old"), (Existing::Replace, "new")] {
            let kind = write(&target, b"new", existing).err().map(|error| error.source.kind());
            assert_eq!(kind, (existing == Existing::Keep).then_some(io::ErrorKind::AlreadyExists));
            assert_eq!(std::fs::read_to_string(&target).expect("read"), content);
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }
}
