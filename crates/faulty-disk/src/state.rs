//! The files of a disk: which changes fail, and which are not synced.

use std::{
    collections::BTreeMap,
    ffi::c_int,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use fastrand::Rng;
use rusqlite::ffi;

use crate::unsynced::{Luck, Unsynced};

/// A result code of SQLite other than `SQLITE_OK`.
pub(crate) type Code = c_int;

/// `Ok` for `SQLITE_OK`.
pub(crate) fn check(code: c_int) -> Result<(), Code> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

pub(crate) fn code_of(result: Result<(), Code>) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

/// The file of the real VFS.
pub(crate) trait RealFile {
    /// Fills the buffer, beyond the end of the file with zeros.
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Code>;
    fn write(&self, data: &[u8], offset: u64) -> Result<(), Code>;
    fn truncate(&self, size: u64) -> Result<(), Code>;
}

/// How a write fails: after the first `written` bytes of its data, or after all of them if there are fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: `SQLITE_FULL`.
    Full {
        /// The number of bytes written.
        written: usize,
    },
    /// The device reports an error: `SQLITE_IOERR_WRITE`.
    Device {
        /// The number of bytes written.
        written: usize,
    },
}

static DISKS: RwLock<Vec<Weak<Shared>>> = RwLock::new(Vec::new());

/// Makes a disk for the files below a folder.
pub(crate) fn register(folder: PathBuf, seed: u64) -> io::Result<Arc<Shared>> {
    let mut disks = DISKS.write().unwrap_or_else(PoisonError::into_inner);
    disks.retain(|disk| disk.strong_count() > 0);
    let overlaps = |other: Arc<Shared>| other.folder.starts_with(&folder) || folder.starts_with(&other.folder);
    if disks.iter().filter_map(Weak::upgrade).any(overlaps) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another disk controls these files"));
    }
    let mut rng = Rng::with_seed(seed);
    let sector_size = if rng.bool() { 512 } else { 4096 };
    let state = State {
        rng,
        sector_size,
        changes: 0,
        kill: None,
        failing_write: None,
        failing_sync: None,
        files: BTreeMap::new(),
        entries: BTreeMap::new(),
    };
    let shared = Arc::new(Shared { folder, is_dead: AtomicBool::new(false), state: Mutex::new(state) });
    disks.push(Arc::downgrade(&shared));
    Ok(shared)
}

/// The disk that controls the file, if one does.
pub(crate) fn disk_of(path: &Path) -> Option<Arc<Shared>> {
    let disks = DISKS.read().unwrap_or_else(PoisonError::into_inner);
    disks.iter().filter_map(Weak::upgrade).find(|disk| path.starts_with(&disk.folder))
}

/// A disk, shared with its open files.
pub(crate) struct Shared {
    folder: PathBuf,
    is_dead: AtomicBool,
    state: Mutex<State>,
}

/// What is planned counts down the changes, writes or syncs that succeed before.
pub(crate) struct State {
    rng: Rng,
    sector_size: usize,
    pub(crate) changes: u64,
    pub(crate) kill: Option<(u64, ())>,
    pub(crate) failing_write: Option<(u64, Fault)>,
    pub(crate) failing_sync: Option<(u64, ())>,
    files: BTreeMap<PathBuf, File>,
    /// The changes of each name since its folder was synced, oldest first.
    entries: BTreeMap<PathBuf, Vec<Entry>>,
}

/// A file that exists and was opened.
struct File {
    unsynced: Unsynced,
    connections: usize,
    /// The file when it was opened or closed last.
    stamp: Stamp,
}

/// A change of the name of a file.
enum Entry {
    Created,
    /// Deleted, with the content at that time.
    Deleted(Vec<u8>, Unsynced),
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Acquire)
    }

    pub(crate) fn kill(&self) {
        self.is_dead.store(true, Ordering::Release);
    }

    /// Starts the process again, and returns the state before any new call can change it.
    pub(crate) fn restart(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.refuse_open()?;
        (state.kill, state.failing_write, state.failing_sync) = (None, None, None);
        self.is_dead.store(false, Ordering::Release);
        Ok(state)
    }

    /// Counts a change, and fails if the process is killed before or during it.
    fn begin_change(&self, state: &mut State) -> Result<(), Code> {
        if take_due(&mut state.kill).is_some() {
            self.kill();
        }
        if self.is_dead() {
            return Err(ffi::SQLITE_IOERR);
        }
        state.changes += 1;
        Ok(())
    }

    /// Opens a file by `open`, which creates a missing one if `creates`. If `syncs_folder`, the first sync of the file
    /// also syncs its folder.
    pub(crate) fn open(
        self: Arc<Shared>,
        path: PathBuf,
        creates: bool,
        syncs_folder: bool,
        open: impl FnOnce() -> Result<(), Code>,
    ) -> Result<OpenFile, Code> {
        let mut state = self.state();
        state.forget_if_changed_by_others(&path);
        let exists = path.exists();
        if creates && !exists {
            self.begin_change(&mut state)?;
        } else if self.is_dead() {
            return Err(ffi::SQLITE_IOERR);
        }
        open()?;
        if !exists {
            state.entries.entry(path.clone()).or_default().push(Entry::Created);
        }
        let Some(stamp) = Stamp::of(&path) else { return Err(ffi::SQLITE_IOERR) };
        let (id, unsynced) = (stamp.id, Unsynced::new(state.sector_size, stamp.size));
        let file = state.files.entry(path.clone()).or_insert(File { unsynced, connections: 0, stamp });
        file.connections += 1;
        drop(state);
        Ok(OpenFile { disk: self, path, id, syncs_folder: AtomicBool::new(syncs_folder) })
    }

    /// Deletes a file by `delete`.
    pub(crate) fn delete(
        &self,
        path: &Path,
        syncs_folder: bool,
        delete: impl FnOnce() -> Result<(), Code>,
    ) -> Result<(), Code> {
        let mut state = self.state();
        self.begin_change(&mut state)?;
        state.forget_if_changed_by_others(path);
        let content = fs::read(path);
        delete()?;
        if let Ok(content) = content {
            let synced = Unsynced::new(state.sector_size, content.len() as u64);
            let unsynced = state.files.remove(path).map_or(synced, |file| file.unsynced);
            state.entries.entry(path.to_owned()).or_default().push(Entry::Deleted(content, unsynced));
        }
        if syncs_folder {
            state.sync_folder_of(path);
        }
        Ok(())
    }
}

/// A file that SQLite has open.
pub(crate) struct OpenFile {
    disk: Arc<Shared>,
    path: PathBuf,
    id: FileId,
    syncs_folder: AtomicBool,
}

impl OpenFile {
    pub(crate) fn is_dead(&self) -> bool {
        self.disk.is_dead()
    }

    pub(crate) fn write(&self, real: &impl RealFile, data: &[u8], offset: u64) -> Result<(), Code> {
        let mut state = self.disk.state();
        let was_dead = self.disk.is_dead();
        let (written, result) = match self.disk.begin_change(&mut state) {
            Err(code) if was_dead => return Err(code),
            Err(code) => (state.rng.usize(0..=data.len()), Err(code)),
            Ok(()) => match take_due(&mut state.failing_write) {
                Some(Fault::Full { written }) => (written, Err(ffi::SQLITE_FULL)),
                Some(Fault::Device { written }) => (written, Err(ffi::SQLITE_IOERR_WRITE)),
                None => (data.len(), Ok(())),
            },
        };
        let data = &data[..written.min(data.len())];
        if !data.is_empty() {
            if let Some(file) = state.file(self) {
                file.unsynced.write(data, offset, &|buffer, offset| real.read(buffer, offset))?;
            }
            real.write(data, offset)?;
        }
        result
    }

    pub(crate) fn truncate(&self, real: &impl RealFile, size: u64) -> Result<(), Code> {
        let mut state = self.disk.state();
        self.disk.begin_change(&mut state)?;
        if let Some(file) = state.file(self) {
            file.unsynced.truncate(size, &|buffer, offset| real.read(buffer, offset))?;
        }
        real.truncate(size)
    }

    /// Records the sync, but does not perform it: only a power loss of this disk can lose what is not synced.
    pub(crate) fn sync(&self) -> Result<(), Code> {
        let mut state = self.disk.state();
        self.disk.begin_change(&mut state)?;
        if take_due(&mut state.failing_sync).is_some() {
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        if let Some(file) = state.file(self) {
            file.unsynced.sync();
        }
        if self.syncs_folder.swap(false, Ordering::AcqRel) {
            state.sync_folder_of(&self.path);
        }
        Ok(())
    }

    /// To be called after the file was closed.
    pub(crate) fn close(&self) {
        let mut state = self.disk.state();
        if let Some(file) = state.file(self) {
            file.connections -= 1;
            // Another file may have the name by now. The next call forgets this one then.
            if let Some(stamp) = Stamp::of(&self.path).filter(|stamp| stamp.id == self.id) {
                file.stamp = stamp;
            }
        }
    }
}

impl State {
    /// What is known of an open file; `None` if it was deleted, or if another file has its name.
    fn file(&mut self, opened: &OpenFile) -> Option<&mut File> {
        self.files.get_mut(&opened.path).filter(|file| file.stamp.id == opened.id)
    }

    fn sync_folder_of(&mut self, path: &Path) {
        self.entries.retain(|other, _| other.parent() != path.parent());
    }

    fn refuse_open(&self) -> io::Result<()> {
        match self.files.iter().find(|(_, file)| file.connections > 0) {
            None => Ok(()),
            Some((path, _)) => {
                let message = format!("a connection has {} open", path.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
            }
        }
    }

    /// Forgets what is not synced if the file was not changed by SQLite last: it is a different one now.
    fn forget_if_changed_by_others(&mut self, path: &Path) {
        let is_unchanged = match (self.files.get(path), Stamp::of(path)) {
            (Some(file), Some(stamp)) if file.connections > 0 => file.stamp.id == stamp.id,
            (Some(file), Some(stamp)) => file.stamp == stamp,
            (None, None) => true,
            _ => false,
        };
        if !is_unchanged {
            self.files.remove(path);
            self.entries.remove(path);
        }
    }

    pub(crate) fn lose_power(&mut self) -> io::Result<()> {
        let paths: Vec<PathBuf> = self.files.keys().chain(self.entries.keys()).cloned().collect();
        paths.iter().for_each(|path| self.forget_if_changed_by_others(path));
        // Other code has deleted their folder, and them with it.
        let is_left = |path: &PathBuf| path.parent().is_some_and(Path::exists);
        self.entries.retain(|path, _| is_left(path));
        self.files.retain(|path, _| path.exists() || self.entries.contains_key(path));
        for (path, mut entries) in std::mem::take(&mut self.entries) {
            let survived = Luck::draw(&mut self.rng).pick(entries.len() + 1, &mut self.rng);
            // What the first lost change found.
            match (survived < entries.len()).then(|| entries.swap_remove(survived)) {
                Some(Entry::Created) if self.files.remove(&path).is_some() => fs::remove_file(&path)?,
                None | Some(Entry::Created) => {}
                Some(Entry::Deleted(content, unsynced)) => {
                    self.files.remove(&path);
                    fs::write(&path, unsynced.survivor(content, &mut self.rng))?;
                }
            }
        }
        for (path, file) in std::mem::take(&mut self.files) {
            if !file.unsynced.is_synced() {
                fs::write(&path, file.unsynced.survivor(fs::read(&path)?, &mut self.rng))?;
            }
        }
        Ok(())
    }
}

/// Counts down to a planned fault, and removes it when it is due.
fn take_due<T>(planned: &mut Option<(u64, T)>) -> Option<T> {
    if let Some((count @ 1.., _)) = planned {
        *count -= 1;
        return None;
    }
    planned.take().map(|(_, fault)| fault)
}

/// Device and inode. They are not used again for another file as long as this one is open.
type FileId = (u64, u64);

/// Recognizes a file and its content, as far as the file system tells.
#[derive(PartialEq, Eq)]
struct Stamp {
    id: FileId,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            id: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}
