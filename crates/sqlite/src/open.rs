//! Opening connections: the pragmas that all have in common, migrations, and refusing files of other programs and of
//! newer versions.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use garage_files::{Existing, PartialFile, have_equal_content, move_into_place};
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{Error, opened::OpenedFile, vacuum::vacuum_into};

/// How long a statement waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts to get a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(2);
/// Prepared statements that a connection keeps. Updates name only the columns that change, so their texts vary.
const CACHED_STATEMENTS: usize = 64;
/// The size to which SQLite truncates a log that has grown beyond it, in bytes. 4 MiB is about what the log grows to
/// between two checkpoints.
const LOG_SIZE_LIMIT: i64 = 4 * 1024 * 1024;
/// The pause between two attempts to do what another program may be doing at the same moment.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// How often migrations are tried again if another program may be applying them.
const MIGRATION_RETRIES: u32 = 3;
/// The table in which refinery records the applied migrations.
pub(crate) const HISTORY_TABLE: &str = "refinery_schema_history";

/// Prepares a new connection, for example by adding SQL functions.
pub(crate) type Prepare = fn(&Connection) -> rusqlite::Result<()>;

/// Names the missing parts of a file's schema.
pub(crate) type MissingParts = fn(&Connection) -> rusqlite::Result<Vec<String>>;

/// What all databases of one program have in common.
pub struct Schema {
    /// The migrations that create and upgrade the tables.
    pub migrations: refinery::Runner,
    /// SQLite's number for the program that a file belongs to. A migration sets it, so older files have 0.
    pub application_id: i32,
    /// A table and one of its columns that only this program's files have, from the first migration on. They identify
    /// a file without a number, or with a damaged one.
    pub mark: (&'static str, &'static str),
    /// Called on every new connection after the pragmas and before migrations, for the program's own SQL functions.
    pub prepare: Prepare,
    /// Names the backup of a file that an upgrade is about to change, from the file, its schema version, and the
    /// version it is upgraded to. A backup of that name with other content is kept, and the new one gets a number after
    /// its name. With `None` there is no backup.
    pub backup_before_upgrade: Option<fn(&Path, i64, i64) -> PathBuf>,
    /// Names the parts of its own version's schema that a file lacks, such as a table that was dropped. Such a file is
    /// not opened. With `None` this is not checked.
    pub missing_parts: Option<MissingParts>,
}

/// Opens the connection that writes, creates the file if it is missing, and applies missing migrations.
pub(crate) fn open_writer(path: &Path, schema: Schema) -> Result<(Connection, OpenedFile), Error> {
    let schema = &Schema { migrations: schema.migrations.set_grouped(true), ..schema };
    let (mut connection, file) = OpenedFile::open(path, || Ok(Connection::open(path)?))?;
    configure(&connection, schema.prepare)?;
    refuse_foreign(&connection, path, schema)?;
    refuse_newer(&connection, path, schema)?;
    refuse_incomplete(&connection, path, schema)?;
    back_up_before_upgrade(&connection, path, schema)?;
    switch_to_wal(&connection)?;
    migrate(&mut connection, schema)?;
    Ok((connection, file))
}

/// Opens a connection to the same file that cannot write.
pub(crate) fn open_reader(file: &OpenedFile, prepare: Prepare) -> Result<Connection, Error> {
    file.refuse_moved()?;
    let connection =
        Connection::open_with_flags(file.path(), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&connection, prepare)?;
    // It may have been replaced just before it was opened.
    file.refuse_moved()?;
    Ok(connection)
}

/// Sets what every connection has in common.
pub(crate) fn configure(connection: &Connection, prepare: Prepare) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_lock))?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise SQLite plans a statement with `LIMIT ?` again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // FULL, not NORMAL as is usual with WAL: an acknowledged write must survive a power cut, not only a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On Apple systems an ordinary sync leaves data in the drive's cache. Elsewhere these two have no effect.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)?;
    prepare(connection)
}

/// Waits a moment for a lock that another connection holds; gives up after [`BUSY_TIMEOUT`].
///
/// SQLite's own busy timeout sleeps up to 100 ms between two attempts. A program that writes one batch after the other
/// leaves gaps of milliseconds only, and a waiting writer would miss them all.
fn wait_for_lock(attempts: i32) -> bool {
    std::thread::sleep(LOCK_INTERVAL);
    LOCK_INTERVAL * u32::try_from(attempts).unwrap_or(u32::MAX) < BUSY_TIMEOUT
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

/// Backs up a file that an older version has written.
fn back_up_before_upgrade(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let Some(backup_of) = schema.backup_before_upgrade else { return Ok(()) };
    let known = schema.newest_version();
    let Some(found) = applied_version(connection)?.filter(|found| *found < known) else { return Ok(()) };
    let backup = backup_of(path, found, known);
    let write = || {
        let partial = PartialFile::beside(&backup)?;
        vacuum_into(connection, partial.path())?;
        let copy = Connection::open_with_flags(partial.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let copied = applied_version(&copy)?;
        drop(copy);
        // Another program may have upgraded the file meanwhile. It made its backup first.
        if copied == Some(found) { keep_backup(partial.path(), &backup) } else { Ok(()) }
    };
    write().map_err(|source| Error::BackupBeforeUpgrade { path: backup.clone(), source: Box::new(source) })
}

/// Gives a new backup its name, or a numbered one if other backups have that name. Drops it if one of them is equal:
/// an interrupted upgrade, or another program that upgrades the same file, has written that one.
fn keep_backup(complete: &Path, backup: &Path) -> Result<(), Error> {
    let mut name = backup.to_owned();
    for number in 2_u32.. {
        match move_into_place(complete, &name, Existing::Keep) {
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists && name.is_file() => {}
            moved => return Ok(moved?),
        }
        if have_equal_content(complete, &name)? {
            break;
        }
        name = numbered(backup, number);
    }
    Ok(())
}

/// `name-2.db` for `name.db`.
fn numbered(file: &Path, number: u32) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
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
    let (table, column) = schema.mark;
    let is_marked = || {
        Ok::<_, rusqlite::Error>(
            connection.table_exists(None, HISTORY_TABLE)? && connection.column_exists(None, table, column)?,
        )
    };
    let is_ours = found == schema.application_id || (found == 0 && !has_content(connection)?) || is_marked()?;
    if is_ours { Ok(()) } else { Err(Error::Foreign { path: path.to_owned() }) }
}

/// Whether a file has anything but the table of applied migrations. That table alone does not count: another instance
/// of this program may be creating the file right now, and refinery creates that table first.
pub(crate) fn has_content(connection: &Connection) -> rusqlite::Result<bool> {
    let others = format!("SELECT count(*) > 0 FROM sqlite_schema WHERE tbl_name <> '{HISTORY_TABLE}'");
    connection.query_row(&others, [], |row| row.get(0))
}

/// Refuses a schema that is newer than the newest migration.
pub(crate) fn refuse_newer(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let known = schema.newest_version();
    match applied_version(connection)? {
        Some(found) if found > known => Err(Error::Newer { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}

/// Refuses a file that lacks parts of its schema: migrations and statements would fail.
fn refuse_incomplete(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), Error> {
    let Some(missing_parts) = schema.missing_parts else { return Ok(()) };
    // Reads the file at one moment, because another program may be applying migrations.
    let missing = missing_parts(&*connection.unchecked_transaction()?)?;
    if missing.is_empty() { Ok(()) } else { Err(Error::Incomplete { path: path.to_owned(), missing }) }
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

#[cfg(test)]
mod tests {
    use rusqlite::{Transaction, functions::FunctionFlags};

    use garage_files::with_suffix;

    use super::*;
    use crate::{
        Database, check,
        testing::{CREATE_T1, count, insert, migration, schema},
    };

    fn backup_of(path: &Path, found: i64, known: i64) -> PathBuf {
        with_suffix(path, "-backups").join(format!("before-upgrade-{found}-to-{known}.db"))
    }

    fn backed_up(versions: &[u32]) -> Schema {
        Schema { backup_before_upgrade: Some(backup_of), ..schema(versions) }
    }

    /// A file of schema 1 with one row.
    async fn old_file(path: &Path) {
        let old = Database::open(path, backed_up(&[1])).await.expect("open");
        old.write(insert).await.expect("a write");
        old.close().await;
    }

    #[tokio::test]
    async fn a_file_is_backed_up_before_it_is_upgraded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        old_file(&path).await;
        let backup = backup_of(&path, 1, 3);
        assert!(!with_suffix(&path, "-backups").exists(), "a new file is not backed up");
        let upgraded = Database::open(&path, backed_up(&[1, 2, 3])).await.expect("upgraded");
        assert_eq!(count(&upgraded).await, 1);
        let before = check(&backup, &schema(&[1])).expect("an intact file of the old schema");
        assert_eq!(before.query_row("SELECT count(*) FROM t1", [], |row| row.get::<_, i64>(0)), Ok(1));
        upgraded.close().await;
        let names = || std::fs::read_dir(with_suffix(&path, "-backups")).expect("a folder").count();
        assert_eq!(names(), 1, "nothing but the backup");
        Database::open(&path, backed_up(&[1, 2, 3])).await.expect("open").close().await;
        assert_eq!(names(), 1, "without an upgrade there is no backup");
    }

    /// The file may also be an older one that was put back and edited.
    #[tokio::test]
    async fn the_backup_of_an_interrupted_upgrade_is_kept_beside_one_of_later_edits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        old_file(&path).await;
        let broken = [migration(1, CREATE_T1), migration(2, "CREATE TABLE t2 (x); SELECT missing();")];
        let backup = backup_of(&path, 1, 2);
        let backups = || std::fs::read_dir(with_suffix(&path, "-backups")).expect("a folder").count();
        for _ in 0..2 {
            let broken = Schema { migrations: refinery::Runner::new(&broken), ..backed_up(&[]) };
            let interrupted = Database::open(&path, broken).await.err().expect("refused");
            assert!(matches!(interrupted, Error::Migration(_)), "{interrupted}");
            assert_eq!(backups(), 1, "an unchanged file is backed up once");
        }
        let first = std::fs::read(&backup).expect("a backup");
        let still_old = Database::open(&path, backed_up(&[1])).await.expect("open");
        still_old.write(insert).await.expect("a write");
        still_old.close().await;
        let upgraded = Database::open(&path, backed_up(&[1, 2])).await.expect("upgraded");
        assert_eq!(count(&upgraded).await, 2);
        assert_eq!((std::fs::read(&backup).expect("a backup"), backups()), (first, 2));
        let before = check(&numbered(&backup, 2), &schema(&[1])).expect("an intact file of the old schema");
        let rows = before.query_row("SELECT count(*) FROM t1", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows, Ok(2), "the later edit is in a backup");
    }

    #[tokio::test]
    async fn an_upgrade_without_its_backup_is_refused_and_the_file_is_unchanged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        old_file(&path).await;
        let before = std::fs::read(&path).expect("read");
        // A file in the place of the folder, then a folder in the place of the backup.
        std::fs::write(with_suffix(&path, "-backups"), "").expect("written");
        for attempt in 0..2 {
            let refused = Database::open(&path, backed_up(&[1, 2])).await.err().expect("refused");
            let Error::BackupBeforeUpgrade { path: backup, source } = &refused else { panic!("{refused}") };
            assert_eq!(*backup, backup_of(&path, 1, 2));
            assert!(matches!(**source, Error::File(_)), "{source}");
            assert_eq!(std::fs::read(&path).expect("read"), before);
            if attempt == 0 {
                std::fs::remove_file(with_suffix(&path, "-backups")).expect("removed");
                std::fs::create_dir_all(backup).expect("a folder");
            }
        }
        std::fs::remove_dir(backup_of(&path, 1, 2)).expect("removed");
        Database::open(&path, backed_up(&[1, 2])).await.expect("upgraded");
    }

    #[tokio::test]
    async fn migrations_and_every_connection_can_use_the_programs_functions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let sql = "CREATE TABLE t1 (value INTEGER NOT NULL CHECK (is_even(value))) STRICT;
                   CREATE INDEX even_t1 ON t1 (is_even(value));
                   INSERT INTO t1 VALUES (iif(is_even(2), 2, 1));";
        let even = || Schema {
            migrations: refinery::Runner::new(&[migration(1, sql)]),
            prepare: |connection| {
                let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
                connection.create_scalar_function("is_even", 1, flags, |it| Ok(it.get::<i64>(0)? % 2 == 0))
            },
            ..backed_up(&[])
        };
        let database = Database::open(&path, even()).await.expect("open");
        let sql = "SELECT count(*) FROM t1 WHERE is_even(value)";
        let query = move |tx: &Transaction<'_>| Ok::<_, Error>(tx.query_row(sql, [], |row| row.get::<_, i64>(0))?);
        assert_eq!(database.read(query).await.expect("read"), 1);
        assert_eq!(database.read_long(query).await.expect("read"), 1);
        assert_eq!(database.write(query).await.expect("read"), 1);
        let odd = database.write::<_, Error>(|tx| Ok(tx.execute("INSERT INTO t1 VALUES (3)", [])?)).await;
        assert!(odd.is_err(), "the constraint is checked");
        let backup = folder.path().join("backup.db");
        database.back_up(&backup, Existing::Keep, |_, _| true).await.expect("backed up");
        let checked = check(&backup, &even()).expect("intact");
        assert_eq!(checked.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(1));
    }
}
