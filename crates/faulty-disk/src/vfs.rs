//! The VFS: passes calls on to the one that was the default, and asks the disks about those that concern their files.
//!
//! Only this module and `file` have unsafe code. They rely on what SQLite guarantees to every VFS: pointers are valid
//! during the call, buffers have the given length, and a file is not used before it was opened or after it was closed.
//! A panic in a C function aborts the process, so no half-done call returns to SQLite.

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    mem::size_of,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr,
    sync::{Mutex, Once, PoisonError},
};

use fastrand::Rng;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_filename, sqlite3_vfs};

use crate::{
    file::FaultyFile,
    state::{check, code_of, disk_of},
};

/// Makes the VFS the default one, once.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: `sqlite3_vfs_find` initializes SQLite, and the VFS that it returns is never unregistered.
        let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!real.is_null(), "SQLite has a default VFS");
        // SAFETY: not null, so it is a valid VFS.
        let (path_length, file_size) = unsafe { ((*real).mxPathname, (*real).szOsFile) };
        let vfs = sqlite3_vfs {
            iVersion: 2,
            szOsFile: size_of::<FaultyFile>() as c_int + file_size,
            mxPathname: path_length,
            pNext: ptr::null_mut(),
            zName: c"garage-faulty-disk".as_ptr(),
            pAppData: real.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: Some(dl_open),
            xDlError: Some(dl_error),
            xDlSym: Some(dl_sym),
            xDlClose: Some(dl_close),
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(get_last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        // SAFETY: the VFS is complete for its version, and is never freed.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite takes the VFS");
    });
}

static RANDOMNESS_SEED: Mutex<Option<u64>> = Mutex::new(None);

/// Makes the random numbers of SQLite in this process follow from a seed, from now on: the salts in logs and the nonces
/// in rollback journals, `random()`, and file names. Without this, the same history gives files that differ.
pub fn seed_randomness(seed: u64) {
    install();
    *RANDOMNESS_SEED.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
    // SAFETY: a length of 0 resets the generator, which then gets its next seed from the default VFS.
    unsafe { ffi::sqlite3_randomness(0, ptr::null_mut()) };
}

/// The VFS that was the default one.
///
/// # Safety
/// `vfs` is the one that `install` registered.
unsafe fn real_of(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: by this function's contract.
    unsafe { (*vfs).pAppData.cast() }
}

/// The path of a file; `None` for a temporary file without a name.
///
/// # Safety
/// `name` is null or a C string.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: by this function's contract.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?;
    Some(OsStr::from_bytes(name.to_bytes()).into())
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes the VFS, a name or null, and memory of `szOsFile` bytes for the file.
    unsafe {
        let real = real_of(vfs);
        let open_real = |file| match (*real).xOpen {
            Some(open) => open(real, name, file, flags, out_flags),
            None => ffi::SQLITE_CANTOPEN,
        };
        let Some((path, disk)) = path_of(name).and_then(|path| disk_of(&path).map(|disk| (path, disk))) else {
            // A file of the real VFS, without this one between it and SQLite.
            return open_real(file);
        };
        // Without methods, SQLite does not close the file if opening it fails.
        (*file).pMethods = ptr::null();
        let real_file = FaultyFile::real_in(file);
        let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
        // As the unix VFS: it syncs the folder with the first sync of a new log or journal, but not of a new database.
        let journals = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
        match disk.open(path, creates, creates && flags & journals != 0, || check(open_real(real_file))) {
            Ok(opened) => {
                FaultyFile::put(file, opened);
                ffi::SQLITE_OK
            }
            Err(code) => code,
        }
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite passes the VFS and a name.
    unsafe {
        let real = real_of(vfs);
        let delete_real = |sync_folder| match (*real).xDelete {
            Some(delete) => delete(real, name, sync_folder),
            None => ffi::SQLITE_IOERR_DELETE,
        };
        match path_of(name).and_then(|path| disk_of(&path).map(|disk| (path, disk))) {
            Some((path, disk)) => code_of(disk.delete(&path, sync_folder & 1 != 0, || check(delete_real(0)))),
            None => delete_real(sync_folder),
        }
    }
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, result: *mut c_int) -> c_int {
    // SAFETY: SQLite passes the VFS and a name.
    unsafe {
        if path_of(name).and_then(|path| disk_of(&path)).is_some_and(|disk| disk.is_dead()) {
            return ffi::SQLITE_IOERR;
        }
        let real = real_of(vfs);
        match (*real).xAccess {
            Some(access) => access(real, name, flags, result),
            None => ffi::SQLITE_IOERR_ACCESS,
        }
    }
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, length: c_int, buffer: *mut c_char) -> c_int {
    // SAFETY: SQLite passes the VFS and a buffer of this length.
    unsafe {
        let real = real_of(vfs);
        // Called even with a seed: the unix VFS also notes here for which process the generator was seeded, and would
        // otherwise reset it when it opens a file.
        let filled = (*real).xRandomness.map_or(0, |randomness| randomness(real, length, buffer));
        let seed = *RANDOMNESS_SEED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seed) = seed else { return filled };
        let buffer = std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
        Rng::with_seed(seed).fill(buffer);
        length
    }
}

type Symbol = Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, *const c_char)>;

/// Functions that pass a call on unchanged.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*) -> $result:ty, or $missing:expr;)*) => {$(
        unsafe extern "C" fn $name(vfs: *mut sqlite3_vfs, $($argument: $type),*) -> $result {
            // SAFETY: SQLite passes the VFS, and arguments for this method.
            unsafe {
                let real = real_of(vfs);
                match (*real).$method {
                    Some(method) => method(real, $($argument),*),
                    None => $missing,
                }
            }
        }
    )*};
}

pass_on! {
    full_pathname =
        xFullPathname(name: *const c_char, length: c_int, path: *mut c_char) -> c_int, or ffi::SQLITE_CANTOPEN;
    dl_open = xDlOpen(name: *const c_char) -> *mut c_void, or ptr::null_mut();
    dl_error = xDlError(length: c_int, message: *mut c_char) -> (), or ();
    dl_sym = xDlSym(library: *mut c_void, name: *const c_char) -> Symbol, or None;
    dl_close = xDlClose(library: *mut c_void) -> (), or ();
    sleep = xSleep(microseconds: c_int) -> c_int, or 0;
    current_time = xCurrentTime(days: *mut f64) -> c_int, or ffi::SQLITE_ERROR;
    get_last_error = xGetLastError(length: c_int, message: *mut c_char) -> c_int, or 0;
}
