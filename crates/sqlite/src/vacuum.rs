//! `VACUUM INTO`: a compact copy of a database in one file.

use std::path::Path;

use rusqlite::Connection;

use crate::Error;

/// Copies the database, as it is at one moment, into a new file.
///
/// # Errors
/// [`Error::Sqlite`] if the database cannot be read, the file exists and is not empty, or it cannot be written.
pub fn vacuum_into(connection: &Connection, target: &Path) -> Result<(), Error> {
    connection.execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
    Ok(())
}
