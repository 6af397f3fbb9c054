//! The error type of this crate.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The system cannot use a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Error {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl Error {
    /// Adds the path to the system's reason: `read(path).map_err(Error::at(path))`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error { path, source }
    }
}
