//! Connections that read, and lending each to one read at a time.

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::Error;

/// Connections of which each serves one read at a time. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    /// One permit for each idle connection. Reads wait here, in one queue.
    idle_count: Semaphore,
    state: Mutex<State>,
}

struct State {
    all: Vec<Slot>,
    /// Indexes into `all`.
    idle: Vec<usize>,
}

/// A connection; `None` after it has been closed.
type Slot = Arc<Mutex<Option<Connection>>>;

/// A connection that nobody else uses until this is dropped.
pub(crate) struct Lease {
    pool: Pool,
    index: usize,
    slot: Slot,
    /// Dropped after the connection is idle again.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(crate) fn new(connections: Vec<Connection>) -> Pool {
        let all: Vec<Slot> = connections.into_iter().map(|it| Arc::new(Mutex::new(Some(it)))).collect();
        let idle: Vec<usize> = (0..all.len()).collect();
        Pool(Arc::new(Shared { idle_count: Semaphore::new(idle.len()), state: Mutex::new(State { all, idle }) }))
    }

    /// Waits for the next idle connection.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        self.0.idle_count.acquire().await.map_err(|_| Error::Closed)?.forget();
        self.take_idle().ok_or(Error::Closed)
    }

    /// Returns an idle connection if there is one.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub(crate) fn try_lease(&self) -> Result<Option<Lease>, Error> {
        match self.0.idle_count.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Ok(None),
            Err(TryAcquireError::Closed) => return Err(Error::Closed),
        }
        Ok(self.take_idle())
    }

    /// Adds a connection and returns it.
    ///
    /// # Errors
    /// [`Error::Closed`]
    pub(crate) fn add(&self, connection: Connection) -> Result<Lease, Error> {
        let mut state = self.state();
        // Checked under the lock, so that `close` either sees the connection or prevents it.
        if self.0.idle_count.is_closed() {
            return Err(Error::Closed);
        }
        let slot = Arc::new(Mutex::new(Some(connection)));
        state.all.push(slot.clone());
        Ok(Lease { pool: self.clone(), index: state.all.len() - 1, slot, _permit: None })
    }

    /// Closes all connections, after the reads that they are running.
    pub(crate) async fn close(&self) {
        let all = {
            let state = self.state();
            self.0.idle_count.close();
            state.all.clone()
        };
        // A read that is running holds the lock of its connection.
        let close = move || all.iter().for_each(|slot| drop(lock(slot).take()));
        let _ = tokio::task::spawn_blocking(close).await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.idle_count.is_closed()
    }

    /// The number of connections, and of idle ones.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let state = self.state();
        (state.all.len(), state.idle.len())
    }

    fn take_idle(&self) -> Option<Lease> {
        let mut state = self.state();
        let index = state.idle.pop()?;
        Some(Lease { pool: self.clone(), index, slot: state.all[index].clone(), _permit: None })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// A panic of a read leaves nothing half done: its transaction is rolled back when it is dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease {
    /// Runs `work` on a thread that may wait for the disk, and returns the connection to the pool afterwards, also if the
    /// caller stops waiting before that.
    pub(crate) async fn run<T, E>(
        self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        blocking(move || self.run_here(work)).await
    }

    /// Runs `work` on a thread that may wait for the disk, and keeps the connection. If the caller stops waiting, the next
    /// one to use the connection waits for the end of `work`.
    pub(crate) async fn call<T, E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let slot = self.slot.clone();
        blocking(move || in_slot(&slot, work)).await
    }

    /// Holds the permit until the connection is returned to the pool.
    pub(crate) fn holding(mut self, permit: OwnedSemaphorePermit) -> Lease {
        self._permit = Some(permit);
        self
    }

    /// Runs `work` on this thread.
    pub(crate) fn run_here<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        in_slot(&self.slot, work)
    }
}

fn in_slot<T, E: From<Error>>(slot: &Slot, work: impl FnOnce(&mut Connection) -> Result<T, E>) -> Result<T, E> {
    match lock(slot).as_mut() {
        Some(connection) => work(connection),
        None => Err(Error::Closed.into()),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.state().idle.push(self.index);
        self.pool.0.idle_count.add_permits(1);
    }
}

/// Runs `work` on a thread that may wait for the disk. A panic is passed on to the caller.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::Closed.into()),
        },
    }
}
