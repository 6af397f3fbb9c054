//! Server processes on loopback, and their databases.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio_postgres::NoTls;

/// How long PostgreSQL may take to notice that the server has closed its connections.
const LONGEST_CLOSE: Duration = Duration::from_secs(10);

/// `garage-server`, which is stopped on drop.
pub struct Server {
    process: Option<Child>,
    pub url: String,
    pub database: Database,
    keys: PathBuf,
}

impl Server {
    pub fn start(folder: &Path, database: Database) -> anyhow::Result<Server> {
        let url = "http://127.0.0.1:0".to_owned();
        let mut server = Server { process: None, url, database, keys: folder.join("keys") };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it at its address.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let program = std::env::current_exe()?.with_file_name("garage-server");
        // Ends with this process, even if that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command.args(["serve", "--open-registration", "--rate-limit", "100000000", "--listen"]);
        command.arg(self.url.trim_start_matches("http://"));
        command.env("GARAGE_DATABASE", self.database.url()).env("GARAGE_KEYS", &self.keys);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut url = String::new();
        let output = process.stdout.take().context("no output")?;
        self.process = Some(process);
        BufReader::new(output).read_line(&mut url)?;
        ensure!(url.starts_with("http://"), "the server did not start: {url}");
        self.url = url.trim().to_owned();
        Ok(())
    }

    /// Stops it: it completes requests and closes its database.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            let stopped = Command::new("kill").args(["-TERM", &process.id().to_string()]).status()?;
            ensure!(stopped.success() && process.wait()?.success(), "the server did not stop");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A server's database.
#[derive(Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres {
        /// The URL of the cluster, without a database.
        cluster: String,
        name: String,
    },
}

impl Database {
    /// Creates a database in the cluster of this URL.
    pub async fn create_on_postgres(url: &str, name: &str) -> anyhow::Result<Database> {
        let (cluster, _) = url.rsplit_once('/').context("a URL with a database")?;
        let database = Database::Postgres { cluster: cluster.to_owned(), name: name.to_owned() };
        administer(cluster, &format!("CREATE DATABASE {name}")).await?;
        Ok(database)
    }

    pub fn url(&self) -> String {
        match self {
            Database::Sqlite(file) => format!("sqlite:{}", file.display()),
            Database::Postgres { cluster, name } => format!("{cluster}/{name}"),
        }
    }

    /// Copies the database under another name. No server may use it.
    pub async fn copy(&self, name: &str) -> anyhow::Result<Database> {
        Ok(match self {
            Database::Sqlite(file) => {
                let copy = file.with_file_name(name);
                std::fs::copy(file, &copy)?;
                Database::Sqlite(copy)
            }
            Database::Postgres { cluster, name: original } => {
                let until = Instant::now() + LONGEST_CLOSE;
                let sql = format!("CREATE DATABASE {name} TEMPLATE {original}");
                while let Err(error) = administer(cluster, &sql).await {
                    ensure!(Instant::now() < until, "{error:#}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Database::Postgres { cluster: cluster.clone(), name: name.to_owned() }
            }
        })
    }

    /// Writes what is only in a log so far, so that it is not done while something is measured.
    pub async fn settle(&self) -> anyhow::Result<()> {
        match self {
            // The log of a server that was stopped is empty.
            Database::Sqlite(_) => Ok(()),
            Database::Postgres { cluster, .. } => administer(cluster, "CHECKPOINT").await,
        }
    }

    pub async fn delete(self) -> anyhow::Result<()> {
        match self {
            Database::Sqlite(file) => Ok(std::fs::remove_file(file)?),
            Database::Postgres { cluster, name } => {
                administer(&cluster, &format!("DROP DATABASE {name} WITH (FORCE)")).await
            }
        }
    }
}

async fn administer(cluster: &str, sql: &str) -> anyhow::Result<()> {
    let client = connect(&format!("{cluster}/postgres")).await?;
    client.batch_execute(sql).await.with_context(|| sql.to_owned())
}

/// A connection to PostgreSQL, which is closed when the client is dropped.
pub async fn connect(url: &str) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
