//! The connection that writes: its queue, its thread, and committing several writes at once.
//!
//! A commit waits for the disk, and what it costs hardly depends on how much was written. So the writes that are waiting
//! when a transaction begins, or arrive while it runs, share it: each has a savepoint of its own, and none is acknowledged
//! before the commit. A write that fails is rolled back alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Error, opened::OpenedFile};

/// How many writes can wait. Above it, a write is refused at once: it would wait too long.
const LONGEST_QUEUE: usize = 1024;
/// How long a write waits to begin.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How many writes share a transaction at most.
const MOST_TOGETHER: usize = 128;
/// When to commit although more writes are waiting. Bounds how long the first of them waits for the others.
/// Tests control by other means what is waiting, and must not depend on the machine's speed.
const LONGEST_TRANSACTION: Duration = if cfg!(test) { Duration::from_secs(60 * 60) } else { Duration::from_millis(20) };

/// The queue of the connection that writes. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
}

enum Job {
    /// Work in a transaction.
    Write(Box<dyn Write>),
    /// Work on the connection outside a transaction.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
    /// Ends the thread, after what was queued before.
    Close(oneshot::Sender<()>),
}

/// A write in the queue.
trait Write: Send {
    /// Whether to perform it: its caller still waits for it.
    fn begin(&self) -> bool;

    /// Performs it in the transaction and keeps the result. Returns whether it succeeded.
    fn perform(&mut self, transaction: &Transaction<'_>) -> bool;

    /// Sends the result to the caller: the write's own if `committed`.
    fn finish(self: Box<Self>, committed: Result<(), Error>);
}

/// Whether a write has begun, decided once by whoever comes first: the thread or the caller that stops waiting.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const ABANDONED: u8 = 2;

    /// Whether the write may be performed.
    fn begin(&self) -> bool {
        self.leave_waiting_for(Progress::BEGUN)
    }

    /// Whether the write will not be performed.
    fn abandon(&self) -> bool {
        self.leave_waiting_for(Progress::ABANDONED)
    }

    fn leave_waiting_for(&self, next: u8) -> bool {
        self.0.compare_exchange(Progress::WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Abandons the write if its caller stops waiting.
struct AbandonOnDrop(Arc<Progress>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The result of a write, or the panic that ended it.
type Outcome<T, E> = std::thread::Result<Result<T, E>>;

struct Pending<T, E, F> {
    work: Option<F>,
    outcome: Option<Outcome<T, E>>,
    progress: Arc<Progress>,
    caller: oneshot::Sender<Outcome<T, E>>,
}

impl<T, E, F> Write for Pending<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send,
{
    fn begin(&self) -> bool {
        self.progress.begin()
    }

    fn perform(&mut self, transaction: &Transaction<'_>) -> bool {
        let outcome = self.work.take().map(|work| catch_unwind(AssertUnwindSafe(|| work(transaction))));
        let has_succeeded = matches!(outcome, Some(Ok(Ok(_))));
        self.outcome = outcome;
        has_succeeded
    }

    fn finish(self: Box<Self>, committed: Result<(), Error>) {
        let outcome = match (committed, self.outcome) {
            (Err(error), None | Some(Ok(Ok(_)))) => Ok(Err(error.into())),
            // The write's own failure tells more than that of the transaction.
            (_, Some(outcome)) => outcome,
            (Ok(()), None) => return,
        };
        // The caller may have stopped waiting.
        let _ = self.caller.send(outcome);
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, file: Arc<OpenedFile>) -> Writer {
        let (queue, jobs) = mpsc::channel(LONGEST_QUEUE);
        std::thread::spawn(move || run(connection, &file, jobs));
        Writer { queue }
    }

    /// Performs `work` in an IMMEDIATE transaction, which it may share with other writes, and commits it.
    ///
    /// If the caller stops waiting before the work begins, the work is not performed.
    ///
    /// # Errors
    /// The error of `work`, after a rollback. [`Error::Busy`] if too many writes wait, or the work did not begin within
    /// 10 s: it will not be performed. [`Error::Moved`], [`Error::Closed`], and [`Error::Sqlite`] if the transaction
    /// cannot begin or commit.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (caller, mut answer) = oneshot::channel();
        let progress = Arc::<Progress>::default();
        let job = Pending { work: Some(work), outcome: None, progress: progress.clone(), caller };
        self.queue.try_send(Job::Write(Box::new(job))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        let _abandon = AbandonOnDrop(progress.clone());
        let answer = match timeout(LONGEST_WAIT, &mut answer).await {
            Ok(answer) => answer,
            Err(_) if progress.abandon() => return Err(Error::Busy.into()),
            // It has begun, so its result is near.
            Err(_) => answer.await,
        };
        match answer {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Error::Closed.into()),
        }
    }

    /// Performs `work` on the connection, outside a transaction.
    ///
    /// # Errors
    /// The error of `work`; [`Error::Closed`].
    pub(crate) async fn call<T, E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel::<Outcome<T, E>>();
        let job = move |connection: &mut Connection| {
            let _ = caller.send(catch_unwind(AssertUnwindSafe(|| work(connection))));
        };
        self.queue.send(Job::Alone(Box::new(job))).await.map_err(|_| Error::Closed)?;
        match answer.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Error::Closed.into()),
        }
    }

    /// The number of writes that have not begun.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Closes the connection after the writes that are queued. Later ones return [`Error::Closed`].
    pub(crate) async fn close(&self) {
        let (closed, has_closed) = oneshot::channel();
        if self.queue.send(Job::Close(closed)).await.is_ok() {
            let _ = has_closed.await;
        }
    }
}

/// The thread: performs jobs in the order of their arrival until the connection is closed or nobody can queue more.
fn run(mut connection: Connection, file: &OpenedFile, mut jobs: mpsc::Receiver<Job>) {
    // A job that ended a transaction because it must run alone.
    let mut next = None;
    while let Some(job) = next.take().or_else(|| jobs.blocking_recv()) {
        match job {
            Job::Alone(work) => work(&mut connection),
            Job::Write(write) => next = write_together(&mut connection, file, write, &mut jobs),
            Job::Close(closed) => {
                // Queued later, these get `Error::Closed` when they are dropped.
                jobs.close();
                drop(connection);
                let _ = closed.send(());
                return;
            }
        }
    }
}

/// Performs a write, and those that are waiting behind it, in one transaction. Returns the job that must run alone, if
/// one ended the transaction.
fn write_together(
    connection: &mut Connection,
    file: &OpenedFile,
    first: Box<dyn Write>,
    jobs: &mut mpsc::Receiver<Job>,
) -> Option<Job> {
    if !first.begin() {
        return None;
    }
    let started = Instant::now();
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            first.finish(Err(error.into()));
            return None;
        }
    };
    let mut performed = Vec::new();
    let mut next = None;
    let mut write = first;
    loop {
        // The first one needs no savepoint: if it fails, nothing else is in the transaction.
        let is_first = performed.is_empty();
        if !perform(&transaction, &mut write, is_first) {
            let has_ended = transaction.is_autocommit();
            write.finish(Ok(()));
            // After some failures, such as a full disk, SQLite rolls the whole transaction back.
            if is_first || has_ended {
                drop(transaction);
                return finish(performed, Err(rolled_back()), None);
            }
        } else {
            performed.push(write);
        }
        if performed.len() >= MOST_TOGETHER || started.elapsed() >= LONGEST_TRANSACTION {
            break;
        }
        write = match next_write(jobs) {
            Some(Job::Write(write)) => write,
            other => {
                next = other;
                break;
            }
        };
    }
    let committed = file.refuse_moved().and_then(|()| Ok(transaction.commit()?));
    finish(performed, committed, next)
}

/// The next write whose caller still waits, or the next job of another kind.
fn next_write(jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
    loop {
        match jobs.try_recv().ok()? {
            Job::Write(write) if !write.begin() => {}
            job => return Some(job),
        }
    }
}

/// Performs a write in its savepoint. Returns whether the write is part of the transaction.
fn perform(transaction: &Transaction<'_>, write: &mut Box<dyn Write>, is_first: bool) -> bool {
    if is_first {
        return write.perform(transaction);
    }
    let execute = |sql: &str| transaction.prepare_cached(sql).and_then(|mut statement| statement.execute([])).is_ok();
    if !execute("SAVEPOINT one_write") {
        return false;
    }
    let has_succeeded = write.perform(transaction);
    if !has_succeeded {
        execute("ROLLBACK TO one_write");
    }
    execute("RELEASE one_write") && has_succeeded
}

fn finish(performed: Vec<Box<dyn Write>>, committed: Result<(), Error>, next: Option<Job>) -> Option<Job> {
    match committed {
        Ok(()) => performed.into_iter().for_each(|write| write.finish(Ok(()))),
        Err(error) => performed.into_iter().for_each(|write| write.finish(Err(again(&error)))),
    }
    next
}

/// The error of writes that were rolled back together with another one.
fn rolled_back() -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    rusqlite::Error::SqliteFailure(code, Some("rolled back with another write".to_owned())).into()
}

/// The same error for another write of the transaction.
fn again(error: &Error) -> Error {
    match error {
        Error::Moved { path } => Error::Moved { path: path.clone() },
        Error::Sqlite(rusqlite::Error::SqliteFailure(code, message)) => {
            rusqlite::Error::SqliteFailure(*code, message.clone()).into()
        }
        error => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            rusqlite::Error::SqliteFailure(code, Some(error.to_string())).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::mpsc as channel};

    use tokio::task::JoinHandle;

    use super::*;
    use crate::{
        Database,
        testing::{count, insert, schema},
    };

    type Written = JoinHandle<Result<i64, Error>>;

    /// Occupies the writer with a write that adds a row, until the sender is dropped.
    async fn occupied(database: &Database) -> (channel::Sender<()>, JoinHandle<Result<(), Error>>) {
        let (begun, has_begun) = oneshot::channel();
        let (release, released) = channel::channel::<()>();
        let database = database.clone();
        let work = move |transaction: &Transaction<'_>| {
            let _ = begun.send(());
            let _ = released.recv();
            insert(transaction)
        };
        let write = tokio::spawn(async move { database.write(work).await });
        has_begun.await.expect("it has begun");
        (release, write)
    }

    /// Queues a write, and waits until it is in the queue.
    async fn queued(
        database: &Database,
        work: impl FnOnce(&Transaction<'_>) -> Result<i64, Error> + Send + 'static,
    ) -> Written {
        let before = database.writer().queue.capacity();
        let task = {
            let database = database.clone();
            tokio::spawn(async move { database.write(work).await })
        };
        while database.writer().queue.capacity() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    fn rows_of_another_connection(path: &Path) -> i64 {
        let connection = Connection::open(path).expect("open");
        connection.query_row("SELECT count(*) FROM t1", [], |row| row.get(0)).expect("a count")
    }

    fn counted(transaction: &Transaction<'_>) -> Result<i64, Error> {
        insert(transaction)?;
        crate::testing::count_rows(transaction)
    }

    async fn opened() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(&folder.path().join("garage.db"), schema(&[1])).await.expect("open");
        (folder, database)
    }

    #[tokio::test]
    async fn waiting_writes_share_a_transaction_and_a_failed_one_is_rolled_back_alone() {
        let (folder, database) = opened().await;
        let path = folder.path().join("garage.db");
        let (release, first) = occupied(&database).await;
        let second = queued(&database, counted).await;
        let failed = queued(&database, |transaction| {
            counted(transaction)?;
            Err(Error::Stopped)
        })
        .await;
        let panicked = queued(&database, |transaction| {
            counted(transaction)?;
            panic!("in a write")
        })
        .await;
        let last = queued(&database, move |transaction| {
            let committed = rows_of_another_connection(&path);
            assert_eq!(committed, 0, "nothing is committed yet");
            counted(transaction)
        })
        .await;
        drop(release);
        first.await.expect("joined").expect("written");
        assert_eq!(second.await.expect("joined").expect("written"), 2);
        assert!(matches!(failed.await.expect("joined"), Err(Error::Stopped)));
        assert!(panicked.await.expect_err("a panic").is_panic());
        assert_eq!(last.await.expect("joined").expect("written"), 3);
        assert_eq!(count(&database).await, 3);
    }

    #[tokio::test]
    async fn a_write_that_ends_the_transaction_fails_all_writes_before_it() {
        let (_folder, database) = opened().await;
        let (release, first) = occupied(&database).await;
        // As SQLite does itself when the disk is full.
        let ending = queued(&database, |transaction| {
            transaction.execute_batch("ROLLBACK")?;
            Err(Error::Stopped)
        })
        .await;
        let later = queued(&database, counted).await;
        drop(release);
        let rolled_back = first.await.expect("joined").expect_err("rolled back");
        assert_eq!(rolled_back.sqlite_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
        assert!(matches!(ending.await.expect("joined"), Err(Error::Stopped)));
        assert_eq!(later.await.expect("joined").expect("written"), 1);
        assert_eq!(count(&database).await, 1);
    }

    #[tokio::test]
    async fn a_write_that_nobody_waits_for_is_not_performed_unless_it_has_begun() {
        let (_folder, database) = opened().await;
        let (release, begun) = occupied(&database).await;
        let waiting = queued(&database, counted).await;
        waiting.abort();
        begun.abort();
        assert!(waiting.await.expect_err("aborted").is_cancelled());
        drop(release);
        database.write(insert).await.expect("written");
        assert_eq!(count(&database).await, 2, "that which had begun, and the last one");
    }

    #[tokio::test]
    async fn a_write_is_refused_at_once_if_too_many_wait() {
        let (_folder, database) = opened().await;
        let (release, first) = occupied(&database).await;
        let mut waiting = Vec::new();
        for _ in 0..LONGEST_QUEUE {
            waiting.push(queued(&database, counted).await);
        }
        assert!(matches!(database.write(insert).await, Err(Error::Busy)));
        drop(release);
        first.await.expect("joined").expect("written");
        for write in waiting {
            write.await.expect("joined").expect("written");
        }
        assert_eq!(count(&database).await, 1 + LONGEST_QUEUE as i64);
    }

    #[tokio::test]
    async fn a_write_that_waits_too_long_is_refused_and_not_performed_later() {
        let (_folder, database) = opened().await;
        let (release, first) = occupied(&database).await;
        // A paused clock jumps to the end of the wait.
        tokio::time::pause();
        assert!(matches!(database.write(insert).await, Err(Error::Busy)));
        tokio::time::resume();
        drop(release);
        first.await.expect("joined").expect("written");
        assert_eq!(count(&database).await, 1);
    }

    #[test]
    fn a_write_begins_or_is_abandoned_but_not_both() {
        let [begun, abandoned] = [Progress::default(), Progress::default()];
        assert!(begun.begin() && !begun.abandon() && !begun.begin());
        assert!(abandoned.abandon() && !abandoned.begin());
    }
}
