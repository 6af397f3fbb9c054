//! Accounts and refresh tokens in PostgreSQL.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Error, Row, error::SqlState};

use super::{CLOSED, TAKEN};
use crate::{
    auth::accounts::{Account, Change, StoredToken},
    error::ApiError,
    store::postgres::{Failure, Postgres},
};

pub async fn insert(database: &Postgres, account: &Account, hash: &str, open: bool) -> Result<(), ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        if !open {
            // Of two that come first at once, one is.
            tx.batch_execute("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE").await?;
            if tx.query_opt("SELECT FROM accounts LIMIT 1", &[]).await?.is_some() {
                return Err(CLOSED.into());
            }
        }
        let sql = "INSERT INTO accounts (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)";
        let inserted = tx.execute(sql, &[&account.id, &account.email, &hash, &account.created_at]).await;
        inserted.map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => Failure::Refused(TAKEN),
            _ => error.into(),
        })?;
        Ok(tx.commit().await?)
    };
    database.retried(operation).await
}

pub async fn list(database: &Postgres) -> Result<Vec<Account>, ApiError> {
    let listed = async {
        let sql = "SELECT id, email, created_at, disabled_at FROM accounts ORDER BY created_at, id";
        let rows = database.connection().await?.query(sql, &[]).await?;
        Ok::<_, Failure>(rows.iter().map(account_of).collect::<Result<_, Error>>()?)
    };
    Ok(listed.await?)
}

pub async fn change(database: &Postgres, email: &str, change: &Change) -> Result<bool, ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        let account = tx.query_opt("SELECT id FROM accounts WHERE email = $1 FOR UPDATE", &[&email]).await?;
        let Some(account) = account else { return Ok(false) };
        let id: &str = account.try_get(0)?;
        tx.execute("DELETE FROM refresh_tokens WHERE account_id = $1", &[&id]).await?;
        match change {
            Change::Disable(at) => tx.execute("UPDATE accounts SET disabled_at = $1 WHERE id = $2", &[at, &id]).await?,
            Change::Password(hash) => {
                let sql = "UPDATE accounts SET password_hash = $1, disabled_at = NULL WHERE id = $2";
                tx.execute(sql, &[hash, &id]).await?
            }
        };
        tx.commit().await?;
        Ok(true)
    };
    database.retried(operation).await
}

pub async fn credentials(database: &Postgres, email: &str) -> Result<Option<(Account, String)>, ApiError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT id, email, created_at, disabled_at, password_hash FROM accounts
                   WHERE email = $1 AND disabled_at IS NULL";
        let row = connection.query_opt(&connection.prepare_cached(sql).await?, &[&email]).await?;
        Ok::<_, Failure>(row.map(|row| Ok::<_, Error>((account_of(&row)?, row.try_get(4)?))).transpose()?)
    };
    Ok(found.await?)
}

pub async fn by_id(database: &Postgres, id: &str) -> Result<Option<Account>, ApiError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT id, email, created_at, disabled_at FROM accounts WHERE id = $1 AND disabled_at IS NULL";
        let row = connection.query_opt(&connection.prepare_cached(sql).await?, &[&id]).await?;
        Ok::<_, Failure>(row.as_ref().map(account_of).transpose()?)
    };
    Ok(found.await?)
}

pub async fn begin_family(
    database: &Postgres,
    account_id: &str,
    family: &str,
    token: &StoredToken,
    now: Timestamp,
) -> Result<(), ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        tx.execute("DELETE FROM refresh_tokens WHERE expires_at < $1", &[&now]).await?;
        insert_token(&tx, account_id, family, token).await?;
        Ok(tx.commit().await?)
    };
    database.retried(operation).await
}

pub async fn next_in_family(
    database: &Postgres,
    digest: &str,
    next: &StoredToken,
    now: Timestamp,
) -> Result<Option<String>, ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        // Locked, so that of two who come with it at once the second finds it used.
        let sql = "SELECT family, account_id, expires_at >= $2 AND accounts.disabled_at IS NULL, used_at IS NOT NULL
                   FROM refresh_tokens JOIN accounts ON accounts.id = account_id WHERE token_hash = $1
                   FOR UPDATE OF refresh_tokens";
        let row = tx.query_opt(&tx.prepare_cached(sql).await?, &[&digest, &now]).await?;
        let Some(row) = row else { return Ok(None) };
        let (family, account): (&str, String) = (row.try_get(0)?, row.try_get(1)?);
        let (is_good, is_used): (bool, bool) = (row.try_get(2)?, row.try_get(3)?);
        if is_used {
            tx.execute("DELETE FROM refresh_tokens WHERE family = $1", &[&family]).await?;
            tx.commit().await?;
            return Ok(None);
        }
        if !is_good {
            return Ok(None);
        }
        tx.execute("UPDATE refresh_tokens SET used_at = $1 WHERE token_hash = $2", &[&now, &digest]).await?;
        insert_token(&tx, &account, family, next).await?;
        tx.commit().await?;
        Ok(Some(account))
    };
    database.retried(operation).await
}

pub async fn end_family(database: &Postgres, digest: &str) -> Result<(), ApiError> {
    let operation = || async {
        let sql = "DELETE FROM refresh_tokens
                   WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = $1)";
        database.connection().await?.execute(sql, &[&digest]).await?;
        Ok(())
    };
    database.retried(operation).await
}

async fn insert_token(tx: &Transaction<'_>, account_id: &str, family: &str, token: &StoredToken) -> Result<(), Error> {
    let sql = "INSERT INTO refresh_tokens (token_hash, family, account_id, expires_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[&token.digest, &family, &account_id, &token.expires_at]).await?;
    Ok(())
}

fn account_of(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: row.try_get(0)?,
        email: row.try_get(1)?,
        created_at: row.try_get(2)?,
        disabled_at: row.try_get(3)?,
    })
}
