//! Accounts and refresh tokens in the store.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garage_sqlite::Database;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::passwords::{LONGEST_BYTES, SHORTEST};
use crate::{app::now, error::ApiError};

/// How long somebody who does not come back stays logged in.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Random bytes of a refresh token.
const TOKEN_BYTES: usize = 32;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The user that its vehicles belong to.
    pub id: String,
    /// What its owner logs in with, lower case.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody can log in with it.
    pub disabled_at: Option<Timestamp>,
}

/// An address as it is kept.
///
/// # Errors
/// It cannot be one.
pub fn clean_email(text: &str) -> Result<String, &'static str> {
    let email = text.trim().to_lowercase();
    let is_one = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    let is_clean =
        email.len() <= 254 && !email.contains(|character: char| character.is_whitespace() || character.is_control());
    if is_one && is_clean { Ok(email) } else { Err("email must be an email address") }
}

/// Whether a password will do.
///
/// # Errors
/// Why it will not.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    if password.chars().count() < SHORTEST {
        return Err("password must be at least 10 characters");
    }
    if password.len() > LONGEST_BYTES {
        return Err("password must be at most 1000 bytes");
    }
    Ok(())
}

/// Adds an account. Where registration is not `open`, only the first.
///
/// # Errors
/// There is one with this address, or it is not the first; or the store cannot be written.
pub async fn register(database: &Database, email: String, hash: String, open: bool) -> Result<Account, ApiError> {
    let now = now();
    database
        .write(move |tx| {
            let is_first = tx.query_row("SELECT count(*) = 0 FROM accounts", [], |row| row.get::<_, bool>(0))?;
            if !open && !is_first {
                return Err(ApiError::Forbidden("Registration is closed"));
            }
            insert(tx, email, &hash, now)
        })
        .await
}

/// Adds an account, whatever registration is.
///
/// # Errors
/// There is one with this address, or the store cannot be written.
pub async fn add(database: &Database, email: &str, password: &str) -> anyhow::Result<Account> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let hash = hashed(password).await?;
    let now = now();
    let added = database.write(move |tx| insert(tx, email, &hash, now)).await;
    added.map_err(|error| match error {
        ApiError::Conflict(message) => anyhow::Error::msg(message),
        _ => anyhow::Error::msg("the database cannot be written"),
    })
}

fn insert(tx: &Transaction<'_>, email: String, hash: &str, now: Timestamp) -> Result<Account, ApiError> {
    let is_taken = "SELECT count(*) > 0 FROM accounts WHERE email = ?1";
    if tx.query_row(is_taken, [&email], |row| row.get::<_, bool>(0))? {
        return Err(ApiError::Conflict("An account with this email already exists"));
    }
    let account = Account { id: Uuid::now_v7().to_string(), email, created_at: now, disabled_at: None };
    tx.execute(
        "INSERT INTO accounts (id, email, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![account.id, account.email, hash, now.as_microsecond()],
    )?;
    Ok(account)
}

/// All accounts, the oldest first.
///
/// # Errors
/// The store cannot be read.
pub async fn list(database: &Database) -> anyhow::Result<Vec<Account>> {
    let list = database.read(|tx| {
        let mut statement =
            tx.prepare("SELECT id, email, created_at, disabled_at FROM accounts ORDER BY created_at, id")?;
        let rows = statement.query_map([], account_of)?;
        Ok::<_, garage_sqlite::Error>(rows.collect::<rusqlite::Result<Vec<_>>>()?)
    });
    Ok(list.await?)
}

/// Ends an account's sessions and lets nobody log in with it; its vehicles stay.
///
/// # Errors
/// There is no such account, or the store cannot be written.
pub async fn disable(database: &Database, email: &str) -> anyhow::Result<()> {
    let now = now().as_microsecond();
    change(database, email, move |tx, id| {
        tx.execute("UPDATE accounts SET disabled_at = ?1 WHERE id = ?2", params![now, id])?;
        Ok(())
    })
    .await
}

/// Gives an account another password, and ends its sessions.
///
/// # Errors
/// There is no such account, the password will not do, or the store cannot be written.
pub async fn set_password(database: &Database, email: &str, password: &str) -> anyhow::Result<()> {
    let hash = hashed(password).await?;
    change(database, email, move |tx, id| {
        tx.execute("UPDATE accounts SET password_hash = ?1, disabled_at = NULL WHERE id = ?2", params![hash, id])?;
        Ok(())
    })
    .await
}

async fn hashed(password: &str) -> anyhow::Result<String> {
    check_password(password).map_err(anyhow::Error::msg)?;
    let hash = super::passwords::Passwords::new().hash(password.to_owned()).await;
    hash.map_err(|_| anyhow::anyhow!("the password cannot be hashed"))
}

async fn change(
    database: &Database,
    email: &str,
    work: impl FnOnce(&Transaction<'_>, &str) -> Result<(), garage_sqlite::Error> + Send + 'static,
) -> anyhow::Result<()> {
    let email = clean_email(email).map_err(anyhow::Error::msg)?;
    let found = database.write(move |tx| {
        let id = tx.query_row("SELECT id FROM accounts WHERE email = ?1", [email], |row| row.get::<_, String>(0));
        let Some(id) = id.optional()? else { return Ok(false) };
        tx.execute("DELETE FROM refresh_tokens WHERE account_id = ?1", [&id])?;
        work(tx, &id)?;
        Ok::<_, garage_sqlite::Error>(true)
    });
    anyhow::ensure!(found.await?, "there is no account with this email");
    Ok(())
}

/// The account of an address and its password's hash, if somebody can log in with it.
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

/// An account that is not disabled.
pub async fn by_id(database: &Database, id: String) -> Result<Option<Account>, ApiError> {
    database
        .read(move |tx| {
            let sql = "SELECT id, email, created_at, disabled_at FROM accounts WHERE id = ?1 AND disabled_at IS NULL";
            Ok(tx.prepare_cached(sql)?.query_row([id], account_of).optional()?)
        })
        .await
}

/// A refresh token that begins a new family: somebody has logged in.
pub async fn begin_family(database: &Database, account_id: String) -> Result<String, ApiError> {
    let (token, now) = (new_token(), now());
    let stored = digest(&token);
    let family = Uuid::now_v7().to_string();
    database
        .write(move |tx| {
            // What is long over is of no use to anybody.
            tx.execute("DELETE FROM refresh_tokens WHERE expires_at < ?1", [now.as_microsecond()])?;
            insert_token(tx, &stored, &family, &account_id, now)
        })
        .await?;
    Ok(token)
}

/// The next refresh token for this one, and whose it is. One that was used before ends its family.
pub async fn next_in_family(database: &Database, token: &str) -> Result<Option<(String, String)>, ApiError> {
    let (next, now, given) = (new_token(), now(), digest(token));
    let stored = digest(&next);
    let account = database
        .write(move |tx| {
            let sql = "SELECT family, account_id, expires_at, used_at IS NOT NULL, accounts.disabled_at IS NOT NULL
                       FROM refresh_tokens JOIN accounts ON accounts.id = account_id WHERE token_hash = ?1";
            let found = tx.prepare_cached(sql)?.query_row([&given], |row| {
                let family_and_account = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok((family_and_account, row.get::<_, i64>(2)?, row.get::<_, bool>(3)?, row.get::<_, bool>(4)?))
            });
            let Some(((family, account), expires_at, is_used, is_disabled)) = found.optional()? else {
                return Ok(None);
            };
            if is_used {
                // Somebody else has it, too; nobody can tell who is who.
                tx.execute("DELETE FROM refresh_tokens WHERE family = ?1", [&family])?;
                return Ok(None);
            }
            if expires_at < now.as_microsecond() || is_disabled {
                return Ok(None);
            }
            tx.execute(
                "UPDATE refresh_tokens SET used_at = ?1 WHERE token_hash = ?2",
                params![now.as_microsecond(), given],
            )?;
            insert_token(tx, &stored, &family, &account, now)?;
            Ok::<_, ApiError>(Some(account))
        })
        .await?;
    Ok(account.map(|account| (next, account)))
}

/// Ends what a log-in led to; nothing where the token is of none.
pub async fn end_family(database: &Database, token: &str) -> Result<(), ApiError> {
    let given = digest(token);
    database
        .write(move |tx| {
            let sql = "DELETE FROM refresh_tokens
                       WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = ?1)";
            tx.execute(sql, [given])?;
            Ok(())
        })
        .await
}

fn insert_token(
    tx: &Transaction<'_>,
    stored: &str,
    family: &str,
    account_id: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let expires_at = (now + REFRESH_LIFETIME).as_microsecond();
    tx.execute(
        "INSERT INTO refresh_tokens (token_hash, family, account_id, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![stored, family, account_id, expires_at],
    )?;
    Ok(())
}

fn account_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Account> {
    let time = |us: i64| Timestamp::from_microsecond(us).unwrap_or_default();
    Ok(Account {
        id: row.get(0)?,
        email: row.get(1)?,
        created_at: time(row.get(2)?),
        disabled_at: row.get::<_, Option<i64>>(3)?.map(time),
    })
}

fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>())
}

fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
