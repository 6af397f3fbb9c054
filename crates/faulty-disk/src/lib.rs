#![cfg(unix)]
//! A SQLite VFS for tests that injects faults: kills, power losses, failing writes and syncs.
//!
//! [`Disk`] controls the files below a folder. The code under test is unchanged, because the VFS is the default one of
//! the process. It passes calls on to the VFS that was the default before, including locks and shared memory. Between
//! SQLite and a file that no `Disk` controls there is no code of this crate.
//!
//! - `control`: [`Disk`]
//! - `state`: the files of a disk, which of their changes fail, and what a power loss leaves of their names
//! - `unsynced`: the changes of a file since its last sync, and what a power loss leaves of its content
//! - `vfs`, `file`: SQLite's interface; the only unsafe code of the workspace
//!
//! # What is modeled
//! - **Kill.** Everything written stays, also without a sync. The write during which the process is killed is performed
//!   in part.
//! - **Power loss.** A synced file keeps its content. Of what has changed since, each sector (512 or 4096 bytes) has
//!   any of the contents that it had, and the file any of its sizes, independently of other sectors and files. Bytes
//!   beside a write do not change (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`, which the unix VFS promises to SQLite). Where a
//!   file has grown and the content is lost, there are zeros or random bytes. The creation or deletion of a file may be
//!   lost until its folder is synced. As in the unix VFS, the first sync of a new log or journal does that, and a
//!   deletion if SQLite asks for it, but not the sync of a new database.
//! - **Failing writes and syncs.** A failing write is performed in part or not at all. A failing sync syncs nothing.
//!
//! Syncs are recorded but not performed, so that thousands of histories run in seconds.
//!
//! # What is not modeled
//! - Changes by code other than SQLite, such as renaming a file. They count as synced, and what was not synced of a
//!   file that they change is forgotten. A sync by such code is not seen: it does not protect what SQLite has written.
//! - The shared memory (`-shm`), which SQLite rebuilds, temporary files without a name, and the creation of folders.
//! - Sectors that are written in part, damage to sectors that are not written, and disks that lie about syncs.
//! - Systems that drop unsynced writes after a failed sync, and then report the next sync as successful.
//! - The order in which journaling file systems keep changes of names and sizes. Here a truncation may survive while an
//!   earlier deletion is lost. SQLite depends on this order in one case: a `VACUUM` with a rollback journal and
//!   `synchronous=FULL` truncates the database after it has deleted the journal.
//! - Failing reads, truncations and deletions, other than after a kill.
//! - Several processes. A kill concerns the files of one disk, and a restart needs all connections to them closed.

mod control;
mod file;
mod state;
mod unsynced;
mod vfs;

pub use control::Disk;
pub use state::Fault;
pub use vfs::seed_randomness;
