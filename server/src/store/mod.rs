//! The server's database, SQLite or PostgreSQL: opening it, migrating its schema, and its errors. Each feature has its
//! statements for both next to its routes.
//!
//! Invariants: an operation is one transaction; a writer locks the user's row in `feeds` until it commits, so versions
//! ascend in the order of commits; only triggers maintain versions, tombstones and digests.

pub(crate) mod epoch;
mod error;
pub mod postgres;
pub mod sqlite;
mod starts;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use garage_sqlite::Database;

pub use error::StoreError;
pub use postgres::Postgres;

/// The location of a database.
#[derive(Clone)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Box<tokio_postgres::Config>),
}

/// How busy a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Open connections of this process.
    pub connections: i64,
    /// Connections that are not in use.
    pub idle: i64,
    /// Requests that wait for a connection, or for other writes.
    pub waiting: i64,
    /// The size of SQLite's write-ahead log, in bytes.
    pub log_bytes: u64,
}

/// An open database. Cloning shares the connections.
#[derive(Clone)]
pub enum Store {
    /// SQLite.
    Sqlite(Database),
    /// PostgreSQL.
    Postgres(Postgres),
}

impl Store {
    /// Opens the database and migrates its schema. Creates a SQLite file if it does not exist, and adopts the tables of the
    /// original.
    ///
    /// # Errors
    /// If the database cannot be used, belongs to another program, or was written by a newer version.
    pub async fn open(location: &Location) -> anyhow::Result<Store> {
        Ok(match location {
            Location::Sqlite(path) => Store::Sqlite(sqlite::open(path).await?),
            Location::Postgres(config) => {
                Store::Postgres(Postgres::open(config).await.with_context(|| location.to_string())?)
            }
        })
    }

    /// Checks that the database can be read and written.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Store::Sqlite(database) => Ok(database.ping().await?),
            Store::Postgres(database) => database.ping().await,
        }
    }

    /// The user's feed version: the version of the last change, 0 before the first. It identifies the state of all records.
    pub(crate) async fn feed_version(&self, user: &str) -> Result<i64, StoreError> {
        match self {
            Store::Sqlite(database) => sqlite::feed_version(database, user).await,
            Store::Postgres(database) => database.feed_version(user).await,
        }
    }

    /// Copies the database into a new file.
    ///
    /// # Errors
    /// If the database is PostgreSQL or cannot be read, or the file exists or cannot be written.
    pub async fn back_up(self, file: &Path) -> anyhow::Result<()> {
        match &self {
            Store::Sqlite(database) => sqlite::back_up(database, file).await?,
            Store::Postgres(_) => bail!("use pg_dump to back up PostgreSQL"),
        }
        self.close().await;
        Ok(())
    }

    /// Replaces the database's content with a backup. Returns the file with the replaced content.
    ///
    /// # Errors
    /// If the database is PostgreSQL, the backup cannot be used, or a file cannot be written.
    pub async fn restore(self, location: &Location, backup: &Path) -> anyhow::Result<PathBuf> {
        let (Store::Sqlite(database), Location::Sqlite(path)) = (&self, location) else {
            bail!("use pg_restore to restore PostgreSQL; a server begins a new epoch at its next start")
        };
        let saved_as = sqlite::restore(database, path, backup).await?;
        self.close().await;
        Ok(saved_as)
    }

    /// How busy the database is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        match self {
            Store::Sqlite(database) => {
                let garage_sqlite::Usage { readers, idle_readers, waiting_writes, log_bytes } = database.usage();
                // One more connection, which writes.
                let idle = idle_readers + usize::from(waiting_writes == 0);
                Usage {
                    connections: number(readers + 1),
                    idle: number(idle),
                    waiting: number(waiting_writes),
                    log_bytes,
                }
            }
            Store::Postgres(database) => {
                let (connections, idle, waiting) = database.usage();
                Usage { connections: number(connections), idle: number(idle), waiting: number(waiting), log_bytes: 0 }
            }
        }
    }

    /// Closes all connections.
    pub async fn close(self) {
        match self {
            Store::Sqlite(database) => database.close().await,
            Store::Postgres(database) => database.close(),
        }
    }
}

/// For messages, without a password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => path.display().fmt(f),
            Location::Postgres(config) => {
                let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
                    tokio_postgres::config::Host::Tcp(name) => name.clone(),
                    #[cfg(unix)]
                    tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
                });
                write!(f, "PostgreSQL database {} on {host}", config.get_dbname().unwrap_or_default())
            }
        }
    }
}
