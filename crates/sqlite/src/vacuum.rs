//! `VACUUM INTO`: a compact copy of a database in one file.

use std::path::Path;

use rusqlite::{
    Connection, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{Error, opened::sqlite_path};

/// Copies the database, as it is at one moment, into a new file.
///
/// # Errors
/// [`Error::File`] if SQLite cannot take the path. [`Error::Sqlite`] if the database cannot be read, or the file cannot
/// be written or has content.
pub fn vacuum_into(connection: &Connection, target: &Path) -> Result<(), Error> {
    connection.execute("VACUUM INTO ?1", [PathText(&sqlite_path(target)?)])?;
    Ok(())
}

/// Binds a path as text. SQLite does not check that text is UTF-8, so that any path of Unix arrives as it is.
struct PathText<'a>(&'a Path);

impl ToSql for PathText<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.as_os_str().as_encoded_bytes())))
    }
}
