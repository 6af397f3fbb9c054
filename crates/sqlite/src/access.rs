//! An open database, and reading and writing it.

use std::{path::Path, sync::Arc};

use garage_files::{make_folder_of, with_suffix};
use rusqlite::{Connection, Transaction};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};

use crate::{
    Error, Schema,
    open::{Prepare, open_reader, open_writer},
    opened::{OpenedFile, sqlite_path},
    pool::{Lease, Pool, blocking},
    writer::Writer,
};

/// How many connections serve [`Database::read`] at most.
const READERS: usize = 2;
/// The maximum number of long reads at the same time. Each has a connection, which takes up to 2 MB and is kept.
const LONG_READERS: usize = 4;

/// How busy a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The open connections that serve [`Database::read`].
    pub readers: usize,
    /// Those that nobody uses.
    pub idle_readers: usize,
    /// Writes that have not begun.
    pub waiting_writes: usize,
    /// The size of the write-ahead log, in bytes.
    pub log_bytes: u64,
}

/// An open database. Cloning shares the connections.
#[derive(Clone)]
pub struct Database {
    writer: Writer,
    /// One connection from the beginning, and others that are opened when all are busy, and kept.
    readers: Pool,
    /// One permit for each connection that may still be opened for short reads.
    more_readers: Arc<Semaphore>,
    /// Held while a connection is opened, which goes on if its caller stops waiting.
    opening: Arc<RwLock<()>>,
    /// The connections of long reads, opened as needed and kept.
    long_readers: Pool,
    /// One permit for each long read that may run.
    long_reads: Arc<Semaphore>,
    file: Arc<OpenedFile>,
    prepare: Prepare,
}

impl Database {
    /// Opens the file, creates it and its folder if they are missing, and applies missing migrations.
    ///
    /// # Errors
    /// - [`Error::File`] if SQLite cannot take the path or the folder cannot be created
    /// - [`Error::Foreign`] if the file belongs to another program, [`Error::Newer`] if to a newer version of this one
    /// - [`Error::Migration`] if a migration fails, [`Error::BackupBeforeUpgrade`] if the backup before it does
    /// - [`Error::Sqlite`] if the file is no database, is damaged or locked, or cannot be opened or written
    pub async fn open(path: &Path, schema: Schema) -> Result<Database, Error> {
        let path = sqlite_path(path)?;
        make_folder_of(&path)?;
        let prepare = schema.prepare;
        let open = move || {
            let (writer, file) = open_writer(&path, schema)?;
            let reader = open_reader(&file, prepare)?;
            Ok::<_, Error>((writer, reader, file))
        };
        let (writer, reader, file) = blocking(open).await?;
        let file = Arc::new(file);
        Ok(Database {
            writer: Writer::start(writer, file.clone()),
            readers: Pool::new(vec![reader]),
            more_readers: Arc::new(Semaphore::new(READERS - 1)),
            opening: Arc::default(),
            long_readers: Pool::new(Vec::new()),
            long_reads: Arc::new(Semaphore::new(LONG_READERS)),
            file,
            prepare,
        })
    }

    /// Closes all connections, which moves the log's content into the file. Clones return [`Error::Closed`] from then
    /// on.
    pub async fn close(self) {
        // The connection that is closed last moves the log's content, and only the writer can. If that fails, the next
        // opening does it.
        self.long_reads.close();
        self.readers.close().await;
        self.long_readers.close().await;
        let _none_is_opened = self.opening.write().await;
        self.writer.close().await;
    }

    /// Runs `work` in an IMMEDIATE transaction, and commits it if `work` succeeds. Writes that wait at the same time share
    /// a transaction, with a savepoint each, so `work` may see what another write did; each returns after the commit.
    /// Work that has not begun when the caller stops waiting is not performed.
    ///
    /// # Errors
    /// The error of `work`, after a rollback. [`Error::Busy`] if 1024 writes wait, or this one did not begin within 10 s:
    /// it will not be performed. [`Error::Moved`] if the path no longer leads to the file that was opened, after a
    /// rollback. [`Error::Closed`], or [`Error::Sqlite`] if the transaction cannot begin or commit.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        self.writer.write(work).await
    }

    /// Runs `work` in a read transaction, which sees the database as it is at one moment. Waits while all readers are
    /// busy; use [`Database::read_long`] for anything that takes longer than a screen or a response may wait.
    ///
    /// # Errors
    /// The error of `work`. [`Error::Closed`], or [`Error::Sqlite`] if the transaction cannot begin.
    pub async fn read<T, E>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        self.reader().await?.run(move |connection| work(&connection.transaction()?)).await
    }

    /// Runs `work` on this thread, outside a transaction: for one statement that takes microseconds, where handing it to
    /// another thread would take longer than itself. Waits while all readers are busy.
    ///
    /// # Errors
    /// The error of `work`, or [`Error::Closed`].
    pub async fn read_here<T, E: From<Error>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.reader().await?.run_here(|connection| work(connection))
    }

    /// Runs `work` as [`Database::read`] does, but on a connection of its own, so that short reads do not wait for it. At most
    /// four long reads run; others wait.
    ///
    /// # Errors
    /// As [`Database::read`], plus [`Error::Sqlite`] if the connection cannot be opened.
    pub async fn read_long<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        self.long_reader().await?.run(move |connection| work(&connection.transaction()?)).await
    }

    /// How busy the database is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (readers, idle_readers) = self.readers.usage();
        let log = std::fs::metadata(with_suffix(self.file.path(), "-wal"));
        let log_bytes = log.map_or(0, |metadata| metadata.len());
        Usage { readers, idle_readers, waiting_writes: self.writer.waiting(), log_bytes }
    }

    /// Returns a number that changes whenever another connection has written: one of another program, or of another
    /// [`Database`] in this one.
    ///
    /// # Errors
    /// [`Error::Closed`], or [`Error::Sqlite`] if the file cannot be read.
    pub async fn others_version(&self) -> Result<i64, Error> {
        let version = |connection: &mut Connection| {
            Ok::<i64, Error>(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
        };
        self.writer.call(version).await
    }

    /// Checks that the database can be read, and that a write can begin: takes the write lock and changes nothing. Waits
    /// as any read and write does.
    ///
    /// # Errors
    /// [`Error::Moved`] or [`Error::Busy`] if writes are refused. [`Error::Closed`], or [`Error::Sqlite`] if a transaction
    /// cannot begin.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read_here(|connection| Ok::<_, Error>(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
        self.write(|_| Ok(())).await
    }

    pub(crate) fn file(&self) -> &Arc<OpenedFile> {
        &self.file
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// A connection for a short read, opened if all are busy and there may be more. Waits otherwise.
    async fn reader(&self) -> Result<Lease, Error> {
        if let Some(idle) = self.readers.try_lease()? {
            return Ok(idle);
        }
        if let Ok(permit) = self.more_readers.clone().try_acquire_owned() {
            // If opening fails, the read waits for the first reader.
            if let Ok((lease, permit)) = self.opened(&self.readers, permit).await {
                permit.forget();
                return Ok(lease);
            }
        }
        self.readers.lease().await
    }

    /// Opens a connection and adds it to the pool. If the caller stops waiting, [`Database::close`] waits for the end of it
    /// all the same, and the permit is held until then.
    async fn opened(&self, pool: &Pool, permit: OwnedSemaphorePermit) -> Result<(Lease, OwnedSemaphorePermit), Error> {
        let (file, prepare) = (self.file.clone(), self.prepare);
        let opening = self.opening.clone().read_owned().await;
        if pool.is_closed() {
            return Err(Error::Closed);
        }
        // Dropped in this order.
        let open = move || Ok::<_, Error>((open_reader(&file, prepare)?, permit, opening));
        let (connection, permit, _opening) = blocking(open).await?;
        Ok((pool.add(connection)?, permit))
    }

    /// A connection for a long read, opened if none is idle.
    pub(crate) async fn long_reader(&self) -> Result<Lease, Error> {
        let permit = self.long_reads.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        if let Some(idle) = self.long_readers.try_lease()? {
            return Ok(idle.holding(permit));
        }
        match self.opened(&self.long_readers, permit).await {
            Ok((lease, permit)) => Ok(lease.holding(permit)),
            // Only the open connections still lead to the file, and its content can be saved through them.
            Err(Error::Moved { .. }) => self.readers.lease().await,
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use garage_files::Existing;
    use rusqlite::{StatementStatus, types::Value};
    use tokio::{sync::oneshot, task::JoinHandle};

    use super::*;
    use crate::testing::{count, count_rows, insert, schema};

    #[tokio::test]
    async fn a_write_commits_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folder/garage.db");
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.write(insert).await.expect("a write");
        let failed = database
            .write::<(), Error>(move |tx| {
                insert(tx)?;
                Err(Error::Stopped)
            })
            .await;
        assert!(matches!(failed, Err(Error::Stopped)));
        assert_eq!(count(&database).await, 1);
        let refused = database.read(insert).await;
        assert!(refused.is_err(), "a reader cannot write");
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_the_file_is_unchanged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        Database::open(&path, schema(&[1, 2])).await.expect("open").close().await;
        let before = std::fs::read(&path).expect("read");
        let refused = Database::open(&path, schema(&[1])).await.err().expect("refused");
        assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
        assert_eq!(std::fs::read(&path).expect("read"), before);
        Database::open(&path, schema(&[1, 2, 3])).await.expect("an older one is upgraded");
    }

    #[tokio::test]
    async fn another_programs_database_is_refused_and_the_file_is_unchanged() {
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
    async fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        std::fs::write(&path, "this is no database, but it is someone's file\n".repeat(100)).expect("write");
        let refused = Database::open(&path, schema(&[1])).await.err().expect("refused");
        assert_eq!(refused.sqlite_code(), Some(rusqlite::ErrorCode::NotADatabase), "{refused}");
    }

    /// A read that runs until the sender is dropped; returns once it has begun.
    async fn blocked_read(database: &Database, is_long: bool) -> (mpsc::Sender<()>, JoinHandle<Result<i64, Error>>) {
        let (begun, has_begun) = oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let work = move |transaction: &Transaction<'_>| {
            count_rows(transaction)?;
            let _ = begun.send(());
            let _ = released.recv();
            count_rows(transaction)
        };
        let database = database.clone();
        let read =
            tokio::spawn(
                async move { if is_long { database.read_long(work).await } else { database.read(work).await } },
            );
        has_begun.await.expect("it has begun");
        (release, read)
    }

    #[tokio::test]
    async fn reads_complete_while_another_reader_is_blocked() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        let (release, slow) = blocked_read(&database, false).await;
        for _ in 0..20 {
            assert_eq!(count(&database).await, 0);
        }
        database.write(insert).await.expect("a write");
        drop(release);
        assert_eq!(slow.await.expect("joined").expect("a count"), 0, "it reads what was there when it began");
        assert_eq!(count(&database).await, 1);
    }

    #[tokio::test]
    async fn long_reads_block_neither_short_ones_nor_each_other_nor_a_backup() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        let (release, slow) = blocked_read(&database, true).await;
        let others = occupy_readers(&database, READERS).await;
        assert_eq!(database.read_long(count_rows).await.expect("a count"), 0);
        let backup = folder.path().join("backup.db");
        database.back_up(&backup, Existing::Keep, |_, _| true).await.expect("backed up");
        drop((release, others));
        slow.await.expect("joined").expect("a count");
        database.close().await;
        assert!(!with_suffix(&folder.path().join("garage.db"), "-wal").exists(), "no connection is left open");
    }

    #[tokio::test]
    async fn long_reads_wait_while_the_most_that_may_run_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        let mut running = Vec::new();
        for _ in 0..LONG_READERS {
            running.push(blocked_read(&database, true).await);
        }
        let mut waiting = std::pin::pin!(database.read_long(count_rows));
        let waited = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(waited.is_err(), "it waits for a connection");
        assert_eq!(count(&database).await, 0);
        drop(running.pop());
        assert_eq!(waiting.await.expect("a count"), 0);
        assert_eq!(database.long_readers.usage().0, LONG_READERS);
        running.push(blocked_read(&database, true).await);
        let mut waiting = std::pin::pin!(database.read_long(count_rows));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        let closing = tokio::spawn(database.clone().close());
        assert!(matches!(waiting.await, Err(Error::Closed)), "although the others still run");
        drop(running);
        closing.await.expect("closed");
    }

    /// Occupies this many readers of the queue.
    async fn occupy_readers(database: &Database, count: usize) -> Vec<mpsc::Sender<()>> {
        let mut blocked = Vec::new();
        for _ in 0..count {
            blocked.push(blocked_read(database, false).await.0);
        }
        blocked
    }

    #[tokio::test]
    async fn a_read_whose_caller_stops_waiting_gives_its_connection_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        for _ in 0..3 * READERS {
            let (release, slow) = blocked_read(&database, false).await;
            slow.abort();
            drop(release);
        }
        assert_eq!(count(&database).await, 0);
    }

    #[tokio::test]
    async fn a_reader_that_is_still_being_opened_leaves_no_log_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        for _ in 0..20 {
            let database = Database::open(&path, schema(&[1])).await.expect("open");
            database.write(insert).await.expect("a write");
            let blocked = occupy_readers(&database, 1).await;
            {
                // The caller of a read that opens another reader stops waiting.
                let mut read = std::pin::pin!(count(&database));
                tokio::select! {
                    biased;
                    _ = &mut read => {}
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(blocked);
            database.close().await;
            assert!(!with_suffix(&path, "-wal").exists(), "the log's content is in the file");
        }
    }

    #[tokio::test]
    async fn a_read_on_the_callers_thread_takes_part_in_the_queue() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        let thread = std::thread::current().id();
        let here = |connection: &Connection| {
            assert_eq!(std::thread::current().id(), thread);
            Ok::<i64, Error>(connection.query_row("SELECT count(*) FROM t1", [], |row| row.get(0))?)
        };
        let blocked = occupy_readers(&database, READERS).await;
        let waiting = tokio::select! {
            biased;
            _ = database.read_here(here) => false,
            () = tokio::task::yield_now() => true,
        };
        assert!(waiting, "all readers are busy");
        drop(blocked);
        assert_eq!(database.read_here(here).await.expect("a count"), 0);
        database.clone().close().await;
        assert!(matches!(database.read_here(here).await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn usage_counts_readers_waiting_writes_and_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        database.write(insert).await.expect("a write");
        let usage = database.usage();
        assert_eq!((usage.readers, usage.idle_readers, usage.waiting_writes), (1, 1, 0));
        assert!(usage.log_bytes > 0);
        let blocked = occupy_readers(&database, READERS).await;
        let usage = database.usage();
        assert_eq!((usage.readers, usage.idle_readers), (READERS, 0), "opened when they were needed");
        drop(blocked);
    }

    #[tokio::test]
    async fn a_panic_reaches_its_caller_and_leaves_the_connection_usable() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        for _ in 0..2 * READERS {
            let (reader, writer) = (database.clone(), database.clone());
            let read = tokio::spawn(async move { reader.read::<(), Error>(|_| panic!("in a read")).await });
            assert!(read.await.expect_err("a panic").is_panic());
            let write = tokio::spawn(async move {
                let work = |transaction: &Transaction<'_>| {
                    insert(transaction)?;
                    panic!("in a write")
                };
                writer.write::<(), Error>(work).await
            });
            assert!(write.await.expect_err("a panic").is_panic());
        }
        database.write(insert).await.expect("a write");
        assert_eq!(count(&database).await, 1);
    }

    #[tokio::test]
    async fn a_ping_needs_the_write_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.ping().await.expect("a ping");
        let other = Connection::open(&path).expect("open");
        other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        let waiting = tokio::time::timeout(Duration::from_millis(50), database.ping()).await;
        assert!(waiting.is_err(), "it waits for the lock");
        other.execute_batch("ROLLBACK").expect("released");
        database.ping().await.expect("a ping");
        database.write(insert).await.expect("a write");
        database.clone().close().await;
        assert!(matches!(database.ping().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn a_closed_database_says_so_to_its_clones() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        database.clone().close().await;
        assert!(matches!(database.read(count_rows).await, Err(Error::Closed)));
        assert!(matches!(database.read_long(count_rows).await, Err(Error::Closed)));
        assert!(matches!(database.write(insert).await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn every_connection_has_every_pragma_of_durability() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        let pragmas = |connection: &mut Connection| {
            let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, Value>(0));
            let names = [
                "journal_mode",
                "synchronous",
                "fullfsync",
                "checkpoint_fullfsync",
                "foreign_keys",
                "journal_size_limit",
            ];
            Ok::<_, Error>(names.map(read).into_iter().collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let mut found = vec![("the writer", database.writer.call(pragmas).await.expect("pragmas"))];
        let mut leases = Vec::new();
        for _ in 0..READERS {
            leases.push(("a reader", database.reader().await.expect("a reader")));
        }
        leases.push(("the long reader", database.long_reader().await.expect("a reader")));
        for (name, lease) in &leases {
            found.push((name, lease.call(pragmas).await.expect("pragmas")));
        }
        let mut expected = vec![Value::Text("wal".to_owned())];
        expected.extend([2, 1, 1, 1, 4_194_304].map(Value::Integer));
        for (name, values) in found {
            assert_eq!(values, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_limit_with_another_value_is_not_planned_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        let pages = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT value FROM t1 ORDER BY value LIMIT ?1")?;
            for limit in 1..4 {
                statement.query([limit])?.next()?;
            }
            Ok::<i32, Error>(statement.get_status(StatementStatus::RePrepare))
        };
        assert_eq!(database.read_here(pages).await.expect("pages"), 0);
        assert_eq!(database.write(move |transaction| pages(transaction)).await.expect("pages"), 0);
        let unconfigured = Connection::open(&path).expect("open");
        assert!(pages(&unconfigured).expect("pages") > 0, "SQLite itself plans it again");
    }

    /// Moving an open file is possible on Unix only.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_write_to_a_replaced_or_deleted_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (path, aside, other) = (at("garage.db"), at("aside.db"), at("other.db"));
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        database.write(insert).await.expect("a write");
        Database::open(&other, schema(&[1])).await.expect("open").close().await;
        let content = std::fs::read(&other).expect("read");

        std::fs::rename(&path, &aside).expect("moved");
        let deleted = database.write(insert).await.expect_err("refused");
        assert!(matches!(&deleted, Error::Moved { path: moved } if *moved == path), "{deleted}");
        assert!(matches!(database.ping().await, Err(Error::Moved { .. })));
        std::fs::rename(&other, &path).expect("replaced");
        assert!(matches!(database.write(insert).await, Err(Error::Moved { .. })));
        let replacement = crate::check(&path, &schema(&[1])).expect("intact");
        let saved = database.replace(replacement, &at("saved.db"), |_, _| true).await;
        assert!(matches!(saved, Err(Error::Moved { .. })), "{saved:?}");
        assert_eq!(std::fs::read(&path).expect("read"), content, "the other file is unchanged");
        assert_eq!(database.read_long(count_rows).await.expect("a count"), 1, "the content can still be saved");
        database.back_up(&at("rescued.db"), Existing::Keep, |_, _| true).await.expect("backed up");

        std::fs::rename(&aside, &path).expect("put back");
        database.write(insert).await.expect("a write");
        assert_eq!(count(&database).await, 2, "refused writes have been rolled back");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_that_is_moved_during_a_write_takes_the_write_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, aside) = (folder.path().join("garage.db"), folder.path().join("aside.db"));
        let database = Database::open(&path, schema(&[1])).await.expect("open");
        let (from, to) = (path.clone(), aside.clone());
        let work = move |transaction: &Transaction<'_>| {
            insert(transaction)?;
            std::fs::rename(from, to).expect("moved");
            Ok(())
        };
        assert!(matches!(database.write::<_, Error>(work).await, Err(Error::Moved { .. })));
        std::fs::rename(&aside, &path).expect("put back");
        assert_eq!(count(&database).await, 0);
    }
}
