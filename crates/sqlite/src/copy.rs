//! The database as a whole: backing it up, replacing its content, checking a file before that.

use std::{path::Path, time::Duration};

use garage_files::{Existing, PartialFile, with_suffix};
use rusqlite::{
    Connection, InterruptHandle, OpenFlags,
    backup::{Backup, StepResult},
};
use tokio::runtime::Handle;

use crate::{
    Database, Error, Schema,
    open::{configure, has_content, refuse_foreign, refuse_newer},
    opened::sqlite_path,
    pool::Lease,
    vacuum::vacuum_into,
};

/// How often a backup reports its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
/// How many pages are copied between two reports of progress.
const PAGES_PER_STEP: i32 = 1_000;

impl Database {
    /// Copies the database, as it is at one moment, into a file. `may_continue` receives the number of bytes
    /// written and the approximate total from time to time, and returns whether to continue.
    ///
    /// # Errors
    /// No file is left behind.
    /// - [`Error::File`] if the file is the open database, cannot be written, or exists and `existing` is
    ///   [`Existing::Keep`]
    /// - [`Error::Sqlite`] if the database cannot be read or the disk is full
    /// - [`Error::Stopped`] if `may_continue` returned false
    /// - [`Error::Closed`]
    pub async fn back_up(
        &self,
        path: &Path,
        existing: Existing,
        may_continue: impl Fn(u64, u64) -> bool,
    ) -> Result<(), Error> {
        let reader = self.long_reader().await?;
        self.back_up_with(&reader, path, existing, may_continue).await
    }

    async fn back_up_with(
        &self,
        reader: &Lease,
        path: &Path,
        existing: Existing,
        may_continue: impl Fn(u64, u64) -> bool,
    ) -> Result<(), Error> {
        self.refuse_own_file(path)?;
        let file = PartialFile::beside(path)?;
        // `VACUUM INTO` takes an empty file, and keeps its permissions.
        drop(file.create()?);
        let prepare = reader.call(|connection| {
            let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let size_bytes = (pragma("page_count")? * pragma("page_size")?).unsigned_abs();
            Ok::<_, Error>((connection.get_interrupt_handle(), size_bytes))
        });
        let (interrupt, total) = prepare.await?;
        let interrupt = InterruptOnDrop(interrupt);
        let target = file.path().to_owned();
        let mut copying = Box::pin(reader.call(move |connection| vacuum_into(connection, &target)));
        let copied = loop {
            tokio::select! {
                copied = &mut copying => break copied,
                // VACUUM INTO does not report its progress, but its file grows.
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                    let done = std::fs::metadata(file.path()).map(|it| it.len()).unwrap_or_default().min(total);
                    if !may_continue(done, total) {
                        interrupt.0.interrupt();
                        let _ = copying.as_mut().await;
                        break Err(Error::Stopped);
                    }
                }
            }
        };
        copied?;
        Ok(file.finish(existing)?)
    }

    /// Refuses a path of the database's own file or of SQLite's files beside it, which a copy would destroy.
    ///
    /// # Errors
    /// [`Error::File`] if the path is one of them, or SQLite cannot take it.
    pub fn refuse_own_file(&self, path: &Path) -> Result<(), Error> {
        let path = sqlite_path(path)?;
        let is_own = ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
            let own = with_suffix(self.file().path(), suffix);
            own == path || own.canonicalize().is_ok_and(|own| path.canonicalize().is_ok_and(|path| own == path))
        });
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is the open database itself");
        if is_own { Err(garage_files::Error { path, source }.into()) } else { Ok(()) }
    }

    /// Backs the database up into the new file `saved_as`, then replaces its content by that of `source`, a database
    /// of the same schema. The write lock is held throughout, so no write is missing from the backup. Other
    /// connections see the new content with their next statement. `may_continue` receives the number of pages
    /// copied and the total, and returns whether to continue.
    ///
    /// # Errors
    /// The content is unchanged, and no file is left behind.
    /// - [`Error::File`] if `saved_as` exists or cannot be written
    /// - [`Error::Moved`] if the path no longer leads to the file that was opened
    /// - [`Error::Sqlite`] if a database cannot be read or written
    /// - [`Error::Stopped`] if `may_continue` returned false
    /// - [`Error::Closed`]
    pub async fn replace(
        &self,
        source: Connection,
        saved_as: &Path,
        may_continue: impl Fn(u64, u64) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let (database, saved_as, runtime) = (self.clone(), saved_as.to_owned(), Handle::current());
        // It may have to wait for other long reads, which writers must not.
        let reader = self.long_reader().await?;
        let replace = move |connection: &mut Connection| {
            let backup = Backup::new(&source, connection)?;
            // Copies no page, but takes the write lock.
            advance(&backup, 0)?;
            database.file().refuse_moved()?;
            runtime.block_on(database.back_up_with(&reader, &saved_as, Existing::Keep, |_, _| true))?;
            let replaced = copy_pages(&backup, may_continue);
            // SQLite rolls back a copy that is not complete.
            drop(backup);
            if replaced.is_err() {
                let _ = std::fs::remove_file(&saved_as);
            }
            replaced
        };
        self.writer().call(replace).await
    }
}

/// Interrupts the connection's statement if the caller stops waiting for it. Must be dropped before the connection is
/// given back; without a running statement it does nothing.
struct InterruptOnDrop(InterruptHandle);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// Opens a file read-only and checks that it is an intact database with a schema that this program knows.
///
/// # Errors
/// As [`open_unchanged`], and [`Error::Sqlite`] if the file is damaged or empty.
pub fn check(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    let connection = open_unchanged(path, schema, Access::Read)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let code = match has_content(&connection)? {
        false => rusqlite::ffi::SQLITE_NOTADB,
        true if verdict != "ok" => rusqlite::ffi::SQLITE_CORRUPT,
        true => return Ok(connection),
    };
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(verdict)).into())
}

/// What a connection of [`open_unchanged`] may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Read and write.
    Write,
}

/// Opens an existing file as it is, without migrations and without a check of its content.
///
/// # Errors
/// - [`Error::File`] if there is no such file or it is a folder
/// - [`Error::Sqlite`] if it is no database
/// - [`Error::Foreign`] if it belongs to another program, [`Error::Newer`] if to a newer version of this one
pub fn open_unchanged(path: &Path, schema: &Schema, access: Access) -> Result<Connection, Error> {
    let at = |source| garage_files::Error { path: path.to_owned(), source };
    // For a folder, SQLite reports a disk error.
    if std::fs::metadata(path).map_err(at)?.is_dir() {
        return Err(at(std::io::ErrorKind::IsADirectory.into()).into());
    }
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let connection = Connection::open_with_flags(sqlite_path(path)?, flags)?;
    configure(&connection, schema.prepare)?;
    refuse_foreign(&connection, path, schema)?;
    refuse_newer(&connection, path, schema)?;
    Ok(connection)
}

fn copy_pages(backup: &Backup<'_, '_>, may_continue: impl Fn(u64, u64) -> bool) -> Result<(), Error> {
    while advance(backup, PAGES_PER_STEP)? == StepResult::More {
        let pages = backup.progress();
        let (left, total) = (u64::from(pages.remaining.unsigned_abs()), u64::from(pages.pagecount.unsigned_abs()));
        if !may_continue(total - left, total) {
            return Err(Error::Stopped);
        }
    }
    Ok(())
}

fn advance(backup: &Backup<'_, '_>, pages: i32) -> Result<StepResult, Error> {
    match backup.step(pages)? {
        step @ (StepResult::Done | StepResult::More) => Ok(step),
        // SQLite has already waited for the busy timeout.
        _ => Err(busy()),
    }
}

fn busy() -> Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, insert, schema};

    #[tokio::test]
    async fn what_is_replaced_is_saved_with_every_write_of_another_connection() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let ours = Database::open(&path, schema(&[1])).await.expect("open");
        let other = Database::open(&path, schema(&[1])).await.expect("open");
        let new_path = folder.path().join("new.db");
        Database::open(&new_path, schema(&[1])).await.expect("open").close().await;
        for round in 0..10 {
            let saved = folder.path().join(format!("saved-{round}.db"));
            let writing = tokio::spawn({
                let other = other.clone();
                async move {
                    let mut written = 0;
                    for _ in 0..20 {
                        other.write(insert).await.expect("a write");
                        written += 1;
                    }
                    written
                }
            });
            let source = check(&new_path, &schema(&[1])).expect("intact");
            ours.replace(source, &saved, |_, _| true).await.expect("replaced");
            let written: i64 = writing.await.expect("written");
            let before = Database::open(&saved, schema(&[1])).await.expect("open");
            assert_eq!(count(&before).await + count(&other).await, written, "each write is in one of the two");
            before.close().await;
            ours.write::<_, Error>(|tx| Ok(tx.execute("DELETE FROM t1", [])?)).await.expect("emptied");
        }
    }

    #[tokio::test]
    async fn a_replacement_that_was_stopped_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, saved) = (folder.path().join("garage.db"), folder.path().join("saved.db"));
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.write(insert).await.expect("a write");
        let big_path = folder.path().join("big.db");
        let big = Database::open(&big_path, schema(&[1])).await.expect("open");
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000)
                    INSERT INTO t1 SELECT i FROM n";
        big.write::<_, Error>(move |tx| Ok(tx.execute(fill, [])?)).await.expect("filled");
        big.close().await;
        let source = check(&big_path, &schema(&[1])).expect("intact");
        let stopped = database.replace(source, &saved, |_, _| false).await;
        assert!(matches!(stopped, Err(Error::Stopped)));
        assert_eq!(count(&database).await, 1);
        assert!(!saved.exists());
        database.write::<_, Error>(|tx| Ok(tx.execute("DELETE FROM t1", [])?)).await.expect("it goes on");
    }

    #[tokio::test]
    async fn a_path_with_a_nul_is_refused() {
        let path = Path::new("/garage\0.db");
        let refused = Database::open(path, schema(&[1])).await.err().expect("refused");
        assert!(matches!(refused, Error::File(_)), "{refused}");
    }

    /// File systems of other Unix systems refuse such names.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_path_that_is_not_utf_8_works() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
        let (path, backup, saved) = (at(b"g\xff'/garage-\xfe.db"), at(b"b\xff/b\xc3.db"), at(b"\xf0saved"));
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.write(insert).await.expect("a write");
        database.back_up(&backup, Existing::Keep, |_, _| true).await.expect("backed up");
        database.write(insert).await.expect("a write");
        let source = check(&backup, &schema(&[1])).expect("intact");
        database.replace(source, &saved, |_, _| true).await.expect("replaced");
        assert_eq!(count(&database).await, 1);
        let saved = Database::open(&saved, schema(&[1])).await.expect("open");
        assert_eq!(count(&saved).await, 2);
        assert!(path.is_file() && backup.is_file());
    }
}
