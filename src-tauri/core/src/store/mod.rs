//! The garage's SQLite file: its schema and its statements. A leaf: it knows rows and records, no operation.
//!
//! - `records`: reading records of any collection
//! - `journal`: writing them; the only code that does
//! - `history`, `vehicle_list`, `find`, `foreign`: reading history, pages of vehicles, single vehicles by their
//!   names, and records of unknown collections
//! - `schema`: what a file lacks of the schema
//! - `text`: the SQL functions that fold letters for search and sorting

use std::path::{Path, PathBuf};

use garage_sqlite::{Database, Error, Schema};
use rusqlite::{Connection, Transaction};

pub(crate) mod find;
pub(crate) mod foreign;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod text;
pub(crate) mod vehicle_list;

#[cfg(test)]
mod tests;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// "MVGa", by which a file is known to be a garage.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVGa");

/// The folder of a garage's backups: beside its file and named after it, so that no two garages share one.
pub(crate) fn backup_folder(garage_file: &Path) -> PathBuf {
    garage_sqlite::with_suffix(garage_file, "-backups")
}

/// The backup of a garage that is about to be upgraded from one schema version to another.
fn backup_before_upgrade(garage_file: &Path, from: i64, to: i64) -> PathBuf {
    backup_folder(garage_file).join(format!("before-upgrade-{from}-to-{to}.db"))
}

fn definition() -> Schema {
    Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "position"),
        prepare: text::register,
        backup_before_upgrade: None,
    }
}

/// Opens the garage's file as [`open`] does, but backs it up before an upgrade.
pub(crate) async fn open_backed_up(path: &Path) -> Result<Database, Error> {
    with_current_search(
        Database::open(path, Schema { backup_before_upgrade: Some(backup_before_upgrade), ..definition() }).await?,
    )
    .await
}

/// Opens the garage's file, brings its schema up to date, and rebuilds the search index if another version made it.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    with_current_search(open_any(path).await?).await
}

/// Opens the garage's file whatever its search index is, which may be what is to be mended.
pub(crate) async fn open_any(path: &Path) -> Result<Database, Error> {
    Database::open(path, definition()).await
}

async fn with_current_search(database: Database) -> Result<Database, Error> {
    let is_current = |transaction: &Transaction<'_>| Ok::<_, Error>(search_version(transaction)? == text::VERSION);
    if !database.read(is_current).await? {
        let rebuilt = database.write(|transaction| {
            // Another program may have been quicker.
            if search_version(transaction)? != text::VERSION {
                journal::rebuild_search(transaction)?;
            }
            Ok::<_, Error>(())
        });
        rebuilt.await?;
    }
    Ok(database)
}

/// The version of a file's schema.
pub(crate) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
}

/// The version of the schema that this program writes.
pub(crate) fn newest_version() -> i64 {
    let runner = migrations::migrations::runner();
    runner.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or_default().into()
}

fn search_version(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT version FROM search_version", [], |row| row.get(0))
}

/// Opens a file read-only and checks that it is an intact garage.
pub(crate) async fn check(path: &Path) -> Result<Connection, Error> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || garage_sqlite::check(&path, &definition()))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// What this device calls itself.
pub(crate) fn device_id(connection: &Connection) -> rusqlite::Result<String> {
    connection.prepare_cached("SELECT device_id FROM device")?.query_row([], |row| row.get(0))
}
