//! Making and syncing folders, and names of files.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::Error;

/// Syncs a folder, which makes it durable that files in it were created, renamed or deleted. Does nothing on systems
/// and file systems that cannot sync folders, or if the folder may not be opened.
///
/// # Errors
/// [`Error`] if the system fails to sync it.
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
            Err(Error::at(folder)(source))
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
/// [`Error`] if it cannot be created.
pub fn make_folder_of(file: &Path) -> Result<&Path, Error> {
    let folder = folder_of(file);
    let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    match std::fs::create_dir_all(folder) {
        // Something other than a folder has the name. "Already exists" would mislead.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::at(folder)(io::ErrorKind::NotADirectory.into()));
        }
        made => made.map_err(Error::at(folder))?,
    }
    for new in missing {
        sync_folder(folder_of(new))?;
    }
    Ok(folder)
}

/// Returns the folder of a file: `.` for a name alone.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_place_of_a_folder_is_reported_as_no_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = make_folder_of(&file.join("below")).expect_err("no folder");
        assert_eq!(error.source.kind(), io::ErrorKind::NotADirectory);
    }
}
