//! The statements of a transaction.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use deadpool_postgres::Object;
use tokio_postgres::{Row, types::ToSql};

use super::failure::Failure;
use crate::store::StoreError;

/// A transaction. Dropping it closes its connection, which rolls it back.
pub struct Write {
    pub(super) connection: Option<Object>,
}

/// A value of a statement.
pub type Value = Box<dyn ToSql + Sync + Send>;

/// A statement that returns one row, and its values.
pub struct WriteStatement {
    /// The statement.
    pub sql: &'static str,
    /// Its values.
    pub values: Vec<Value>,
}

impl WriteStatement {
    /// The values as parameters.
    pub fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

impl Write {
    /// Executes a statement that returns one row, and commits, in one round trip. After an error nothing is written, except
    /// perhaps if the connection broke.
    pub async fn commit_with(mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Failure> {
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        // If the statement fails, PostgreSQL executes COMMIT as ROLLBACK.
        let (row, committed) =
            tokio::join!(biased; connection.query_one(&statement, parameters), connection.batch_execute("COMMIT"));
        committed?;
        // The transaction has ended, so the connection goes back to the pool.
        self.connection.take();
        Ok(row?)
    }

    /// Reads rows.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        Ok(connection.query(&statement, parameters).await?)
    }

    /// Reads one row.
    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Failure> {
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        Ok(connection.query_one(&statement, parameters).await?)
    }

    /// Executes statements that return one row each, in this order, without waiting for one before the next is sent. After an
    /// error the transaction has failed.
    pub async fn write_all(&self, statements: &[WriteStatement]) -> Result<Vec<Row>, Failure> {
        let connection = self.connection()?;
        let mut queries = Vec::with_capacity(statements.len());
        for statement in statements {
            let prepared = connection.prepare_cached(statement.sql).await?;
            queries.push(Box::pin(async move { connection.query_one(&prepared, &statement.parameters()).await }));
        }
        // A query is sent when it is polled first.
        let mut send = |context: &mut Context<'_>| queries.iter_mut().map(|it| it.as_mut().poll(context)).collect();
        let sent: Vec<_> = poll_fn(|context| Poll::Ready(send(context))).await;
        let mut rows = Vec::with_capacity(statements.len());
        for (query, sent) in queries.iter_mut().zip(sent) {
            rows.push(match sent {
                Poll::Ready(row) => row?,
                Poll::Pending => query.await?,
            });
        }
        Ok(rows)
    }

    /// Executes a statement that returns one row, in one round trip. After an error the transaction can go on without it.
    pub async fn write_in_savepoint(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Failure> {
        let connection = self.connection()?;
        let statement = connection.prepare_cached(sql).await?;
        let (saved, row, released) = tokio::join!(
            biased;
            connection.batch_execute("SAVEPOINT operation"),
            connection.query_one(&statement, parameters),
            connection.batch_execute("RELEASE operation"),
        );
        saved?;
        if row.is_err() {
            connection.batch_execute("ROLLBACK TO operation; RELEASE operation").await?;
        } else {
            released?;
        }
        Ok(row?)
    }

    /// Commits what was written.
    pub async fn commit(mut self) -> Result<(), Failure> {
        self.connection()?.batch_execute("COMMIT").await?;
        self.connection.take();
        Ok(())
    }

    /// Ends the transaction without a write.
    pub async fn roll_back(mut self) -> Result<(), Failure> {
        self.connection()?.batch_execute("ROLLBACK").await?;
        self.connection.take();
        Ok(())
    }

    pub(super) fn connection(&self) -> Result<&Object, Failure> {
        self.connection.as_ref().ok_or(Failure::Store(StoreError::Failed))
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Removes the connection from the pool, because its next user would be in this transaction.
            drop(Object::take(connection));
        }
    }
}
