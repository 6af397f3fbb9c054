//! The garage's SQLite file: its schema, and one module of functions per table.

use std::path::Path;

use garage_sqlite::{Database, Error};

pub(crate) mod vehicles;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// Opens the garage's file and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    Database::open(path, migrations::migrations::runner()).await
}
