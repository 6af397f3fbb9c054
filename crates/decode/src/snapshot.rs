//! The vPIC data on disk: where it lies, and opening it.

use std::path::{Path, PathBuf};

use crate::pinned;

/// NHTSA's complete vPIC data, opened read-only. Cheap to share; decodes from any number of threads.
///
/// The file is mapped into memory and must not change while this lives; it is replaced by renaming another over it.
pub struct Snapshot {
    pub(crate) db: ultravin::Db,
}

/// Why there is no snapshot to decode with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SnapshotError {
    /// No file is there.
    #[error("The vPIC data is missing: there is no file {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is truncated, altered or of another month.
    #[error("The vPIC data in {} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The packed data is there, but there is no place to unpack it to.
    #[error("The vPIC data cannot be unpacked into {} ({} MB are needed): {reason}", folder.display(), pinned::SIZE_BYTES / 1_000_000)]
    NotUnpacked {
        /// Where it was to be put.
        folder: PathBuf,
        /// What stands against it.
        reason: String,
    },
}

/// Where the snapshot is looked for: the file that `GARAGE_VPIC_FILE` names, or the one in the user's cache folder.
///
/// # Errors
/// The system names no cache folder and the variable is not set.
pub fn default_snapshot_path() -> Result<PathBuf, SnapshotError> {
    if let Some(path) = std::env::var_os("GARAGE_VPIC_FILE").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    dirs::cache_dir()
        .map(|folder| folder.join(pinned::APP_IDENTIFIER).join(pinned::FILE_NAME))
        .ok_or_else(|| SnapshotError::Missing { path: PathBuf::from(pinned::FILE_NAME) })
}

/// Where an installer may have put the packed snapshot, the likeliest first: the one file that `GARAGE_VPIC_PACKED`
/// names; or next to the program, where the bundles of other systems have their resources, and in the system's folders
/// for data. None where `GARAGE_VPIC_FILE` says which snapshot is meant.
#[must_use]
pub fn default_packed_paths() -> Vec<PathBuf> {
    let named = |variable| std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    if named("GARAGE_VPIC_FILE").is_some() {
        return Vec::new();
    }
    if let Some(path) = named("GARAGE_VPIC_PACKED") {
        return vec![path];
    }
    let program = std::env::current_exe().ok().and_then(|program| program.canonicalize().ok());
    let beside = program.as_deref().and_then(Path::parent).into_iter();
    let beside = beside.flat_map(|folder| ["", "../Resources", "../share/motovault"].map(|other| folder.join(other)));
    let of_the_system = ["/usr/local/share/motovault", "/usr/share/motovault"].map(PathBuf::from);
    beside.chain(of_the_system).map(|folder| folder.join(pinned::PACKED_FILE_NAME)).collect()
}

impl Snapshot {
    /// Opens the snapshot and checks its digest. Takes about 0.1 s: call it off the start-up path.
    ///
    /// # Errors
    /// The file is missing, truncated, altered, or not the month this version works with.
    pub fn open(path: &Path) -> Result<Snapshot, SnapshotError> {
        let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
        let size_bytes = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapshotError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        // Before the mapping: a truncated file must not be mapped beyond its end.
        if size_bytes != pinned::SIZE_BYTES {
            return Err(damaged(format!("it has {size_bytes} bytes instead of {}", pinned::SIZE_BYTES)));
        }
        let db = ultravin::Db::open(path).map_err(damaged)?;
        if db.artifact_blake3() != pinned::BLAKE3 {
            return Err(damaged("its content has been altered".to_owned()));
        }
        Ok(Snapshot { db })
    }

    /// The release of NHTSA's data, such as `2026-10`.
    #[must_use]
    pub fn month(&self) -> &'static str {
        pinned::MONTH
    }
}
