//! SQLite: the schema, and opening the file.

use std::path::{Path, PathBuf};

use garage_files::{Existing, PartialFile, with_suffix};
use garage_sqlite::{Database, Error, Schema};
use jiff::Timestamp;

use super::epoch;

mod migrations {
    refinery::embed_migrations!("../migrations/server-sqlite");
}

/// "MVSv", by which a file is known to be a server's.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVSv");

/// Opens the database, making it where it is missing, and brings its schema up to date.
///
/// # Errors
/// The file cannot be used, is another program's, or was written by a newer version.
pub async fn open(path: &Path) -> Result<Database, Error> {
    #[cfg(unix)]
    keep_private(path)?;
    Database::open(path, schema()).await
}

fn schema() -> Schema {
    Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "created_with"),
        prepare: |_| Ok(()),
        // The operator backs up.
        backup_before_upgrade: None,
        missing_parts: None,
    }
}

/// Copies the database into a new file, while servers may be using it.
///
/// # Errors
/// The file exists or cannot be written, or the database cannot be read.
pub async fn back_up(database: &Database, file: &Path) -> Result<(), Error> {
    database.back_up(file, Existing::Keep, |_, _| true).await
}

/// Replaces the database's content by a backup's, which begins a new epoch. Servers that are using the database continue
/// with it. Returns the file in which the replaced content is saved.
///
/// # Errors
/// The backup is none, is damaged, or was written by a newer version; or a file cannot be written. The database is
/// unchanged.
pub async fn restore(database: &Database, path: &Path, backup: &Path) -> Result<PathBuf, Error> {
    let replaced = database.read(|tx| Ok::<_, Error>(epoch::known(tx)?)).await?;
    // Beside the database: the copy may be too large for the folder of temporary files.
    let partial = PartialFile::beside(path)?;
    let source = garage_sqlite::check(backup, &schema())?;
    garage_sqlite::vacuum_into(&source, partial.path())?;
    drop(source);
    let copy = Database::open(partial.path(), schema()).await?;
    let begun = copy.write(move |tx| Ok::<_, Error>(epoch::begin_after(tx, replaced)?)).await;
    copy.close().await;
    begun?;
    let saved_as = with_suffix(path, &format!(".before-restore-{}", Timestamp::now().as_second()));
    let copy = garage_sqlite::check(partial.path(), &schema())?;
    database.replace(copy, &saved_as, |_, _| true).await?;
    Ok(saved_as)
}

/// A file that is made here is its owner's alone: it holds what everybody has told this server. SQLite gives its log the
/// same permissions. On other systems a user's data folder is the user's alone.
#[cfg(unix)]
fn keep_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    garage_files::make_folder_of(path)?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(garage_files::Error { path: path.to_owned(), source }.into())
        }
        _ => Ok(()),
    }
}
