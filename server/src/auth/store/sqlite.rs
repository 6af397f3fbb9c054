//! Accounts and refresh tokens in SQLite.

use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{CLOSED, TAKEN};
use crate::{
    auth::accounts::{Account, Change, StoredToken},
    error::ApiError,
};

pub async fn insert(database: &Database, account: Account, hash: String, open: bool) -> Result<(), ApiError> {
    database
        .write(move |tx| {
            if !open && tx.query_row("SELECT count(*) > 0 FROM accounts", [], |row| row.get::<_, bool>(0))? {
                return Err(CLOSED);
            }
            let is_taken = "SELECT count(*) > 0 FROM accounts WHERE email = ?1";
            if tx.query_row(is_taken, [&account.email], |row| row.get::<_, bool>(0))? {
                return Err(TAKEN);
            }
            tx.execute(
                "INSERT INTO accounts (id, email, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![account.id, account.email, hash, account.created_at.as_microsecond()],
            )?;
            Ok(())
        })
        .await
}

pub async fn list(database: &Database) -> Result<Vec<Account>, ApiError> {
    database
        .read(|tx| {
            let sql = "SELECT id, email, created_at, disabled_at FROM accounts ORDER BY created_at, id";
            let mut statement = tx.prepare(sql)?;
            Ok(statement.query_map([], account_of)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
}

pub async fn change(database: &Database, email: String, change: Change) -> Result<bool, ApiError> {
    database
        .write(move |tx| {
            let id = tx.query_row("SELECT id FROM accounts WHERE email = ?1", [email], |row| row.get::<_, String>(0));
            let Some(id) = id.optional()? else { return Ok(false) };
            tx.execute("DELETE FROM refresh_tokens WHERE account_id = ?1", [&id])?;
            match change {
                Change::Disable(at) => {
                    tx.execute("UPDATE accounts SET disabled_at = ?1 WHERE id = ?2", params![at.as_microsecond(), id])?
                }
                Change::Password(hash) => tx.execute(
                    "UPDATE accounts SET password_hash = ?1, disabled_at = NULL WHERE id = ?2",
                    params![hash, id],
                )?,
            };
            Ok(true)
        })
        .await
}

pub async fn credentials(database: &Database, email: String) -> Result<Option<(Account, String)>, ApiError> {
    database
        .read(move |tx| {
            let sql = "SELECT id, email, created_at, disabled_at, password_hash FROM accounts
                       WHERE email = ?1 AND disabled_at IS NULL";
            let found = tx.prepare_cached(sql)?.query_row([email], |row| Ok((account_of(row)?, row.get(4)?)));
            Ok(found.optional()?)
        })
        .await
}

pub async fn by_id(database: &Database, id: String) -> Result<Option<Account>, ApiError> {
    database
        .read(move |tx| {
            let sql = "SELECT id, email, created_at, disabled_at FROM accounts WHERE id = ?1 AND disabled_at IS NULL";
            Ok(tx.prepare_cached(sql)?.query_row([id], account_of).optional()?)
        })
        .await
}

pub async fn begin_family(
    database: &Database,
    account_id: String,
    family: String,
    token: StoredToken,
    now: Timestamp,
) -> Result<(), ApiError> {
    database
        .write(move |tx| {
            tx.execute("DELETE FROM refresh_tokens WHERE expires_at < ?1", [now.as_microsecond()])?;
            insert_token(tx, &account_id, &family, &token)
        })
        .await
}

pub async fn next_in_family(
    database: &Database,
    digest: String,
    next: StoredToken,
    now: Timestamp,
) -> Result<Option<String>, ApiError> {
    database
        .write(move |tx| {
            let sql =
                "SELECT family, account_id, expires_at >= ?2 AND accounts.disabled_at IS NULL, used_at IS NOT NULL
                       FROM refresh_tokens JOIN accounts ON accounts.id = account_id WHERE token_hash = ?1";
            let found = tx.prepare_cached(sql)?.query_row(params![digest, now.as_microsecond()], |row| {
                let (family, account): (String, String) = (row.get(0)?, row.get(1)?);
                Ok((family, account, row.get::<_, bool>(2)?, row.get::<_, bool>(3)?))
            });
            let Some((family, account, is_good, is_used)) = found.optional()? else { return Ok(None) };
            if is_used {
                tx.execute("DELETE FROM refresh_tokens WHERE family = ?1", [&family])?;
                return Ok(None);
            }
            if !is_good {
                return Ok(None);
            }
            let used = "UPDATE refresh_tokens SET used_at = ?1 WHERE token_hash = ?2";
            tx.execute(used, params![now.as_microsecond(), digest])?;
            insert_token(tx, &account, &family, &next)?;
            Ok(Some(account))
        })
        .await
}

pub async fn end_family(database: &Database, digest: String) -> Result<(), ApiError> {
    database
        .write(move |tx| {
            let sql = "DELETE FROM refresh_tokens
                       WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = ?1)";
            tx.execute(sql, [digest])?;
            Ok(())
        })
        .await
}

fn insert_token(tx: &Transaction<'_>, account_id: &str, family: &str, token: &StoredToken) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO refresh_tokens (token_hash, family, account_id, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![token.digest, family, account_id, token.expires_at.as_microsecond()],
    )?;
    Ok(())
}

fn account_of(row: &Row<'_>) -> rusqlite::Result<Account> {
    let time = |us: i64| Timestamp::from_microsecond(us).unwrap_or_default();
    Ok(Account {
        id: row.get(0)?,
        email: row.get(1)?,
        created_at: time(row.get(2)?),
        disabled_at: row.get::<_, Option<i64>>(3)?.map(time),
    })
}
