//! Accounts, sessions and issuers in PostgreSQL.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Error, Row, error::SqlState};

use crate::{
    auth::{
        account::{Account, Change, NewSession, Registration},
        refresh_tokens::{Decision, Facts, decide},
    },
    store::{
        StoreError,
        postgres::{Failure, Postgres},
    },
};

pub async fn insert(
    database: &Postgres,
    account: &Account,
    hash: &str,
    open: bool,
) -> Result<Registration, StoreError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        if !open {
            // Prevents two concurrent registrations from both being the first.
            tx.batch_execute("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE").await?;
            if tx.query_opt("SELECT FROM accounts LIMIT 1", &[]).await?.is_some() {
                return Ok(Registration::Closed);
            }
        }
        let sql = "INSERT INTO accounts (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)";
        let inserted = tx.execute(sql, &[&account.id, &account.email, &hash, &account.created_at]).await;
        match inserted {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => return Ok(Registration::Taken),
            inserted => inserted?,
        };
        tx.commit().await?;
        Ok(Registration::Added)
    };
    database.with_retries(operation).await
}

pub async fn has_accounts(database: &Postgres) -> Result<bool, StoreError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT EXISTS (SELECT FROM accounts)";
        let row = connection.query_one(&connection.prepare_cached(sql).await?, &[]).await?;
        Ok::<_, Failure>(row.try_get(0)?)
    };
    Ok(found.await?)
}

pub async fn list(database: &Postgres) -> Result<Vec<Account>, StoreError> {
    let listed = async {
        let sql = "SELECT id, email, created_at, disabled_at FROM accounts ORDER BY created_at, id";
        let rows = database.connection().await?.query(sql, &[]).await?;
        Ok::<_, Failure>(rows.iter().map(account_of).collect::<Result<_, Error>>()?)
    };
    Ok(listed.await?)
}

pub async fn change(database: &Postgres, email: &str, change: &Change) -> Result<bool, StoreError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        let account = tx.query_opt("SELECT id FROM accounts WHERE email = $1 FOR UPDATE", &[&email]).await?;
        let Some(account) = account else { return Ok(false) };
        let id: &str = account.try_get(0)?;
        if !matches!(change, Change::Enable) {
            tx.execute("DELETE FROM sessions WHERE account_id = $1", &[&id]).await?;
        }
        match change {
            Change::Disable(at) => tx.execute("UPDATE accounts SET disabled_at = $1 WHERE id = $2", &[at, &id]).await?,
            Change::Enable => tx.execute("UPDATE accounts SET disabled_at = NULL WHERE id = $1", &[&id]).await?,
            Change::Password(hash) => {
                tx.execute("UPDATE accounts SET password_hash = $1 WHERE id = $2", &[hash, &id]).await?
            }
        };
        tx.commit().await?;
        Ok(true)
    };
    database.with_retries(operation).await
}

pub async fn credentials(database: &Postgres, email: &str) -> Result<Option<(Account, String)>, StoreError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT id, email, created_at, disabled_at, password_hash FROM accounts
                   WHERE email = $1 AND disabled_at IS NULL";
        let row = connection.query_opt(&connection.prepare_cached(sql).await?, &[&email]).await?;
        Ok::<_, Failure>(row.map(|row| Ok::<_, Error>((account_of(&row)?, row.try_get(4)?))).transpose()?)
    };
    Ok(found.await?)
}

pub async fn by_id(database: &Postgres, id: &str) -> Result<Option<Account>, StoreError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT id, email, created_at, disabled_at FROM accounts WHERE id = $1 AND disabled_at IS NULL";
        let row = connection.query_opt(&connection.prepare_cached(sql).await?, &[&id]).await?;
        Ok::<_, Failure>(row.as_ref().map(account_of).transpose()?)
    };
    Ok(found.await?)
}

pub async fn start_session(database: &Postgres, session: &NewSession) -> Result<bool, StoreError> {
    let NewSession { id, account_id, verified_hash, token_digest, started_at, expires_at } = session;
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        tx.execute("DELETE FROM sessions WHERE expires_at < $1", &[started_at]).await?;
        tx.execute("DELETE FROM refresh_tokens WHERE expires_at < $1", &[started_at]).await?;
        // The lock serializes this with a change of the account, which ends the account's sessions.
        let sql = "SELECT FROM accounts WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL FOR SHARE";
        if tx.query_opt(&tx.prepare_cached(sql).await?, &[account_id, verified_hash]).await?.is_none() {
            return Ok(false);
        }
        let sql = "INSERT INTO sessions (id, account_id, started_at, expires_at, generation, newest_token)
                   VALUES ($1, $2, $3, $4, 0, $5)";
        tx.execute(sql, &[id, account_id, started_at, expires_at, token_digest]).await?;
        insert_token(&tx, id, token_digest, 0, *expires_at).await?;
        tx.commit().await?;
        Ok(true)
    };
    database.with_retries(operation).await
}

pub async fn has_token(database: &Postgres, digest: &str) -> Result<bool, StoreError> {
    let found = async {
        let connection = database.connection().await?;
        let sql = "SELECT EXISTS (SELECT FROM refresh_tokens WHERE token_hash = $1)";
        let row = connection.query_one(&connection.prepare_cached(sql).await?, &[&digest]).await?;
        Ok::<_, Failure>(row.try_get(0)?)
    };
    Ok(found.await?)
}

pub async fn refresh_session(
    database: &Postgres,
    digest: &str,
    next: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = connection.transaction().await?;
        // Locks the session before reading the token: a statement that waits for a lock reads unlocked rows as they were
        // before it waited.
        let lock = "SELECT FROM sessions
                    WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1) FOR UPDATE";
        tx.query_opt(&tx.prepare_cached(lock).await?, &[&digest]).await?;
        let sql = "SELECT sessions.id, account_id, refresh_tokens.generation, used_at IS NOT NULL,
                          newest_token = token_hash, refresh_tokens.expires_at, sessions.generation, started_at,
                          disabled_at IS NOT NULL
                   FROM refresh_tokens JOIN sessions ON sessions.id = session_id
                   JOIN accounts ON accounts.id = account_id WHERE token_hash = $1";
        let row = tx.query_opt(&tx.prepare_cached(sql).await?, &[&digest]).await?;
        let Some(row) = row else { return Ok(None) };
        let (session, account): (&str, String) = (row.try_get(0)?, row.try_get(1)?);
        let facts = Facts {
            generation: row.try_get(2)?,
            is_used: row.try_get(3)?,
            is_newest: row.try_get(4)?,
            expires_at: row.try_get(5)?,
            newest_generation: row.try_get(6)?,
            started_at: row.try_get(7)?,
            is_disabled: row.try_get(8)?,
        };
        match decide(&facts, now) {
            Decision::Refuse => Ok(None),
            Decision::EndSession => {
                tx.execute("DELETE FROM sessions WHERE id = $1", &[&session]).await?;
                tx.commit().await?;
                Ok(None)
            }
            Decision::Issue { generation, expires_at, uses_token } => {
                tx.execute("DELETE FROM refresh_tokens WHERE expires_at < $1", &[&now]).await?;
                if uses_token {
                    let used = "UPDATE refresh_tokens SET used_at = $1 WHERE token_hash = $2";
                    tx.execute(used, &[&now, &digest]).await?;
                }
                insert_token(&tx, session, next, generation, expires_at).await?;
                let newest = "UPDATE sessions SET generation = $1, newest_token = $2, expires_at = $3 WHERE id = $4";
                tx.execute(newest, &[&generation, &next, &expires_at, &session]).await?;
                tx.commit().await?;
                Ok(Some(account))
            }
        }
    };
    database.with_retries(operation).await
}

pub async fn end_session(database: &Postgres, digest: &str) -> Result<(), StoreError> {
    let operation = || async {
        let sql = "DELETE FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)";
        database.connection().await?.execute(sql, &[&digest]).await?;
        Ok(())
    };
    database.with_retries(operation).await
}

pub async fn issuer_number(database: &Postgres, issuer: &str) -> Result<i64, StoreError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let find = "SELECT number FROM issuers WHERE issuer = $1";
        if let Some(row) = connection.query_opt(find, &[&issuer]).await? {
            return Ok(row.try_get(0)?);
        }
        let tx = connection.transaction().await?;
        tx.batch_execute("LOCK TABLE issuers IN SHARE ROW EXCLUSIVE MODE").await?;
        let sql = "INSERT INTO issuers (issuer, number) SELECT $1, count(*) + 1 FROM issuers
                   ON CONFLICT (issuer) DO NOTHING";
        tx.execute(sql, &[&issuer]).await?;
        let number = tx.query_one(find, &[&issuer]).await?.try_get(0)?;
        tx.commit().await?;
        Ok(number)
    };
    database.with_retries(operation).await
}

async fn insert_token(
    tx: &Transaction<'_>,
    session: &str,
    digest: &str,
    generation: i64,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO refresh_tokens (token_hash, session_id, generation, expires_at) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[&digest, &session, &generation, &expires_at]).await?;
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
