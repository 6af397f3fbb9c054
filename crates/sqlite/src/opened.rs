//! The file that a connection has open: its name for SQLite, and whether it still has that name.

use std::{
    io,
    path::{Path, PathBuf},
};

use garage_files as files;

use crate::Error;

/// The absolute form of a path, which SQLite takes for the name of a file in any case. It takes a relative `:memory:`
/// or `file:x` for something else.
///
/// # Errors
/// [`Error::File`] if the path is empty or SQLite cannot take it: one with a NUL, or, except on Unix, one that is not
/// valid Unicode.
pub(crate) fn sqlite_path(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(files::Error::at(path))?;
    let has_nul = absolute.as_os_str().as_encoded_bytes().contains(&0);
    // On Unix, SQLite passes the bytes on as they are.
    if has_nul || cfg!(not(unix)) && absolute.to_str().is_none() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "SQLite cannot open a file of this name");
        return Err(files::Error { path: path.to_owned(), source }.into());
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
        Err(source) => Err(files::Error { path: path.to_owned(), source }.into()),
    }
}
