#![cfg(unix)]
//! A SQLite VFS for tests that injects faults: kills, power losses, failing writes and syncs.
//!
//! [`Disk`] controls the files below a folder. The product code under test is unchanged, because the VFS is the default
//! one of the process. It passes all calls on to the VFS that was the default before, with locks and shared memory; files
//! that no `Disk` controls have no code of this crate between them and SQLite.
//!
//! - `control`: [`Disk`]
//! - `state`: the files of a disk, which of their changes fail, and what a power loss leaves of their names
//! - `unsynced`: the changes of a file since its last sync, and what a power loss leaves
//! - `vfs`, `file`: SQLite's interface; the only unsafe code of the workspace
//!
//! # What is modeled
//! - **Kill.** Everything written stays, also without a sync. The write during which the process is killed is performed in part.
//! - **Power loss.** A synced file keeps its content. Since the last sync, each sector of a file (512 or 4096 bytes) has any of
//!   the contents that it had, and the file any of its sizes, independently of other sectors and files. Bytes beside a
//!   write are not changed (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`, which the unix VFS claims). If a file has grown without its
//!   content, there are zeros or random bytes. A created or deleted name is kept or lost, until the folder is synced:
//!   by the first sync of a new log or journal, or by a deletion that asks for it.
//! - **Failing writes and syncs.** A failed write is performed in part or not at all. After a failed sync nothing more is
//!   synced than before.
//! - **Syncs cost nothing.** They are recorded, but not performed.
//!
//! # What is not modeled
//! - Changes by other code than SQLite's, such as renaming a file: they are synced at once, and what was not synced of a
//!   file that they replace is forgotten. But what SQLite has written of a file and other code has synced may be lost.
//! - The shared memory (`-shm`), which SQLite rebuilds, and temporary files without a name.
//! - Sectors torn within, damage to sectors that were not written, disks that claim to have synced, and, after a failed sync,
//!   systems that drop what was not synced, and report the next sync as successful.
//! - Failing reads, truncations and deletions, except after a kill.
//! - Several processes: kills and power losses are those of this one, and need all its connections closed before a restart.

mod control;
mod file;
mod state;
mod unsynced;
mod vfs;

pub use control::Disk;
pub use state::Fault;
pub use vfs::seed_randomness;
