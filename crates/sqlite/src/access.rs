//! An open database, and reading and writing it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rusqlite::{Transaction, TransactionBehavior};

use crate::{
    Error, Schema,
    files::make_folder_of,
    open::{open_reader, open_writer},
    pool::call,
};

/// How many connections read at the same time.
const READERS: usize = 2;

/// An open database. Cloning shares the connections.
#[derive(Clone)]
pub struct Database {
    writer: tokio_rusqlite::Connection,
    readers: Vec<tokio_rusqlite::Connection>,
    next_reader: Arc<AtomicUsize>,
    path: Arc<Path>,
}

impl Database {
    /// Opens the file, creates it and its folder if they are missing, and applies missing migrations.
    ///
    /// # Errors
    /// - [`Error::File`] if the folder cannot be created
    /// - [`Error::Foreign`] if the file belongs to another program, [`Error::Newer`] if to a newer version of this one
    /// - [`Error::Migration`] if a migration fails
    /// - [`Error::Sqlite`] if the file is no database, is damaged or locked, or cannot be opened or written
    pub async fn open(path: &Path, schema: Schema) -> Result<Database, Error> {
        make_folder_of(path)?;
        // SQLite takes a relative name such as `:memory:` or `file:x` for something else than a file of that name.
        let path = std::path::absolute(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let open = {
            let path = path.clone();
            move || {
                let writer = open_writer(&path, schema)?;
                let readers = (0..READERS).map(|_| open_reader(&path)).collect::<Result<Vec<_>, _>>()?;
                Ok((writer, readers))
            }
        };
        let (writer, readers) = blocking(open).await?;
        let readers = readers.into_iter().map(Into::into).collect();
        Ok(Database { writer: writer.into(), readers, next_reader: Arc::default(), path: path.into() })
    }

    /// Closes all connections, which moves the log's content into the file. Clones return [`Error::Closed`] from then
    /// on.
    pub async fn close(self) {
        // The connection that is closed last moves the log's content, and only the writer can. If that fails, the next
        // opening does it.
        for reader in self.readers {
            let _ = reader.close().await;
        }
        let _ = self.writer.close().await;
    }

    /// Runs `work` in an IMMEDIATE transaction, and commits it if `work` succeeds.
    ///
    /// # Errors
    /// The error of `work`, after a rollback. [`Error::Closed`], or [`Error::Sqlite`] if the transaction cannot begin
    /// or commit.
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

    /// Runs `work` as [`Database::write`] does, but rolls back: finds out what a write would do.
    ///
    /// # Errors
    /// As [`Database::write`].
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

    /// Runs `work` in a read transaction, which sees the database as it is at one moment.
    ///
    /// # Errors
    /// The error of `work`. [`Error::Closed`], or [`Error::Sqlite`] if the transaction cannot begin.
    pub async fn read<T, E>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<rusqlite::Error> + Send + 'static,
    {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        call(&self.readers[turn % READERS], move |connection| work(&connection.transaction()?)).await
    }

    /// Returns a number that changes whenever another connection has written: one of another program, or of another
    /// [`Database`] in this one.
    ///
    /// # Errors
    /// [`Error::Closed`], or [`Error::Sqlite`] if the file cannot be read.
    pub async fn others_version(&self) -> Result<i64, Error> {
        call(&self.writer, |connection| Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?))
            .await
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn writer(&self) -> &tokio_rusqlite::Connection {
        &self.writer
    }

    /// Opens one more connection that cannot write.
    pub(crate) async fn open_reader(&self) -> Result<tokio_rusqlite::Connection, Error> {
        let path = self.path.clone();
        Ok(blocking(move || open_reader(&path)).await?.into())
    }
}

/// Runs `work` on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::Closed),
        },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::testing::{count, insert, schema};

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
        database.try_write(insert).await.expect("tried");
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
}
