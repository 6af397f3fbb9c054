//! What this crate's tests share.

use rusqlite::Transaction;

use crate::{Database, Error, Schema};

/// The SQL of migration number 1.
pub const CREATE_T1: &str = "CREATE TABLE t1 (value INTEGER NOT NULL) STRICT;";

/// A schema whose migration number n creates the table `tn`.
pub fn schema(versions: &[u32]) -> Schema {
    let migrations: Vec<refinery::Migration> =
        versions.iter().map(|version| migration(*version, &CREATE_T1.replace("t1", &format!("t{version}")))).collect();
    Schema {
        migrations: refinery::Runner::new(&migrations),
        application_id: 7,
        mark: ("t1", "value"),
        prepare: |_| Ok(()),
        backup_before_upgrade: None,
        missing_parts: None,
    }
}

pub fn migration(version: u32, sql: &str) -> refinery::Migration {
    refinery::Migration::unapplied(&format!("V{version:04}__t{version}"), sql).expect("a migration")
}

/// Adds a row to `t1`.
pub fn insert(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction.execute("INSERT INTO t1 VALUES (1)", [])?;
    Ok(())
}

/// The number of rows in `t1`.
pub async fn count(database: &Database) -> i64 {
    database.read(count_rows).await.expect("a count")
}

pub fn count_rows(transaction: &Transaction<'_>) -> Result<i64, Error> {
    Ok(transaction.query_row("SELECT count(*) FROM t1", [], |row| row.get(0))?)
}
