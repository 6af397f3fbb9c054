//! Shared test helpers. Only for dev-dependencies.

pub mod fake_vpic;

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use garage_decode::{Snapshot, default_snapshot_path, pinned};
use jiff::Timestamp;
use ruzstd::encoding::CompressionLevel;

/// The fixed time of tests.
#[must_use]
pub fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a valid time")
}

/// The complete vPIC data, opened once per process.
///
/// # Panics
/// If the data is not on this machine; run `cargo xtask setup`.
#[must_use]
pub fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let path = default_snapshot_path().expect("a cache folder");
        Snapshot::open(&path).unwrap_or_else(|error| panic!("{error}; fetch it with `cargo xtask setup`"))
    })
}

/// Writes the vPIC data into a folder in the packaged format, and returns the file's path. The data is not actually
/// compressed, which would take most of a minute.
///
/// # Panics
/// If the data is not on this machine, or the folder is not writable.
#[must_use]
pub fn packed_snapshot(folder: &Path) -> PathBuf {
    let source = File::open(default_snapshot_path().expect("a cache folder")).expect("`cargo xtask setup` fetches it");
    let packed = folder.join(pinned::PACKED_FILE_NAME);
    let target = BufWriter::new(File::create(&packed).expect("a file"));
    ruzstd::encoding::compress(source, target, CompressionLevel::Uncompressed);
    packed
}
