//! One way to open a SQLite file, for the device's garage and the server's database alike: pragmas, then
//! migrations in one transaction, then one writer and a few readers.
//!
//! Not here: any table. Invariants: every write runs in an IMMEDIATE transaction that either commits as a whole
//! or leaves no trace, and is on disk before [`Database::write`] returns; readers cannot write.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, OpenFlags, Transaction, TransactionBehavior,
    backup::{Backup, StepResult},
};
use tokio::runtime::Handle;

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Where refinery notes which migrations have been applied.
const HISTORY_TABLE: &str = "refinery_schema_history";
/// How often a long task says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);
/// Pages that are copied between two looks at whether to go on.
const PAGES_PER_STEP: i32 = 1_000;
/// How often a migration is tried again, should another program be at it.
const MIGRATION_RACES: u32 = 3;
/// Connections that read side by side.
const READERS: usize = 2;

/// An open database. Cloning shares the connections.
#[derive(Clone)]
pub struct Database {
    writer: tokio_rusqlite::Connection,
    readers: Vec<tokio_rusqlite::Connection>,
    next_reader: Arc<AtomicUsize>,
    path: Arc<Path>,
}

/// What becomes of a file that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced, once the new one is complete.
    Replace,
}

/// What a program's databases have in common.
pub struct Schema {
    /// How their tables come to be.
    pub migrations: refinery::Runner,
    /// SQLite's number of the program a file belongs to. A migration sets it; files from before that one have none.
    pub application_id: i32,
    /// A table and a column that only this program's files have, from their first version on: what tells those apart
    /// that have no number, or a damaged one.
    pub mark: (&'static str, &'static str),
}

/// Why a database cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is another program's database; it is as it was.
    #[error("{} is a database of another program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's schema comes from a newer version of the program.
    #[error("{} was written by a newer version (schema {found}, this version knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest schema version this program knows.
        known: i64,
    },
    /// A migration failed; the file is as it was.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[from] refinery::Error),
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file or its folder cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Whoever asked for it wanted no more; nothing has changed.
    #[error("stopped")]
    Stopped,
    /// The connection's thread is gone; only while the program ends.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// SQLite's result code, if this came from SQLite, a migration's failure included. A value that is none of its
    /// column's kind counts as damage: nobody has written it.
    #[must_use]
    pub fn sqlite_code(&self) -> Option<rusqlite::ErrorCode> {
        match self {
            Error::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => Some(rusqlite::ErrorCode::DatabaseCorrupt),
            // The log's index finds no room on the disk.
            Error::Sqlite(rusqlite::Error::SqliteFailure(error, _))
                if error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE =>
            {
                Some(rusqlite::ErrorCode::DiskFull)
            }
            // SQLite has no code of its own for a header that says of itself what it cannot be.
            Error::Sqlite(rusqlite::Error::SqliteFailure(_, Some(message))) if message == "unsupported file format" => {
                Some(rusqlite::ErrorCode::DatabaseCorrupt)
            }
            Error::Sqlite(error) => error.sqlite_error_code(),
            Error::Migration(error) => std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<rusqlite::Error>())
                .and_then(rusqlite::Error::sqlite_error_code),
            Error::Foreign { .. } | Error::Newer { .. } | Error::File { .. } | Error::Stopped | Error::Closed => None,
        }
    }
}

impl Database {
    /// Opens the file, creating it and its folder where they are missing, and brings its schema up to date.
    ///
    /// # Errors
    /// The folder cannot be made, the file is no database, is another program's, is locked, or was written by a newer
    /// version.
    pub async fn open(path: &Path, schema: Schema) -> Result<Database, Error> {
        make_folder_of(path)?;
        // Relative, a name such as `:memory:` or `file:x` would mean something else to SQLite.
        let path = &std::path::absolute(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let writer = tokio_rusqlite::Connection::open(path).await?;
        let owned_path = path.to_owned();
        let prepared = call(&writer, move |connection| -> Result<(), Error> {
            configure(connection)?;
            refuse_foreign(connection, &owned_path, &schema)?;
            switch_to_wal(connection)?;
            migrate(connection, &owned_path, schema.migrations)
        });
        if let Err(error) = prepared.await {
            // Whoever is told may move the file, and SQLite removes its companions by name when it closes.
            let _ = writer.close().await;
            return Err(error);
        }
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(open_reader(path).await?);
        }
        Ok(Database { writer, readers, next_reader: Arc::default(), path: path.as_path().into() })
    }

    /// Runs `work` in an IMMEDIATE transaction; commits if it succeeds, else nothing has happened.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's refusal to begin or commit.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        self.in_transaction(work, |transaction| transaction.commit()).await
    }

    /// Closes all connections, which folds the log into the file. Clones that are left answer [`Error::Closed`].
    pub async fn close(self) {
        // The last to close does the folding, and only the writer can; a failure leaves the log for the next opening.
        for reader in self.readers {
            let _ = reader.close().await;
        }
        let _ = self.writer.close().await;
    }

    /// As [`Database::write`], but nothing is kept: for finding out what a write would do.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's refusal to begin.
    pub async fn try_write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        self.in_transaction(work, |transaction| transaction.rollback()).await
    }

    async fn in_transaction<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        finish: fn(Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        call(&self.writer, move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            finish(transaction)?;
            Ok(value)
        })
        .await
    }

    /// A number that changes whenever somebody else has written: another program, or another [`Database`] of this one.
    ///
    /// # Errors
    /// The database is closed, or cannot be read.
    pub async fn others_version(&self) -> Result<i64, Error> {
        call(&self.writer, |connection| Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?))
            .await
    }

    /// Copies the database, as it is at one moment, into a file. `goes_on` is told now and then
    /// how many bytes are done, of about how many, and says whether to go on.
    ///
    /// # Errors
    /// The file exists and is to be kept, or it cannot be written, or `goes_on` said no; no half file is left.
    pub async fn back_up(
        &self,
        path: &Path,
        existing: Existing,
        goes_on: impl Fn(u64, u64) -> bool,
    ) -> Result<(), Error> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        self.refuse_own_file(path)?;
        let folder = make_folder_of(path)?;
        // Written beside and given its name when complete; the name is taken only if it is free.
        let scratch = tempfile::Builder::new().prefix(".motovault-backup-").tempdir_in(folder).map_err(at(folder))?;
        let copy = scratch.path().join("copy.db");
        // On a connection of its own: the others have work to do meanwhile.
        let connection = open_reader(&self.path).await?;
        let interrupt = call(&connection, |connection| Ok::<_, Error>(connection.get_interrupt_handle())).await?;
        let target = copy.clone();
        let copying = call(&connection, move |connection| {
            Ok::<_, Error>(connection.execute("VACUUM INTO ?1", [target.to_string_lossy()])?)
        });
        let size_bytes = self.read::<_, Error>(|transaction| {
            let pragma = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            Ok((pragma("page_count")? * pragma("page_size")?).unsigned_abs())
        });
        let total = size_bytes.await?;
        let mut copying = Box::pin(copying);
        let copied = loop {
            tokio::select! {
                copied = &mut copying => break copied.map(drop),
                // VACUUM INTO itself does not say how far it is, but its file grows.
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                    let done = std::fs::metadata(&copy).map(|it| it.len()).unwrap_or_default().min(total);
                    if !goes_on(done, total) {
                        interrupt.interrupt();
                        let _ = copying.as_mut().await;
                        break Err(Error::Stopped);
                    }
                }
            }
        };
        drop(copying);
        // Before the caller goes on: while it is open, the database is not one file.
        let _ = connection.close().await;
        copied?;
        std::fs::File::open(&copy).and_then(|file| file.sync_all()).map_err(at(&copy))?;
        if existing == Existing::Replace {
            return std::fs::rename(&copy, path).map_err(at(path));
        }
        std::fs::hard_link(&copy, path)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Err(error),
                // Some file systems have no links.
                _ if path.exists() => Err(std::io::ErrorKind::AlreadyExists.into()),
                _ => std::fs::rename(&copy, path),
            })
            .map_err(at(path))
    }

    /// Refuses a path that is the database's own file or one of SQLite's beside it: writing there would destroy it.
    ///
    /// # Errors
    /// It is one of them.
    pub fn refuse_own_file(&self, path: &Path) -> Result<(), Error> {
        let is_own = ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
            let own = with_suffix(&self.path, suffix);
            own == path || own.canonicalize().is_ok_and(|own| path.canonicalize().is_ok_and(|path| own == path))
        });
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is the open database itself");
        if is_own { Err(Error::File { path: path.to_owned(), source }) } else { Ok(()) }
    }

    /// Replaces the whole content by that of another database of the same schema, after saving what is replaced into
    /// the file `saved_as`; between the two nobody writes. Others who have this database open see the new content with
    /// their next statement. `goes_on` is told how many pages are done, of how many, and says whether to go on.
    ///
    /// # Errors
    /// The file exists or cannot be written, SQLite refuses to copy, or `goes_on` said no; the content is as it was then,
    /// and no file is left.
    pub async fn replace(
        &self,
        source: Connection,
        saved_as: &Path,
        goes_on: impl Fn(u64, u64) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let (database, saved_as, runtime) = (self.clone(), saved_as.to_owned(), Handle::current());
        call(&self.writer, move |connection| {
            let backup = Backup::new(&source, connection)?;
            // Copies nothing, but takes the write lock: what is saved next is what is replaced, and no write comes
            // between.
            advance(&backup, 0)?;
            runtime.block_on(database.back_up(&saved_as, Existing::Keep, |_, _| true))?;
            let replaced = copy_pages(&backup, goes_on);
            // Dropped before it is done, the copy is rolled back.
            drop(backup);
            if replaced.is_err() {
                let _ = std::fs::remove_file(&saved_as);
            }
            replaced
        })
        .await
    }

    /// Runs `work` in a read transaction: all it reads is of one moment.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's refusal to begin.
    pub async fn read<T, E>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        call(&self.readers[turn % READERS], move |connection| work(&connection.transaction()?)).await
    }
}

/// Opens a file read-only and checks that it is an intact database with a schema this program knows.
///
/// # Errors
/// There is no such file, it is no database, it is damaged, or its schema is newer.
pub fn check(path: &Path, schema: &Schema) -> Result<Connection, Error> {
    let at = |source| Error::File { path: path.to_owned(), source };
    // SQLite itself would say of a folder that its disk is broken.
    if std::fs::metadata(path).map_err(at)?.is_dir() {
        return Err(at(std::io::ErrorKind::IsADirectory.into()));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let is_known = connection.table_exists(None, HISTORY_TABLE)?;
    if verdict != "ok" || !is_known {
        let code = if is_known { rusqlite::ffi::SQLITE_CORRUPT } else { rusqlite::ffi::SQLITE_NOTADB };
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(verdict)).into());
    }
    refuse_foreign(&connection, path, schema)?;
    refuse_newer(&connection, path, &schema.migrations)?;
    Ok(connection)
}

/// Copies what is left to copy.
fn copy_pages(backup: &Backup<'_, '_>, goes_on: impl Fn(u64, u64) -> bool) -> Result<(), Error> {
    while advance(backup, PAGES_PER_STEP)? == StepResult::More {
        let pages = backup.progress();
        let (left, total) = (u64::from(pages.remaining.unsigned_abs()), u64::from(pages.pagecount.unsigned_abs()));
        if !goes_on(total - left, total) {
            return Err(Error::Stopped);
        }
    }
    Ok(())
}

fn advance(backup: &Backup<'_, '_>, pages: i32) -> Result<StepResult, Error> {
    match backup.step(pages)? {
        step @ (StepResult::Done | StepResult::More) => Ok(step),
        // It has been waited for already.
        _ => Err(busy()),
    }
}

/// A path with something behind its last name, as SQLite names the files beside a database.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder that a file is in, or will be, made where it is missing.
///
/// # Errors
/// It cannot be made.
pub fn make_folder_of(file: &Path) -> Result<&Path, Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match std::fs::create_dir_all(folder) {
        Ok(()) => Ok(folder),
        // Something that is none stands in its place; that it exists is not what is wrong.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::File { path: folder.to_owned(), source: std::io::ErrorKind::NotADirectory.into() })
        }
        Err(source) => Err(Error::File { path: folder.to_owned(), source }),
    }
}

async fn open_reader(path: &Path) -> Result<tokio_rusqlite::Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = tokio_rusqlite::Connection::open_with_flags(path, flags).await?;
    call(&reader, |connection| Ok::<_, Error>(configure(connection)?)).await?;
    Ok(reader)
}

fn busy() -> Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None).into()
}

/// What every connection has in common.
fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // FULL, not WAL's usual NORMAL: an acknowledged edit survives a power cut, not only a crash of the program.
    connection.pragma_update(None, "synchronous", "FULL")
}

/// SQLite itself does not wait for another program that is switching at the same moment.
fn switch_to_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                std::thread::sleep(PROGRESS_INTERVAL);
            }
            switched => return switched,
        }
    }
}

/// Refuses a newer schema, then applies what is missing in one transaction.
fn migrate(connection: &mut Connection, path: &Path, migrations: refinery::Runner) -> Result<(), Error> {
    if connection.table_exists(None, HISTORY_TABLE)? {
        refuse_newer(connection, path, &migrations)?;
    }
    let runner = migrations.set_grouped(true);
    // What is applied is read before the write begins. Another program that starts at the same moment may have done it
    // by then, and the next look finds nothing left to do.
    for _ in 0..MIGRATION_RACES {
        if runner.run(connection).is_ok() {
            return Ok(());
        }
        std::thread::sleep(PROGRESS_INTERVAL);
    }
    runner.run(connection)?;
    Ok(())
}

/// Refuses what another program has made, before anything is changed in it.
fn refuse_foreign(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let found: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // Another program may be making it at this moment, and the migrations' own table comes first.
    let others = format!("SELECT count(*) = 0 FROM sqlite_schema WHERE tbl_name <> '{HISTORY_TABLE}'");
    let is_empty = || connection.query_row(&others, [], |row| row.get::<_, bool>(0));
    let (table, column) = schema.mark;
    let is_marked = || {
        Ok::<_, rusqlite::Error>(
            connection.table_exists(None, HISTORY_TABLE)? && connection.column_exists(None, table, column)?,
        )
    };
    let is_ours = found == schema.application_id || (found == 0 && is_empty()?) || is_marked()?;
    if is_ours { Ok(()) } else { Err(Error::Foreign { path: path.to_owned() }) }
}

fn refuse_newer(connection: &Connection, path: &Path, migrations: &refinery::Runner) -> Result<(), Error> {
    let known = migrations.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or_default();
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let found = connection.query_row(newest, [], |row| row.get::<_, Option<i64>>(0))?.unwrap_or_default();
    if found > i64::from(known) {
        return Err(Error::Newer { path: path.to_owned(), found, known: known.into() });
    }
    Ok(())
}

/// Runs `work` on the connection's own thread.
async fn call<T, E>(
    connection: &tokio_rusqlite::Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    connection.call(work).await.map_err(|error| match error {
        tokio_rusqlite::Error::Error(error) => error,
        _ => Error::Closed.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(versions: &[u32]) -> Schema {
        let migrations: Vec<refinery::Migration> = versions
            .iter()
            .map(|version| {
                let sql = format!("CREATE TABLE t{version} (value INTEGER NOT NULL) STRICT;");
                refinery::Migration::unapplied(&format!("V{version:04}__t{version}"), &sql).expect("a migration")
            })
            .collect();
        Schema { migrations: refinery::Runner::new(&migrations), application_id: 7, mark: ("t1", "value") }
    }

    async fn count(database: &Database) -> i64 {
        let rows = database.read::<_, Error>(|tx| Ok(tx.query_row("SELECT count(*) FROM t1", [], |row| row.get(0))?));
        rows.await.expect("a count")
    }

    #[tokio::test]
    async fn a_write_is_whole_or_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folder/garage.db");
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        let insert = |tx: &Transaction<'_>| tx.execute("INSERT INTO t1 VALUES (1)", []);
        database.write::<_, Error>(move |tx| Ok(insert(tx)?)).await.expect("a write");
        let failed = database
            .write::<(), Error>(move |tx| {
                insert(tx)?;
                Err(Error::Closed)
            })
            .await;
        assert!(matches!(failed, Err(Error::Closed)));
        assert_eq!(count(&database).await, 1);
        let refused = database.read::<_, Error>(move |tx| Ok(insert(tx)?)).await;
        assert!(refused.is_err(), "a reader cannot write");
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        drop(Database::open(&path, schema(&[1, 2])).await.expect("open"));
        let refused = Database::open(&path, schema(&[1])).await.err().expect("refused");
        assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
        Database::open(&path, schema(&[1, 2, 3])).await.expect("an older one is upgraded");
    }

    #[tokio::test]
    async fn another_programs_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let migrated = "CREATE TABLE refinery_schema_history (version INT4); CREATE TABLE users (name TEXT)";
        for sql in ["CREATE TABLE notes (text TEXT)", "PRAGMA application_id = 8", migrated] {
            let path = folder.path().join("notes.db");
            let notes = Connection::open(&path).expect("open");
            notes.execute_batch(sql).expect("written");
            drop(notes);
            let before = std::fs::read(&path).expect("read");
            let refused = Database::open(&path, schema(&[1])).await.err().expect("refused");
            assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
            assert_eq!(std::fs::read(&path).expect("read"), before);
            std::fs::remove_file(&path).expect("removed");
        }
    }

    #[tokio::test]
    async fn what_is_replaced_is_saved_to_the_last_write_of_anybody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let ours = Database::open(&path, schema(&[1])).await.expect("open");
        let other = Database::open(&path, schema(&[1])).await.expect("open");
        let new_path = folder.path().join("new.db");
        Database::open(&new_path, schema(&[1])).await.expect("open").close().await;
        let insert = |tx: &Transaction<'_>| Ok::<_, Error>(tx.execute("INSERT INTO t1 VALUES (1)", [])?);
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
    async fn a_replacement_that_was_stopped_leaves_all_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, saved) = (folder.path().join("garage.db"), folder.path().join("saved.db"));
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.write::<_, Error>(|tx| Ok(tx.execute("INSERT INTO t1 VALUES (1)", [])?)).await.expect("a write");
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
    async fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        std::fs::write(&path, "this is no database, but it is someone's file\n".repeat(100)).expect("write");
        let refused = Database::open(&path, schema(&[1])).await.err().expect("refused");
        assert_eq!(refused.sqlite_code(), Some(rusqlite::ErrorCode::NotADatabase), "{refused}");
    }
}
