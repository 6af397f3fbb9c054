//! Sync: devices, each the core with a session, and `garage-server` on SQLite and on PostgreSQL.
//!
//! - `server`: server processes, and their databases; `device`: devices, and their vehicles
//! - `pull`, `push`, `idle`, `latency`, `memory`, `checks`: the rows of the table
//! - `transfer`, `insert`: the baseline of a pull; `commit`: that of a push
//! - `timed`: where a device spends the time of a pass; `proxy`: counts what is sent

mod checks;
mod commit;
mod device;
mod idle;
mod insert;
mod latency;
pub mod memory;
mod proxy;
mod pull;
mod push;
mod server;
mod timed;
mod transfer;

use std::{path::PathBuf, str::FromStr};

use anyhow::{bail, ensure};

use self::{
    device::Device,
    server::{Database, Server},
};

/// The vehicles of a pull and of a push.
const VEHICLES: usize = 10_000;

/// A row, or several that belong together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Pull,
    Push,
    Idle,
    Latency,
    Memory,
    Checks,
}

impl FromStr for Row {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Row> {
        Ok(match name {
            "pull" => Row::Pull,
            "push" => Row::Push,
            "idle" => Row::Idle,
            "latency" => Row::Latency,
            "memory" => Row::Memory,
            "checks" => Row::Checks,
            _ => bail!("there is no row {name}"),
        })
    }
}

/// A server, and a device that has all vehicles and is synced.
pub struct Side {
    /// The server's database, in the table.
    name: &'static str,
    server: Server,
    first: Device,
    folder: PathBuf,
}

impl Side {
    async fn start(name: &'static str, database: Database, folder: PathBuf) -> anyhow::Result<Side> {
        std::fs::create_dir_all(&folder)?;
        let server = Server::start(&folder, database)?;
        let mut first = Device::sign_up(&folder.join("first"), &server.url, "all").await?;
        first.import(VEHICLES).await?;
        let exchanged = first.pass().await?;
        ensure!(exchanged.sent == VEHICLES, "{} vehicles were sent", exchanged.sent);
        // Importing them has started the daily backup, which must not run beside what is measured.
        first.reopen().await?;
        Ok(Side { name, server, first, folder })
    }
}

/// Prints the table, or one of its rows. `postgres` is the URL of a cluster in which databases can be created.
pub async fn run(postgres: &str, only: Option<Row>) -> anyhow::Result<()> {
    let is_measured = |row: Row| only.is_none_or(|only| only == row);
    let folder = tempfile::tempdir_in(".")?;
    let path = |name: &str| folder.path().join(name);
    let mut sides = [
        Side::start("SQLite", Database::Sqlite(path("sqlite/server.db")), path("sqlite")).await?,
        Side::start("PostgreSQL", Database::create_on_postgres(postgres, "garage").await?, path("postgres")).await?,
    ];
    println!("| what | measured | target | |\n| --- | --- | --- | --- |");
    for side in sides.iter().filter(|_| is_measured(Row::Pull)) {
        pull::print(side).await?;
    }
    for side in sides.iter_mut().filter(|_| is_measured(Row::Push)) {
        push::print(side).await?;
    }
    for side in sides.iter().filter(|_| is_measured(Row::Idle)) {
        idle::print(side).await?;
    }
    for side in sides.iter().filter(|_| is_measured(Row::Latency)) {
        latency::print(side).await?;
    }
    for side in sides.iter_mut().filter(|_| is_measured(Row::Memory)) {
        memory::print(side).await?;
    }
    if is_measured(Row::Checks) {
        checks::print(&sides[0]).await?;
    }
    for side in sides {
        side.first.close().await;
    }
    Ok(())
}
