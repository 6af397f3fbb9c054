//! Opening connections: the pragmas that all have in common, migrations, and refusing files of other programs and of
//! newer versions.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// How long a statement waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The size to which SQLite truncates a log that has grown beyond it, in bytes. 4 MiB is about what the log grows to
/// between two checkpoints.
const LOG_SIZE_LIMIT: i64 = 4 * 1024 * 1024;
/// The pause between two attempts to do what another program may be doing at the same moment.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// How often migrations are tried again if another program may be applying them.
const MIGRATION_RETRIES: u32 = 3;
/// The table in which refinery records the applied migrations.
pub(crate) const HISTORY_TABLE: &str = "refinery_schema_history";

/// What all databases of one program have in common.
pub struct Schema {
    /// The migrations that create and upgrade the tables.
    pub migrations: refinery::Runner,
    /// SQLite's number for the program that a file belongs to. A migration sets it, so older files have 0.
    pub application_id: i32,
    /// A table and one of its columns that only this program's files have, from the first migration on. They identify
    /// a file without a number, or with a damaged one.
    pub mark: (&'static str, &'static str),
}

/// Opens the connection that writes, creates the file if it is missing, and applies missing migrations.
pub(crate) fn open_writer(path: &Path, schema: Schema) -> Result<Connection, Error> {
    let schema = &Schema { migrations: schema.migrations.set_grouped(true), ..schema };
    let mut connection = Connection::open(path)?;
    configure(&connection)?;
    refuse_foreign(&connection, path, schema)?;
    refuse_newer(&connection, path, schema)?;
    switch_to_wal(&connection)?;
    migrate(&mut connection, schema)?;
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&connection)?;
    Ok(connection)
}

/// Sets what every connection has in common.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // FULL, not NORMAL as is usual with WAL: an acknowledged write must survive a power cut, not only a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On Apple systems an ordinary sync leaves data in the drive's cache. Elsewhere these two have no effect.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)
}

/// Retries, because SQLite's busy timeout does not apply while another connection switches the mode.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                std::thread::sleep(RETRY_INTERVAL);
            }
            switched => return switched,
        }
    }
}

/// Applies the missing migrations in one transaction.
fn migrate(connection: &mut Connection, schema: &Schema) -> Result<(), Error> {
    // refinery reads what is applied before it takes the write lock. If another program applied the migrations in
    // between, they fail here, and the next attempt finds nothing left to do.
    for _ in 0..MIGRATION_RETRIES {
        if schema.migrations.run(connection).is_ok() {
            return Ok(());
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
    schema.migrations.run(connection)?;
    Ok(())
}

/// Refuses a database of another program.
pub(crate) fn refuse_foreign(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let found: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // The history table alone does not count: another instance of this program may be creating the file right now, and
    // refinery creates that table first.
    let others = format!("SELECT count(*) = 0 FROM sqlite_schema WHERE tbl_name <> '{HISTORY_TABLE}'");
    let is_empty = || connection.query_row(&others, [], |row| row.get::<_, bool>(0));
    let (table, column) = schema.mark;
    let is_marked = || {
        Ok::<_, rusqlite::Error>(
            connection.table_exists(None, HISTORY_TABLE)? && connection.column_exists(None, table, column)?,
        )
    };
    let is_ours = found == schema.application_id || (found == 0 && is_empty()?) || is_marked()?;
    if is_ours { Ok(()) } else { Err(Error::Foreign { path: path.to_owned() }) }
}

/// Refuses a schema that is newer than the newest migration.
pub(crate) fn refuse_newer(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let known = schema.newest_version();
    match applied_version(connection)? {
        Some(found) if found > known => Err(Error::Newer { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}

impl Schema {
    /// The version of the newest migration; 0 if there is none.
    fn newest_version(&self) -> i64 {
        self.migrations.get_migrations().iter().map(|it| it.version()).max().unwrap_or_default().into()
    }
}

/// The version of the newest migration that has been applied to a file, if any has.
fn applied_version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    if !connection.table_exists(None, HISTORY_TABLE)? {
        return Ok(None);
    }
    connection.query_row(&format!("SELECT max(version) FROM {HISTORY_TABLE}"), [], |row| row.get(0))
}
