//! Finds and opens the vPIC data on disk.

use std::path::{Path, PathBuf};

use crate::pinned;

/// NHTSA's complete vPIC data, opened read-only. Can be shared between threads.
///
/// The file is mapped into memory, so it must not be changed while this value exists. Replace it by renaming another
/// file to its path.
pub struct Snapshot {
    pub(crate) db: ultravin::Db,
}

/// Why the snapshot cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SnapshotError {
    /// The file does not exist.
    #[error("The vPIC data is missing: there is no file {}", path.display())]
    Missing {
        /// The expected file.
        path: PathBuf,
    },
    /// The file is truncated, altered or of another month.
    #[error("The vPIC data in {} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The packed snapshot exists but cannot be unpacked.
    #[error("The vPIC data cannot be unpacked into {} ({} MB are needed): {reason}", folder.display(), pinned::SIZE_BYTES / 1_000_000)]
    NotUnpacked {
        /// The target folder.
        folder: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// The snapshot's path: `GARAGE_VPIC_FILE`, or the file in the user's cache folder.
///
/// # Errors
/// [`SnapshotError::Missing`] if the variable is not set and the system has no cache folder.
pub fn default_snapshot_path() -> Result<PathBuf, SnapshotError> {
    if let Some(path) = std::env::var_os("GARAGE_VPIC_FILE").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    dirs::cache_dir()
        .map(|folder| folder.join(pinned::APP_IDENTIFIER).join(pinned::FILE_NAME))
        .ok_or_else(|| SnapshotError::Missing { path: PathBuf::from(pinned::FILE_NAME) })
}

/// Paths at which packages install the compressed snapshot, in search order: only `GARAGE_VPIC_PACKED` if it is set, or
/// else next to the program, in a bundle's resources, and in the system's data folders. Empty if `GARAGE_VPIC_FILE` is
/// set.
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
    /// Opens the snapshot and checks its digest. Takes about 0.1 s, so do not call it during startup.
    ///
    /// # Errors
    /// [`SnapshotError::Missing`], or [`SnapshotError::Damaged`] if the file is truncated, altered or of another month.
    pub fn open(path: &Path) -> Result<Snapshot, SnapshotError> {
        let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
        let size_bytes = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapshotError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        // Check before mapping: reading a mapping beyond the end of the file crashes.
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
