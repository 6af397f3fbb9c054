//! Unpacking the snapshot that an installer brought into the user's cache folder, where it is mapped from.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use ruzstd::decoding::StreamingDecoder;
use tempfile::TempPath;

use crate::{Catalog, Snapshot, SnapshotError, pinned};

/// How much is unpacked at a time.
const CHUNK_BYTES: usize = 1 << 20;

impl Snapshot {
    /// Opens the snapshot; where it is missing or no good, unpacks the first of the `packed` ones that is there, which
    /// takes about a second, once. Programs that do so at the same time wait for each other.
    ///
    /// # Errors
    /// As [`Snapshot::open`] where nothing packed is there; else the packed snapshot is damaged, or cannot be unpacked
    /// (the disk is full, the folder cannot be written). No half file is left then.
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

/// Unpacks, checks, and puts the snapshot in its place; then makes what is derived from it and removes older months.
///
/// # Errors
/// The packed file is damaged, or the folder cannot be written. The place is as it was.
pub(crate) fn unpack(packed: &Path, path: &Path) -> Result<Snapshot, SnapshotError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let failed = |error: io::Error| SnapshotError::NotUnpacked { folder: folder.to_owned(), reason: error.to_string() };
    fs::create_dir_all(folder).map_err(failed)?;
    // Held until the end, and let go by the system when a program is killed. The lock is a file of its own: one that
    // is renamed or removed while others wait for it would let two in.
    let lock = File::create(path.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if let Ok(snapshot) = Snapshot::open(path) {
        return Ok(snapshot);
    }
    // Always the same name: what a killed program has left is written over. Removed unless it gets to its place.
    let part = path.with_extension("part");
    let mut target = File::create(&part).map_err(failed)?;
    let part = TempPath::try_from_path(part).map_err(failed)?;
    let damaged = |reason: String| SnapshotError::Damaged { path: packed.to_owned(), reason };
    let source = File::open(packed).map_err(|error| damaged(error.to_string()))?;
    let decoder = StreamingDecoder::new(BufReader::new(source)).map_err(|error| damaged(error.to_string()))?;
    // One byte more than there should be shows that there is more, without unpacking all that a hostile file claims.
    let mut decoder = decoder.take(pinned::SIZE_BYTES + 1);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = decoder.read(&mut chunk).map_err(|error| damaged(error.to_string()))?;
        if length == 0 {
            break;
        }
        target.write_all(&chunk[..length]).map_err(failed)?;
    }
    target.sync_all().map_err(failed)?;
    drop(target);
    // Closed again before it is renamed: Windows does not rename what is mapped.
    Snapshot::open(&part).map(drop).map_err(|error| match error {
        SnapshotError::Damaged { reason, .. } => damaged(format!("unpacked, {reason}")),
        other => other,
    })?;
    part.persist(path).map_err(|error| failed(error.error))?;
    let snapshot = Snapshot::open(path)?;
    // Now, while it takes long anyway, and not when somebody asks for a list.
    let _ = Catalog::open_or_build(&snapshot, path);
    remove_older_months(folder);
    Ok(snapshot)
}

/// Removes the files of months before this version's. What a program still uses, or may not be removed, stays.
fn remove_older_months(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(month_of).is_some_and(|month| month < pinned::MONTH) {
            // A file that stays takes room, nothing else.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The month of a file of ours, such as `vpic-2026-10.rkyv` and `vpic-2026-10.catalog.json`.
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
    fn only_files_of_ours_have_a_month() {
        assert_eq!(month_of(pinned::FILE_NAME), Some(pinned::MONTH));
        assert_eq!(month_of("vpic-2026-09.catalog.json"), Some("2026-09"));
        for other in ["vpic-2026-09", "vpic-2026_09.rkyv", "vpic-2026-9.rkyv", "vpic-mine.rkyv", "garage.db"] {
            assert_eq!(month_of(other), None, "{other}");
        }
    }
}
