//! SQLite: the schema, and opening the file.

use std::path::Path;

use garage_sqlite::{Database, Error, Schema};

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
    let schema = Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "created_with"),
        prepare: |_| Ok(()),
        // The operator backs up.
        backup_before_upgrade: None,
    };
    Database::open(path, schema).await
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
