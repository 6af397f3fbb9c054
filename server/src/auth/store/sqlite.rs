//! Accounts, sessions and issuers in SQLite.

use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{
    auth::{
        account::{Account, Change, NewSession, Registration},
        refresh_tokens::{Decision, Facts, decide},
    },
    store::StoreError,
};

pub async fn insert(
    database: &Database,
    account: Account,
    hash: String,
    open: bool,
) -> Result<Registration, StoreError> {
    database
        .write(move |tx| {
            if !open && tx.query_row("SELECT count(*) > 0 FROM accounts", [], |row| row.get::<_, bool>(0))? {
                return Ok(Registration::Closed);
            }
            let is_taken = "SELECT count(*) > 0 FROM accounts WHERE email = ?1";
            if tx.query_row(is_taken, [&account.email], |row| row.get::<_, bool>(0))? {
                return Ok(Registration::Taken);
            }
            tx.execute(
                "INSERT INTO accounts (id, email, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![account.id, account.email, hash, account.created_at.as_microsecond()],
            )?;
            Ok(Registration::Added)
        })
        .await
}

pub async fn has_accounts(database: &Database) -> Result<bool, StoreError> {
    database.read(|tx| Ok(tx.query_row("SELECT EXISTS (SELECT 1 FROM accounts)", [], |row| row.get(0))?)).await
}

pub async fn list(database: &Database) -> Result<Vec<Account>, StoreError> {
    database
        .read(|tx| {
            let sql = "SELECT id, email, created_at, disabled_at FROM accounts ORDER BY created_at, id";
            let mut statement = tx.prepare(sql)?;
            Ok(statement.query_map([], account_of)?.collect::<rusqlite::Result<_>>()?)
        })
        .await
}

pub async fn change(database: &Database, email: String, change: Change) -> Result<bool, StoreError> {
    database
        .write(move |tx| {
            let id = tx.query_row("SELECT id FROM accounts WHERE email = ?1", [email], |row| row.get::<_, String>(0));
            let Some(id) = id.optional()? else { return Ok(false) };
            if !matches!(change, Change::Enable) {
                tx.execute("DELETE FROM sessions WHERE account_id = ?1", [&id])?;
            }
            match change {
                Change::Disable(at) => {
                    tx.execute("UPDATE accounts SET disabled_at = ?1 WHERE id = ?2", params![at.as_microsecond(), id])?
                }
                Change::Enable => tx.execute("UPDATE accounts SET disabled_at = NULL WHERE id = ?1", [id])?,
                Change::Password(hash) => {
                    tx.execute("UPDATE accounts SET password_hash = ?1 WHERE id = ?2", params![hash, id])?
                }
            };
            Ok(true)
        })
        .await
}

pub async fn credentials(database: &Database, email: String) -> Result<Option<(Account, String)>, StoreError> {
    database
        .read(move |tx| {
            let sql = "SELECT id, email, created_at, disabled_at, password_hash FROM accounts
                       WHERE email = ?1 AND disabled_at IS NULL";
            let found = tx.prepare_cached(sql)?.query_row([email], |row| Ok((account_of(row)?, row.get(4)?)));
            Ok(found.optional()?)
        })
        .await
}

pub async fn by_id(database: &Database, id: String) -> Result<Option<Account>, StoreError> {
    database
        .read(move |tx| {
            let sql = "SELECT id, email, created_at, disabled_at FROM accounts WHERE id = ?1 AND disabled_at IS NULL";
            Ok(tx.prepare_cached(sql)?.query_row([id], account_of).optional()?)
        })
        .await
}

pub async fn start_session(database: &Database, session: NewSession) -> Result<bool, StoreError> {
    database
        .write(move |tx| {
            let now = session.started_at.as_microsecond();
            tx.execute("DELETE FROM sessions WHERE expires_at < ?1", [now])?;
            tx.execute("DELETE FROM refresh_tokens WHERE expires_at < ?1", [now])?;
            let sql = "INSERT INTO sessions (id, account_id, started_at, expires_at, generation, newest_token)
                       SELECT ?1, id, ?2, ?3, 0, ?4 FROM accounts
                       WHERE id = ?5 AND password_hash = ?6 AND disabled_at IS NULL";
            let expires_at = session.expires_at.as_microsecond();
            let NewSession { id, account_id, verified_hash, token_digest, .. } = &session;
            if tx.execute(sql, params![id, now, expires_at, token_digest, account_id, verified_hash])? == 0 {
                return Ok(false);
            }
            insert_token(tx, id, token_digest, 0, session.expires_at)?;
            Ok(true)
        })
        .await
}

pub async fn has_token(database: &Database, digest: String) -> Result<bool, StoreError> {
    database
        .read(move |tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE token_hash = ?1)";
            Ok(tx.prepare_cached(sql)?.query_row([digest], |row| row.get(0))?)
        })
        .await
}

pub async fn refresh_session(
    database: &Database,
    digest: String,
    next: String,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    database
        .write(move |tx| {
            let sql = "SELECT sessions.id, account_id, refresh_tokens.generation, used_at IS NOT NULL,
                              newest_token = token_hash, refresh_tokens.expires_at, sessions.generation, started_at,
                              disabled_at IS NOT NULL
                       FROM refresh_tokens JOIN sessions ON sessions.id = session_id
                       JOIN accounts ON accounts.id = account_id WHERE token_hash = ?1";
            let found = tx.prepare_cached(sql)?.query_row([&digest], |row| {
                let facts = Facts {
                    generation: row.get(2)?,
                    is_used: row.get(3)?,
                    is_newest: row.get(4)?,
                    expires_at: time(row.get(5)?),
                    newest_generation: row.get(6)?,
                    started_at: time(row.get(7)?),
                    is_disabled: row.get(8)?,
                };
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, facts))
            });
            let Some((session, account, facts)) = found.optional()? else { return Ok(None) };
            match decide(&facts, now) {
                Decision::Refuse => Ok(None),
                Decision::EndSession => {
                    tx.execute("DELETE FROM sessions WHERE id = ?1", [session])?;
                    Ok(None)
                }
                Decision::Issue { generation, expires_at, uses_token } => {
                    tx.execute("DELETE FROM refresh_tokens WHERE expires_at < ?1", [now.as_microsecond()])?;
                    if uses_token {
                        let used = "UPDATE refresh_tokens SET used_at = ?1 WHERE token_hash = ?2";
                        tx.execute(used, params![now.as_microsecond(), digest])?;
                    }
                    insert_token(tx, &session, &next, generation, expires_at)?;
                    tx.execute(
                        "UPDATE sessions SET generation = ?1, newest_token = ?2, expires_at = ?3 WHERE id = ?4",
                        params![generation, next, expires_at.as_microsecond(), session],
                    )?;
                    Ok(Some(account))
                }
            }
        })
        .await
}

pub async fn end_session(database: &Database, digest: String) -> Result<(), StoreError> {
    database
        .write(move |tx| {
            let sql = "DELETE FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = ?1)";
            tx.execute(sql, [digest])?;
            Ok(())
        })
        .await
}

pub async fn issuer_number(database: &Database, issuer: String) -> Result<i64, StoreError> {
    const FIND: &str = "SELECT number FROM issuers WHERE issuer = ?1";
    let name = issuer.clone();
    let found =
        database.read::<_, StoreError>(move |tx| Ok(tx.query_row(FIND, [name], |row| row.get(0)).optional()?)).await?;
    if let Some(number) = found {
        return Ok(number);
    }
    database
        .write(move |tx| {
            let sql = "INSERT INTO issuers (issuer, number) SELECT ?1, count(*) + 1 FROM issuers WHERE true
                       ON CONFLICT (issuer) DO NOTHING";
            tx.execute(sql, [&issuer])?;
            Ok(tx.query_row(FIND, [&issuer], |row| row.get(0))?)
        })
        .await
}

fn insert_token(
    tx: &Transaction<'_>,
    session: &str,
    digest: &str,
    generation: i64,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, generation, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![digest, session, generation, expires_at.as_microsecond()],
    )?;
    Ok(())
}

fn time(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or_default()
}

fn account_of(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        email: row.get(1)?,
        created_at: time(row.get(2)?),
        disabled_at: row.get::<_, Option<i64>>(3)?.map(time),
    })
}
