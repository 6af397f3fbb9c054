//! The files of a disk: SQLite's methods of a file, which call those of the file of the real VFS.

use std::{
    ffi::{c_int, c_void},
    slice,
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use crate::state::{Code, OpenFile, RealFile, check, code_of};

/// What SQLite has of a file. The real VFS has its file in the memory behind it.
#[repr(C)]
pub(crate) struct FaultyFile {
    base: sqlite3_file,
    real: Real,
    opened: Option<Box<OpenFile>>,
}

impl FaultyFile {
    /// The place of the real VFS's file.
    ///
    /// # Safety
    /// `file` has room for a `FaultyFile` and a file of the real VFS.
    pub(crate) unsafe fn real_in(file: *mut sqlite3_file) -> *mut sqlite3_file {
        // SAFETY: by this function's contract. The size is a multiple of 8, SQLite's alignment of files.
        unsafe { file.cast::<FaultyFile>().add(1).cast() }
    }

    /// Makes the memory an open file.
    ///
    /// # Safety
    /// As [`FaultyFile::real_in`], and the real VFS has opened its file there.
    pub(crate) unsafe fn put(file: *mut sqlite3_file, opened: OpenFile) {
        // SAFETY: by this function's contract. SQLite calls `close`, which drops `opened`.
        unsafe {
            let real = Real(FaultyFile::real_in(file));
            let base = sqlite3_file { pMethods: &METHODS };
            file.cast::<FaultyFile>().write(FaultyFile { base, real, opened: Some(Box::new(opened)) });
        }
    }

    /// # Safety
    /// `file` was passed to [`FaultyFile::put`] and is not closed.
    unsafe fn at<'a>(file: *mut sqlite3_file) -> &'a FaultyFile {
        // SAFETY: by this function's contract. Nothing but `close` has a mutable reference.
        unsafe { &*file.cast::<FaultyFile>() }
    }

    fn perform(&self, change: impl FnOnce(&OpenFile) -> Result<(), Code>) -> c_int {
        self.opened.as_ref().map_or(ffi::SQLITE_IOERR, |opened| code_of(change(opened)))
    }

    fn is_dead(&self) -> bool {
        self.opened.as_ref().is_none_or(|opened| opened.is_dead())
    }
}

/// An open file of the real VFS.
struct Real(*mut sqlite3_file);

/// Calls a method of the real file, if its VFS has the method.
macro_rules! call {
    ($real:expr, $method:ident($($argument:expr),*), since $version:literal) => {{
        let Real(file) = $real;
        let methods = (**file).pMethods;
        let method = if (*methods).iVersion >= $version { (*methods).$method } else { None };
        method.map(|method| method(*file, $($argument),*))
    }};
}

impl RealFile for Real {
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Code> {
        let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len() as c_int);
        // SAFETY: the file is open, and the buffer has this length.
        match unsafe { call!(self, xRead(start, length, offset as sqlite3_int64), since 1) } {
            // The rest is filled with zeros.
            Some(ffi::SQLITE_IOERR_SHORT_READ) => Ok(()),
            code => check(code.unwrap_or(ffi::SQLITE_IOERR)),
        }
    }

    fn write(&self, data: &[u8], offset: u64) -> Result<(), Code> {
        let (start, length) = (data.as_ptr().cast(), data.len() as c_int);
        // SAFETY: the file is open, and the data have this length.
        let code = unsafe { call!(self, xWrite(start, length, offset as sqlite3_int64), since 1) };
        check(code.unwrap_or(ffi::SQLITE_IOERR))
    }

    fn truncate(&self, size: u64) -> Result<(), Code> {
        // SAFETY: the file is open.
        let code = unsafe { call!(self, xTruncate(size as sqlite3_int64), since 1) };
        check(code.unwrap_or(ffi::SQLITE_IOERR))
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite passes an open file, and does not use it afterwards.
    unsafe {
        let faulty = &mut *file.cast::<FaultyFile>();
        let code = call!(&faulty.real, xClose(), since 1);
        // Sets the time of the last change, which the disk compares, after the real VFS has closed the file.
        if let Some(opened) = faulty.opened.take() {
            opened.close();
        }
        code.unwrap_or(ffi::SQLITE_OK)
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes an open file, and data of this length.
    let (file, data) = unsafe { (FaultyFile::at(file), slice::from_raw_parts(data.cast::<u8>(), length as usize)) };
    file.perform(|opened| opened.write(&file.real, data, offset as u64))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite passes an open file.
    let file = unsafe { FaultyFile::at(file) };
    file.perform(|opened| opened.truncate(&file.real, size as u64))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    unsafe { FaultyFile::at(file) }.perform(OpenFile::sync)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: SQLite passes an open file, and an argument for the operation.
    unsafe {
        let faulty = FaultyFile::at(file);
        match operation {
            _ if faulty.is_dead() => ffi::SQLITE_IOERR,
            // The real VFS would change the size of the file, unknown to the disk. Both are optional.
            ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE => ffi::SQLITE_OK,
            _ => call!(&faulty.real, xFileControl(operation, argument), since 1).unwrap_or(ffi::SQLITE_NOTFOUND),
        }
    }
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite passes an open file.
    let real = unsafe { call!(&FaultyFile::at(file).real, xDeviceCharacteristics(), since 1) };
    // What the disk does not break, or does not concern it. It tears writes, and performs them in any order.
    let kept = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
        | ffi::SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN
        | ffi::SQLITE_IOCAP_SUBPAGE_READ;
    real.unwrap_or(0) & kept
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    unsafe {
        let faulty = FaultyFile::at(file);
        // The locks of a killed process are released.
        if faulty.is_dead() && flags & ffi::SQLITE_SHM_UNLOCK == 0 {
            return ffi::SQLITE_IOERR;
        }
        call!(&faulty.real, xShmLock(offset, count, flags), since 2).unwrap_or(ffi::SQLITE_IOERR)
    }
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: SQLite passes an open file.
    unsafe {
        call!(&FaultyFile::at(file).real, xShmBarrier(), since 2);
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite passes an open file.
    unsafe {
        let faulty = FaultyFile::at(file);
        // A killed process does not delete the shared memory.
        let delete = if faulty.is_dead() { 0 } else { delete };
        call!(&faulty.real, xShmUnmap(delete), since 2).unwrap_or(ffi::SQLITE_OK)
    }
}

/// Functions that pass a call on unchanged: `if_alive` only while the process is not killed.
macro_rules! pass_on {
    ($($when:ident $name:ident = $method:ident($($argument:ident: $type:ty),*), since $version:literal;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: SQLite passes an open file, and arguments for this method.
            unsafe {
                let faulty = FaultyFile::at(file);
                if stringify!($when) == "if_alive" && faulty.is_dead() {
                    return ffi::SQLITE_IOERR;
                }
                call!(&faulty.real, $method($($argument),*), since $version).unwrap_or(ffi::SQLITE_IOERR)
            }
        }
    )*};
}

pass_on! {
    if_alive read = xRead(buffer: *mut c_void, length: c_int, offset: sqlite3_int64), since 1;
    if_alive file_size = xFileSize(size: *mut sqlite3_int64), since 1;
    if_alive lock = xLock(level: c_int), since 1;
    always unlock = xUnlock(level: c_int), since 1;
    if_alive check_reserved_lock = xCheckReservedLock(result: *mut c_int), since 1;
    always sector_size = xSectorSize(), since 1;
    if_alive shm_map =
        xShmMap(region: c_int, size: c_int, extend: c_int, memory: *mut *mut c_void), since 2;
    if_alive fetch = xFetch(offset: sqlite3_int64, length: c_int, memory: *mut *mut c_void), since 3;
    always unfetch = xUnfetch(offset: sqlite3_int64, memory: *mut c_void), since 3;
}
