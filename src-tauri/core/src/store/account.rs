//! The account that a garage belongs to, in the table `sync`.

use rusqlite::{Connection, OptionalExtension};

/// The account of a garage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    /// The server's URL, normalized.
    pub server: String,
    /// The account's id on the server.
    pub account: String,
    /// The email address of the last sign-in, if it is known.
    pub email: Option<String>,
}

/// Returns the garage's account, or `None` if nobody has ever signed in.
pub(crate) fn get(connection: &Connection) -> rusqlite::Result<Option<AccountRow>> {
    let sql = "SELECT server, account, email FROM sync";
    let row =
        |row: &rusqlite::Row<'_>| Ok(AccountRow { server: row.get(0)?, account: row.get(1)?, email: row.get(2)? });
    connection.prepare_cached(sql)?.query_row([], row).optional()
}

/// Remembers the account, or the new email address of the account that the garage has. Returns whether the garage has
/// this account now; one of another account is not changed.
pub(crate) fn set(connection: &Connection, row: &AccountRow) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO sync (only_row, server, account, email) VALUES (1, ?1, ?2, ?3) \
               ON CONFLICT (only_row) DO UPDATE SET email = excluded.email \
               WHERE server = excluded.server AND account = excluded.account";
    let changed = connection.prepare_cached(sql)?.execute((&row.server, &row.account, &row.email))?;
    Ok(changed == 1)
}
