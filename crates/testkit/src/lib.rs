//! What tests share. Never a dependency of anything that ships.

pub mod fake_vpic;

use std::sync::OnceLock;

use garage_decode::{Snapshot, default_snapshot_path};
use jiff::Timestamp;

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
