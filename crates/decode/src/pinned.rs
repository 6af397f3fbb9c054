//! The vPIC snapshot that this version requires. No dependencies: the task that downloads the data includes this file.

/// The release of NHTSA's data, year and month.
pub const MONTH: &str = "2026-10";
/// The snapshot's file name in the cache folder.
pub const FILE_NAME: &str = "vpic-2026-10.rkyv";
/// The file name of the snapshot in packages, compressed with zstd.
pub const PACKED_FILE_NAME: &str = "vpic-2026-10.rkyv.zst";
/// Size of the snapshot in bytes.
pub const SIZE_BYTES: u64 = 84_124_480;
/// blake3 over the file's bytes from 64 on, followed by its bytes 10 to 13. The decoding library pins the same
/// digest in its `data/manifest.json`.
pub const BLAKE3: &str = "6630690d9e1a3158121382362936ed73442fcc401c5fc15326267dadbbc41ca6";
/// The folder that the app, the CLI and the tasks share below the user's cache and data folders.
pub const APP_IDENTIFIER: &str = "org.motovault.garage";
