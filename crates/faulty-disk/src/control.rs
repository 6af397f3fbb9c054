//! The interface for tests.

use std::{fs, io, path::Path, sync::Arc};

use crate::{
    state::{Fault, Shared, register},
    vfs::install,
};

/// Controls the SQLite files below a folder: those that this process opens while the `Disk` exists, through the default
/// VFS. Clones control the same files.
///
/// *Changes* are SQLite's calls that change files: writes, truncations, syncs, deletions, and opening a file that does
/// not exist yet. They are counted in the order in which they are called, so a test that uses connections on several
/// threads repeats exactly only if it orders their changes itself.
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

impl Disk {
    /// Controls the files below `folder`, which must exist. The first call in a process makes the VFS the default one.
    ///
    /// `seed` decides what a power loss leaves, how much of an interrupted write is performed, and whether sectors have
    /// 512 or 4096 bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if another disk controls the folder, one above or one below it. The error of
    /// looking up the folder.
    pub fn new(folder: &Path, seed: u64) -> io::Result<Disk> {
        install();
        // SQLite passes paths without symbolic links to a VFS.
        Ok(Disk(register(fs::canonicalize(folder)?, seed)?))
    }

    /// The number of changes so far, including those that failed because of a [`Fault`].
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.state().changes
    }

    /// Kills the process, from the view of these files: every further call fails with `SQLITE_IOERR`, except those that
    /// close files and release locks. What was written stays, synced or not.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Lets `count` changes succeed, and kills the process during the next one. If that is a write, a random part of it
    /// is performed. Replaces the kill that was planned before.
    pub fn kill_after(&self, count: u64) {
        self.0.state().kill = Some((count, ()));
    }

    /// Lets `count` writes succeed, and lets the next one fail. Later ones succeed. Replaces the failing write that was
    /// planned before.
    pub fn fail_write_after(&self, count: u64, fault: Fault) {
        self.0.state().failing_write = Some((count, fault));
    }

    /// Lets `count` syncs succeed, and lets the next one fail with `SQLITE_IOERR_FSYNC`. It syncs nothing. Later ones
    /// succeed. Replaces the failing sync that was planned before.
    pub fn fail_sync_after(&self, count: u64) {
        self.0.state().failing_sync = Some((count, ()));
    }

    /// Whether the process was killed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.is_dead()
    }

    /// Starts the process again after a kill: calls succeed, and no fault is planned. What is not synced remains so.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] if a connection is open.
    pub fn restart(&self) -> io::Result<()> {
        self.0.restart().map(drop)
    }

    /// Cuts the power: of everything that was not synced, a random part is lost. Then starts the process again, as
    /// [`Disk::restart`] does.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] if a connection is open. The error of rewriting the files.
    pub fn power_loss(&self) -> io::Result<()> {
        self.0.restart()?.lose_power()
    }
}
