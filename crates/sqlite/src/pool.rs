//! Runs work on the connections' threads.

use rusqlite::Connection;

use crate::Error;

/// Runs `work` on the connection's own thread.
pub(crate) async fn call<T, E>(
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
