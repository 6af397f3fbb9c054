//! The connections' threads, and lending connections to one read at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, TryAcquireError};

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
    all: Vec<tokio_rusqlite::Connection>,
    /// Indexes into `all`.
    idle: Vec<usize>,
}

/// A connection that nobody else uses until this is dropped.
pub(crate) struct Lease {
    pool: Pool,
    index: usize,
    connection: tokio_rusqlite::Connection,
}

impl Pool {
    pub(crate) fn new(connections: Vec<Connection>) -> Pool {
        let all: Vec<_> = connections.into_iter().map(Into::into).collect();
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
        let connection = tokio_rusqlite::Connection::from(connection);
        state.all.push(connection.clone());
        Ok(Lease { pool: self.clone(), index: state.all.len() - 1, connection })
    }

    /// Closes all connections, after the reads that they are running.
    pub(crate) async fn close(&self) {
        let all = {
            let state = self.state();
            self.0.idle_count.close();
            state.all.clone()
        };
        for connection in all {
            let _ = connection.close().await;
        }
    }

    fn take_idle(&self) -> Option<Lease> {
        let mut state = self.state();
        let index = state.idle.pop()?;
        Some(Lease { pool: self.clone(), index, connection: state.all[index].clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Runs `work` on the connection's thread and returns the connection to the pool afterwards, also if the caller
    /// stops waiting before that.
    pub(crate) async fn run<T, E>(
        self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let connection = self.connection.clone();
        call(&connection, move |connection| {
            let result = work(connection);
            drop(self);
            result
        })
        .await
    }

    /// Runs `work` on the connection's thread and keeps the connection.
    pub(crate) async fn call<T, E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        call(&self.connection, work).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.state().idle.push(self.index);
        self.pool.0.idle_count.add_permits(1);
    }
}

/// Runs `work` on the connection's own thread. A panic is passed on to the caller; on the thread it would end the
/// connection for everybody.
pub(crate) async fn call<T, E>(
    connection: &tokio_rusqlite::Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    // A transaction that a panic interrupts is rolled back when it is dropped, so the connection stays usable.
    match connection.call_raw(move |connection| catch_unwind(AssertUnwindSafe(|| work(connection)))).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Error::Closed.into()),
    }
}
