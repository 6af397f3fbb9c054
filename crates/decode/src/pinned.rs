//! The one vPIC snapshot this version works with. Kept free of dependencies: the task that fetches the data
//! includes this file.

/// The release of NHTSA's data, year and month.
pub const MONTH: &str = "2026-10";
/// The snapshot's name in the cache folder; another month is another file.
pub const FILE_NAME: &str = "vpic-2026-10.rkyv";
/// The snapshot's name as installers bring it, packed with zstd.
pub const PACKED_FILE_NAME: &str = "vpic-2026-10.rkyv.zst";
/// Size of the snapshot in bytes.
pub const SIZE_BYTES: u64 = 84_124_480;
/// blake3 over the file's bytes from 64 on, followed by its bytes 10 to 13. The decoding library pins the same
/// digest in its `data/manifest.json`.
pub const BLAKE3: &str = "6630690d9e1a3158121382362936ed73442fcc401c5fc15326267dadbbc41ca6";
/// The folder that the app, the CLI and the tasks share below the user's cache and data folders.
pub const APP_IDENTIFIER: &str = "org.motovault.garage";
