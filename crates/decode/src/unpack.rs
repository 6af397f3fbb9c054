//! Unpacks the compressed snapshot of a package into the user's cache folder.

use std::{
    fs::{self, File},
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
};

use garage_files::{Existing, FileLock, folder_of, move_into_place};
use ruzstd::decoding::StreamingDecoder;
use tempfile::TempPath;

use crate::{Catalog, Snapshot, SnapshotError, pinned};

/// Bytes that are unpacked at a time.
const CHUNK_BYTES: usize = 1 << 20;

impl Snapshot {
    /// Opens the snapshot. If it is missing or damaged, unpacks the first existing file of `packed`, which takes about a
    /// second. A lock file makes concurrent processes wait.
    ///
    /// # Errors
    /// Same as [`Snapshot::open`] if no file of `packed` exists. Otherwise [`SnapshotError::Damaged`] if the packed file
    /// is damaged, or [`SnapshotError::NotUnpacked`] if the folder cannot be written. No partial file remains.
    pub fn open_or_unpack(path: &Path, packed: &[PathBuf]) -> Result<Snapshot, SnapshotError> {
        let refused = match Snapshot::open(path) {
            Ok(snapshot) => return Ok(snapshot),
            Err(refused) => refused,
        };
        match packed.iter().find(|packed| packed.is_file()) {
            Some(packed) => unpack(packed, path),
            None => Err(refused),
        }
    }
}

/// Unpacks the snapshot, checks it and renames it to `path`. Then builds the catalog and deletes files of older months.
///
/// # Errors
/// [`SnapshotError::Damaged`] if the packed file is damaged, [`SnapshotError::NotUnpacked`] if the folder cannot be
/// written. `path` is unchanged.
pub(crate) fn unpack(packed: &Path, path: &Path) -> Result<Snapshot, SnapshotError> {
    let folder = folder_of(path);
    let not_unpacked = |reason: String| SnapshotError::NotUnpacked { folder: folder.to_owned(), reason };
    let failed = |error: std::io::Error| not_unpacked(error.to_string());
    let file_failed = |error: garage_files::Error| not_unpacked(error.source.to_string());
    let _lock = FileLock::exclusive(&path.with_extension("lock")).map_err(file_failed)?;
    if let Ok(snapshot) = Snapshot::open(path) {
        return Ok(snapshot);
    }
    // A fixed name, so that the next run overwrites what a killed process left. Deleted on drop unless persisted.
    let part = path.with_extension("part");
    let mut target = File::create(&part).map_err(failed)?;
    let part = TempPath::try_from_path(part).map_err(failed)?;
    let damaged = |reason: String| SnapshotError::Damaged { path: packed.to_owned(), reason };
    let source = File::open(packed).map_err(|error| damaged(error.to_string()))?;
    let decoder = StreamingDecoder::new(BufReader::new(source)).map_err(|error| damaged(error.to_string()))?;
    // Read one byte too many to detect a larger file without unpacking all of it.
    let mut decoder = decoder.take(pinned::SIZE_BYTES + 1);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = decoder.read(&mut chunk).map_err(|error| damaged(error.to_string()))?;
        if length == 0 {
            break;
        }
        target.write_all(&chunk[..length]).map_err(failed)?;
    }
    drop(target);
    // Unmap before renaming: Windows cannot rename a mapped file.
    Snapshot::open(&part).map(drop).map_err(|error| match error {
        SnapshotError::Damaged { reason, .. } => damaged(format!("unpacked, {reason}")),
        other => other,
    })?;
    move_into_place(&part, path, Existing::Replace).map_err(file_failed)?;
    let snapshot = Snapshot::open(path)?;
    // Build the catalog now, so that the first list does not wait for it.
    let _ = Catalog::open_or_build(&snapshot, path);
    remove_older_months(folder);
    Ok(snapshot)
}

/// Deletes the files of older months, if they can be deleted.
fn remove_older_months(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(month_of).is_some_and(|month| month < pinned::MONTH) {
            // A file that remains only takes space.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The month in a file name such as `vpic-2026-10.rkyv` and `vpic-2026-10.catalog.json`.
fn month_of(name: &str) -> Option<&str> {
    let month = name.strip_prefix("vpic-")?.split_once('.')?.0;
    let is_month = month.len() == pinned::MONTH.len()
        && month.bytes().enumerate().all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
    is_month.then_some(month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_snapshot_file_names_have_a_month() {
        assert_eq!(month_of(pinned::FILE_NAME), Some(pinned::MONTH));
        assert_eq!(month_of("vpic-2026-09.catalog.json"), Some("2026-09"));
        for other in ["vpic-2026-09", "vpic-2026_09.rkyv", "vpic-2026-9.rkyv", "vpic-mine.rkyv", "garage.db"] {
            assert_eq!(month_of(other), None, "{other}");
        }
    }
}
