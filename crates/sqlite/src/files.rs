//! Files as the system sees them: names, folders, and writing a file completely before it gets its name.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::Error;

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
    /// [`Error::File`] if a folder cannot be created.
    pub fn beside(target: &Path) -> Result<PartialFile, Error> {
        let folder = make_folder_of(target)?;
        let scratch = tempfile::Builder::new().prefix(PARTIAL_PREFIX).tempdir_in(folder).map_err(at(folder))?;
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
    /// [`Error::File`] if it cannot be created or has been created before.
    pub fn create(&self) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map_err(at(&self.path))
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

/// Moves a complete file to `target` on the same file system, so that after a power cut there is either the whole file
/// under that name or none. The file is synced before, its folder after.
///
/// No connection of this process may have the file open: on Unix, closing it here drops SQLite's locks on it.
///
/// # Errors
/// [`Error::File`] if the file cannot be synced or moved, with [`io::ErrorKind::AlreadyExists`] if the target exists
/// and `existing` is [`Existing::Keep`].
pub fn move_into_place(complete: &Path, target: &Path, existing: Existing) -> Result<(), Error> {
    // Opened for writing because Windows does not sync a file that is opened for reading only.
    let file = OpenOptions::new().read(true).write(true).open(complete).map_err(at(complete))?;
    file.sync_all().map_err(at(complete))?;
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
    .map_err(at(target))?;
    sync_folder(folder_of(target))
}

/// Syncs a folder, which makes it durable that files in it were created, renamed or deleted. Does nothing on systems
/// and file systems that cannot sync folders, or if the folder may not be opened.
///
/// # Errors
/// [`Error::File`] if the system fails to sync it.
pub fn sync_folder(folder: &Path) -> Result<(), Error> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(source)
            if !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Err(at(folder)(source))
        }
        _ => Ok(()),
    }
}

/// Appends to the last name of a path. SQLite names the files beside a database in this way.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns the folder of a file, and creates it if it is missing.
///
/// # Errors
/// [`Error::File`] if it cannot be created.
pub fn make_folder_of(file: &Path) -> Result<&Path, Error> {
    let folder = folder_of(file);
    let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    match std::fs::create_dir_all(folder) {
        // Something other than a folder has the name. "Already exists" would mislead.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(at(folder)(io::ErrorKind::NotADirectory.into()));
        }
        made => made.map_err(at(folder))?,
    }
    for new in missing {
        sync_folder(folder_of(new))?;
    }
    Ok(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The absolute form of a path, which SQLite takes for the name of a file in any case. It takes a relative `:memory:`
/// or `file:x` for something else.
///
/// # Errors
/// [`Error::File`] if the path is empty or SQLite cannot take it: one with a NUL, or, except on Unix, one that is not
/// valid Unicode.
pub(crate) fn sqlite_path(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(at(path))?;
    let has_nul = absolute.as_os_str().as_encoded_bytes().contains(&0);
    // On Unix, SQLite passes the bytes on as they are.
    if has_nul || cfg!(not(unix)) && absolute.to_str().is_none() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "SQLite cannot open a file of this name");
        return Err(at(path)(source));
    }
    Ok(absolute)
}

/// How often a file is opened again if the path leads to another file afterwards than before.
const OPEN_ATTEMPTS: u32 = 3;

/// A file that is open, recognized by its device and inode.
pub(crate) struct OpenedFile {
    path: PathBuf,
    id: FileId,
}

/// Device and inode. They are not used again for another file as long as this one is open.
type FileId = (u64, u64);

impl OpenedFile {
    /// Calls `open`, which opens the file, and identifies the file that it has opened.
    ///
    /// # Errors
    /// The error of `open`; [`Error::Moved`] if another file gets the name again and again; [`Error::File`] if the
    /// path cannot be looked up.
    pub(crate) fn open<T>(path: &Path, open: impl Fn() -> Result<T, Error>) -> Result<(T, OpenedFile), Error> {
        for _ in 0..OPEN_ATTEMPTS {
            let before = file_id(path)?;
            let opened = open()?;
            // The ids differ if `open` created the file, if another program replaced it, or if a file system in layers
            // made a copy for writing. Only if they are equal, what was opened is known for certain.
            if let Some(id) = before.filter(|_| file_id(path).is_ok_and(|after| after == before)) {
                return Ok((opened, OpenedFile { path: path.to_owned(), id }));
            }
        }
        Err(Error::Moved { path: path.to_owned() })
    }

    /// Where the file was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on if the path no longer leads to this file.
    ///
    /// # Errors
    /// [`Error::Moved`], or [`Error::File`] if the path cannot be looked up.
    pub(crate) fn refuse_moved(&self) -> Result<(), Error> {
        if file_id(&self.path)? == Some(self.id) { Ok(()) } else { Err(Error::Moved { path: self.path.clone() }) }
    }
}

/// The id of the file that the path leads to, if there is one. It is looked up by the path, because opening and closing
/// the file would drop SQLite's locks on it.
fn file_id(path: &Path) -> Result<Option<FileId>, Error> {
    match std::fs::metadata(path) {
        #[cfg(unix)]
        Ok(metadata) => Ok(Some({
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        })),
        // Windows refuses to rename, delete or replace a file that SQLite has open, and the standard library does not
        // tell files apart there.
        #[cfg(not(unix))]
        Ok(_) => Ok(Some((0, 0))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Adds the path to an error of the system.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
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
            let partial = PartialFile::beside(&target).expect("a scratch folder");
            std::fs::write(partial.path(), "new").expect("written");
            let finished = partial.finish(existing);
            let kind = finished.err().map(|error| match error {
                Error::File { source, .. } => source.kind(),
                error => panic!("{error}"),
            });
            assert_eq!(kind, (existing == Existing::Keep).then_some(io::ErrorKind::AlreadyExists));
            assert_eq!(std::fs::read_to_string(&target).expect("read"), content);
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_reported_as_no_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = make_folder_of(&file.join("below")).expect_err("no folder");
        assert!(
            matches!(&error, Error::File { source, .. } if source.kind() == io::ErrorKind::NotADirectory),
            "{error}"
        );
    }
}
