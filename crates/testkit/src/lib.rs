//! What tests share. Never a dependency of anything that ships.

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

/// The time at which tests run.
#[must_use]
pub fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a valid time")
}

/// The complete vPIC data, opened once per process.
///
/// # Panics
/// The data is not on this machine; `cargo xtask setup` fetches it. Tests never run without it.
#[must_use]
pub fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let path = default_snapshot_path().expect("a cache folder");
        Snapshot::open(&path).unwrap_or_else(|error| panic!("{error}; fetch it with `cargo xtask setup`"))
    })
}

/// Writes the complete vPIC data into a folder as an installer brings it, and gives the file's path. It is not made
/// smaller, which would take most of a minute.
///
/// # Panics
/// The data is not on this machine, or the folder cannot be written.
#[must_use]
pub fn packed_snapshot(folder: &Path) -> PathBuf {
    let source = File::open(default_snapshot_path().expect("a cache folder")).expect("`cargo xtask setup` fetches it");
    let packed = folder.join(pinned::PACKED_FILE_NAME);
    let target = BufWriter::new(File::create(&packed).expect("a file"));
    ruzstd::encoding::compress(source, target, CompressionLevel::Uncompressed);
    packed
}
