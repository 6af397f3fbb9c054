//! The server's database: a file, or a database of a PostgreSQL cluster.

use std::path::{Path, PathBuf};

use anyhow::Context;
use garage_faulty_disk::Disk;
use garage_server::store::Location;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::disk;

/// Where databases are made, and the one that each history's is a copy of.
pub enum Databases {
    /// Files; the path of the one to copy.
    Files(PathBuf),
    /// A cluster.
    Cluster(Cluster),
}

/// A PostgreSQL cluster for tests.
pub struct Cluster {
    /// The URL without the name of a database.
    url: String,
    administrator: Client,
    /// The name of the database to copy.
    original: String,
}

/// A database of one history.
pub enum Database {
    /// A file, and the disk that faults can happen to.
    File { folder: PathBuf, disk: Disk },
    /// A database of a cluster.
    InCluster { name: String, has_backup: bool },
}

impl Databases {
    /// The databases of a cluster; the original is new and empty. `url` is that of its administrator.
    pub async fn in_cluster(url: &str) -> anyhow::Result<Databases> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let original = name();
        client.batch_execute(&format!("CREATE DATABASE {original}")).await?;
        let (url, _) = url.rsplit_once('/').context("a URL without a database")?;
        Ok(Databases::Cluster(Cluster { url: url.to_owned(), administrator: client, original }))
    }

    /// Where the original is.
    pub fn original(&self) -> anyhow::Result<Location> {
        match self {
            Databases::Files(path) => Ok(Location::Sqlite(path.clone())),
            Databases::Cluster(cluster) => cluster.location(&cluster.original),
        }
    }

    /// A copy of the original, in this folder if it is a file.
    pub async fn copy(&self, folder: &Path, seed: u64) -> anyhow::Result<Database> {
        match self {
            Databases::Files(path) => {
                let disk = Disk::new(folder, seed)?;
                std::fs::copy(path, folder.join(FILE))?;
                Ok(Database::File { folder: folder.to_owned(), disk })
            }
            Databases::Cluster(cluster) => {
                let name = name();
                cluster.copy(&cluster.original, &name).await?;
                Ok(Database::InCluster { name, has_backup: false })
            }
        }
    }

    fn cluster(&self) -> anyhow::Result<&Cluster> {
        match self {
            Databases::Cluster(cluster) => Ok(cluster),
            Databases::Files(_) => anyhow::bail!("there is no cluster"),
        }
    }
}

impl Cluster {
    fn location(&self, name: &str) -> anyhow::Result<Location> {
        Ok(Location::Postgres(Box::new(format!("{}/{name}?sslmode=disable", self.url).parse()?)))
    }

    async fn copy(&self, from: &str, to: &str) -> anyhow::Result<()> {
        // A connection that was closed a moment ago may still be known to the cluster.
        self.disconnect(from).await?;
        Ok(self
            .administrator
            .batch_execute(&format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY file_copy"))
            .await?)
    }

    async fn disconnect(&self, name: &str) -> anyhow::Result<()> {
        let statement = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
        self.administrator.query(statement, &[&name]).await?;
        Ok(())
    }

    async fn drop(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.administrator.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?)
    }
}

impl Database {
    /// Where it is.
    pub fn location(&self, databases: &Databases) -> anyhow::Result<Location> {
        match self {
            Database::File { folder, .. } => Ok(Location::Sqlite(folder.join(FILE))),
            Database::InCluster { name, .. } => databases.cluster()?.location(name),
        }
    }

    /// The disk that faults can happen to.
    pub fn disk(&self) -> Option<&Disk> {
        match self {
            Database::File { disk, .. } => Some(disk),
            Database::InCluster { .. } => None,
        }
    }

    pub fn has_backup(&self) -> bool {
        match self {
            Database::File { folder, .. } => folder.join(BACKUP).exists(),
            Database::InCluster { has_backup, .. } => *has_backup,
        }
    }

    /// Copies the database while no server runs, with its log if a fault has left one.
    pub async fn back_up(&mut self, databases: &Databases) -> anyhow::Result<()> {
        match self {
            Database::File { folder, .. } => {
                std::fs::create_dir_all(folder.join(BACKUP))?;
                copy_file(folder, &folder.join(BACKUP))
            }
            Database::InCluster { name, has_backup } => {
                let (cluster, backup) = (databases.cluster()?, format!("{name}_{BACKUP}"));
                cluster.drop(&backup).await?;
                cluster.copy(name, &backup).await?;
                *has_backup = true;
                Ok(())
            }
        }
    }

    /// Puts the copy back while no server runs.
    pub async fn restore(&self, databases: &Databases) -> anyhow::Result<()> {
        match self {
            Database::File { folder, .. } => copy_file(&folder.join(BACKUP), folder),
            Database::InCluster { name, .. } => {
                let cluster = databases.cluster()?;
                cluster.drop(name).await?;
                cluster.copy(&format!("{name}_{BACKUP}"), name).await
            }
        }
    }

    /// Makes a file usable again after the program was killed, or the power was lost.
    pub async fn revive(&self, is_power_lost: bool) -> anyhow::Result<()> {
        match self {
            Database::File { disk, .. } => disk::revive(disk, is_power_lost).await,
            Database::InCluster { .. } => Ok(()),
        }
    }

    /// Removes what is not in the folder of the history.
    pub async fn remove(self, databases: &Databases) -> anyhow::Result<()> {
        if let Database::InCluster { name, .. } = self {
            let cluster = databases.cluster()?;
            cluster.drop(&format!("{name}_{BACKUP}")).await?;
            cluster.drop(&name).await?;
        }
        Ok(())
    }
}

const FILE: &str = "server.db";
const BACKUP: &str = "backup";

fn name() -> String {
    format!("history_{}", Uuid::now_v7().simple())
}

/// Copies a database to another folder, in place of the one there.
fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in ["server.db", "server.db-wal", "server.db-shm"] {
        let (from, to) = (from.join(name), to.join(name));
        let _ = std::fs::remove_file(&to);
        if from.exists() && !name.ends_with("shm") {
            std::fs::copy(from, to)?;
        }
    }
    Ok(())
}
