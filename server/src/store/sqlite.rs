//! SQLite: opening, backing up and restoring the file.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use garage_files::{Existing, PartialFile, with_suffix};
use garage_sqlite::{Database, Error, Schema};
use jiff::Timestamp;
use refinery::{Migration, Runner};
use rusqlite::{Connection, OptionalExtension};

use super::{StoreError, epoch};

mod migrations {
    refinery::embed_migrations!("../migrations/server-sqlite");
}

/// The migrations. Their names and checksums are computed once.
fn migrations() -> Runner {
    static MIGRATIONS: LazyLock<Vec<Migration>> =
        LazyLock::new(|| migrations::migrations::runner().get_migrations().clone());
    Runner::new(&MIGRATIONS)
}

/// "MVSv": marks a file as a server's database.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVSv");

/// Opens the database and migrates its schema. Creates the file if it does not exist.
///
/// # Errors
/// The same as [`Database::open`]; [`Error::File`] if the file cannot be created.
pub async fn open(path: &Path) -> Result<Database, Error> {
    #[cfg(unix)]
    create_private(path)?;
    Database::open(path, schema()).await
}

fn schema() -> Schema {
    Schema {
        migrations: migrations(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "created_with"),
        prepare: |_| Ok(()),
        // Backups are up to the operator.
        backup_before_upgrade: None,
        missing_parts: None,
    }
}

/// The user's feed version, 0 before the first write.
pub async fn feed_version(database: &Database, user: &str) -> Result<i64, StoreError> {
    let read = |connection: &Connection| {
        let mut statement = connection.prepare_cached("SELECT version FROM feeds WHERE user_id = ?1")?;
        Ok(statement.query_row([user], |row| row.get(0)).optional()?.unwrap_or(0))
    };
    database.read_here(read).await
}

/// Copies the database into a new file. Servers can keep running.
///
/// # Errors
/// The same as [`Database::back_up`].
pub async fn back_up(database: &Database, file: &Path) -> Result<(), Error> {
    database.back_up(file, Existing::Keep, |_, _| true).await
}

/// Replaces the database's content with a backup, in a new epoch. Servers can keep running. Returns the file with the
/// replaced content. After an error the database is unchanged.
///
/// # Errors
/// The same as [`garage_sqlite::check`] for the backup, [`garage_sqlite::vacuum_into`] and [`Database::replace`].
pub async fn restore(database: &Database, path: &Path, backup: &Path) -> Result<PathBuf, Error> {
    let replaced = database.read(|tx| Ok::<_, Error>(epoch::last_state(tx)?)).await?;
    // Next to the database, because the copy may be too large for the folder of temporary files.
    let partial = PartialFile::beside(path)?;
    let source = garage_sqlite::check(backup, &schema())?;
    garage_sqlite::vacuum_into(&source, partial.path())?;
    drop(source);
    let copy = Database::open(partial.path(), schema()).await?;
    let begun = copy.write(move |tx| Ok::<_, Error>(epoch::begin_after(tx, replaced)?)).await;
    copy.close().await;
    begun?;
    let saved_as = with_suffix(path, &format!(".before-restore-{}", Timestamp::now().as_microsecond()));
    let copy = garage_sqlite::check(partial.path(), &schema())?;
    database.replace(copy, &saved_as, |_, _| true).await?;
    Ok(saved_as)
}

/// Creates the file and its folder, readable by their owner only. SQLite gives its log the same permissions. On other systems the user's
/// data folder is private.
#[cfg(unix)]
fn create_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(garage_files::Error::at(folder))?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(garage_files::Error { path: path.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}
