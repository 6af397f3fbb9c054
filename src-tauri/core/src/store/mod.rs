//! The garage's SQLite file: its schema and its statements. It knows rows and records, not operations.
//!
//! - `records`: reads records of any collection
//! - `journal`: writes them; no other code does
//! - `history`, `vehicle_list`, `find`, `foreign`: read history, pages of vehicles, single vehicles, and records of
//!   unknown collections
//! - `account`: the account on a server that the garage belongs to
//! - `schema`: finds and mends missing and changed parts of the schema
//! - `sync`: the bookkeeping of sync; `scope`: what a server takes of a garage
//! - `stored_value`: values of rows, for copying them without interpreting them
//! - `text`: the SQL functions that fold text for search and sorting

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use garage_sqlite::{Access, Database, Error, Schema};
use refinery::{Migration, Runner};
use rusqlite::{Connection, Transaction};

pub(crate) mod account;
pub(crate) mod find;
pub(crate) mod foreign;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod scope;
pub(crate) mod stored_value;
pub(crate) mod sync;
pub(crate) mod text;
pub(crate) mod vehicle_list;

#[cfg(test)]
mod tests;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// The garage's migrations. Their names and checksums are computed once.
fn migrations() -> Runner {
    static MIGRATIONS: LazyLock<Vec<Migration>> =
        LazyLock::new(|| migrations::migrations::runner().get_migrations().clone());
    Runner::new(&MIGRATIONS)
}

/// The SQLite application id of a garage, "MVGa".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVGa");

/// The folder of a garage's backups: beside its file and named after it, so that no two garages share one.
pub(crate) fn backup_folder(garage_file: &Path) -> PathBuf {
    garage_files::with_suffix(garage_file, "-backups")
}

/// The backup to write before an upgrade between two schema versions.
fn backup_before_upgrade(garage_file: &Path, from: i64, to: i64) -> PathBuf {
    backup_folder(garage_file).join(format!("before-upgrade-{from}-to-{to}.db"))
}

fn definition() -> Schema {
    Schema {
        migrations: migrations(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "position"),
        prepare: text::register,
        backup_before_upgrade: None,
        missing_parts: Some(schema::missing),
    }
}

/// Same as [`open`], but backs the garage up before an upgrade.
pub(crate) async fn open_backed_up(path: &Path) -> Result<Database, Error> {
    kept_up(Database::open(path, Schema { backup_before_upgrade: Some(backup_before_upgrade), ..definition() }).await?)
        .await
}

/// Opens the garage's file, runs missing migrations, and rebuilds the search index if it is out of date.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    kept_up(Database::open(path, definition()).await?).await
}

/// Opens an existing garage as it is, for a repair: without migrations, and without a check of its content.
pub(crate) fn open_unchanged(path: &Path, access: Access) -> Result<Connection, Error> {
    garage_sqlite::open_unchanged(path, &definition(), access)
}

/// Does what an upgrade leaves to the program: rebuilds a search index that other functions made, and moves what older
/// versions did not know to where this one keeps it.
async fn kept_up(database: Database) -> Result<Database, Error> {
    let current = (text::VERSION, schema::newest_version());
    if database.read(|transaction| Ok::<_, Error>(upkeep(transaction)?)).await? != current {
        let kept_up = database.write(move |transaction| {
            // Another program may have been quicker.
            let (search_version, adopted_schema) = upkeep(transaction)?;
            if search_version != text::VERSION {
                journal::rebuild_search(transaction)?;
            }
            if adopted_schema != current.1 {
                journal::adopt_known(transaction, current.1)?;
            }
            Ok::<_, Error>(())
        });
        kept_up.await?;
    }
    Ok(database)
}

/// Opens a copy of a garage as [`open`] does. Creates parts of its schema again that it lacks, if they hold no records.
pub(crate) async fn open_copy(path: &Path) -> Result<Database, Error> {
    let opened = open(path).await;
    if !matches!(opened, Err(Error::Incomplete { .. })) {
        return opened;
    }
    let file = path.to_owned();
    let mended = blocking(move || Ok(schema::mend_copy(&mut open_unchanged(&file, Access::Write)?)?));
    if mended.await? { open(path).await } else { opened }
}

pub(crate) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
}

/// The version of the functions that made the search index, and the schema up to which extras have been adopted.
fn upkeep(transaction: &Transaction<'_>) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT search_version, adopted_schema FROM upkeep";
    transaction.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Opens a file read-only and checks that it is an intact garage.
pub(crate) async fn check(path: &Path) -> Result<Connection, Error> {
    let path = path.to_owned();
    blocking(move || garage_sqlite::check(&path, &definition())).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// The id of this device, which history records.
pub(crate) fn device_id(connection: &Connection) -> rusqlite::Result<String> {
    connection.prepare_cached("SELECT device_id FROM device")?.query_row([], |row| row.get(0))
}
