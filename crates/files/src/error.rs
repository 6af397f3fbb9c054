//! The error type of this crate.

use std::{
    error, fmt, io,
    path::{Path, PathBuf},
};

/// The system cannot use a file or folder. Its message contains the system's reason.
#[derive(Debug)]
pub struct Error {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.source()
    }
}

impl Error {
    /// Adds the path to the system's reason: `read(path).map_err(Error::at(path))`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_said_once() {
        let reason = io::Error::from(io::ErrorKind::NotFound);
        let error = Error { path: PathBuf::from("garage.db"), source: io::Error::from(io::ErrorKind::NotFound) };
        assert_eq!(error.to_string(), format!("garage.db: {reason}"));
        assert!(error::Error::source(&error).is_none());
    }
}
