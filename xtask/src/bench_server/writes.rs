//! Writes a second: on PostgreSQL compared with pgbench, which runs the same statements; on SQLite of many clients compared
//! with those of one. Both databases are durable here.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, ensure};

use super::load::{LOAD_CORE, Report, Server, garage_server, register, wrk_command};
use crate::{cluster::Cluster, shell};

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
pub const USERS: usize = 200;
/// Connections of the clients, on PostgreSQL.
pub const CLIENTS: u32 = 64;
/// The connections of the server to PostgreSQL, and of pgbench.
const POSTGRES_CONNECTIONS: &str = "16";

/// Prints the table. Rounds alternate, and the best of several counts.
pub fn print(root: &Path, programs: &Path, folder: &Path) -> anyhow::Result<()> {
    let cluster = Cluster::start_durable(root)?;
    let postgres = Writers::start(programs, &folder.join("postgres-writes"), &cluster.url, USERS)?;
    let [mut by_server, mut by_pgbench] = [0.0_f64; 2];
    for _ in 0..ROUNDS {
        by_server = by_server.max(postgres.rate(root, CLIENTS)?);
        by_pgbench = by_pgbench.max(pgbench(root, &cluster, folder)?);
    }
    drop(postgres);
    drop(cluster);
    let database = format!("sqlite:{}", folder.join("writes.db").display());
    let sqlite = Writers::start(programs, &folder.join("sqlite-writes"), &database, 32)?;
    let [mut of_one, mut of_many] = [0.0_f64; 2];
    for _ in 0..ROUNDS {
        of_one = of_one.max(sqlite.rate(root, 1)?);
        of_many = of_many.max(sqlite.rate(root, 32)?);
    }
    println!("\n| writes a second | compared with | server | share | goal |");
    println!("| --- | --- | --- | --- | --- |");
    let share = 100.0 * by_server / by_pgbench;
    println!(
        "| {USERS} users, PostgreSQL, {CLIENTS} connections | pgbench: {by_pgbench:.0} | {by_server:.0} | {share:.0} % | ≥ 80 % |"
    );
    let share = of_many / of_one;
    println!("| 32 connections, SQLite | one connection: {of_one:.0} | {of_many:.0} | {share:.1} × | ≥ 5 × |");
    Ok(())
}

/// A server and a file with the tokens of users.
pub struct Writers {
    pub server: Server,
    /// A token in each line.
    pub tokens: std::path::PathBuf,
}

impl Writers {
    pub fn start(programs: &Path, folder: &Path, database: &str, users: usize) -> anyhow::Result<Writers> {
        let server = Server::start(garage_server(programs, folder, database)?)?;
        let tokens = (0..users).map(|number| register(&server.url, &format!("writer-{number}")));
        let file = folder.join("tokens");
        fs::write(&file, tokens.collect::<anyhow::Result<Vec<_>>>()?.join("\n"))?;
        Ok(Writers { server, tokens: file })
    }

    fn rate(&self, root: &Path, connections: u32) -> anyhow::Result<f64> {
        rate(root, &self.server.url, &self.tokens, connections)
    }
}

/// The writes a second of clients with these tokens.
pub fn rate(root: &Path, url: &str, tokens: &Path, connections: u32) -> anyhow::Result<f64> {
    static RUN: AtomicU32 = AtomicU32::new(1);
    let mut wrk = wrk_command(url, connections, SECONDS);
    wrk.arg("--script").arg(root.join("bench/server/writes.lua")).env("TOKENS", tokens);
    wrk.env("RUN", RUN.fetch_add(1, Ordering::Relaxed).to_string());
    let report = Report::parse(&shell::output(wrk)?)?;
    ensure!(report.failures == 0, "{} of {} writes failed", report.failures, report.requests);
    Ok(report.requests_per_second)
}

/// The writes a second of pgbench, in its faster way: with prepared statements, or with two round trips for each
/// transaction. It cannot do both at once. Each run of the script has three writes.
pub fn pgbench(root: &Path, cluster: &Cluster, folder: &Path) -> anyhow::Result<f64> {
    let pipelined = root.join("bench/server/writes.sql");
    let statements = fs::read_to_string(&pipelined)?;
    let prepared = folder.join("writes.sql");
    let without_pipelines = statements.lines().filter(|line| !line.ends_with("pipeline"));
    fs::write(&prepared, without_pipelines.collect::<Vec<_>>().join("\n"))?;
    let mut best = 0.0_f64;
    for (protocol, script) in [("extended", &pipelined), ("prepared", &prepared)] {
        let mut pgbench = Command::new("taskset");
        pgbench.args(["--cpu-list", LOAD_CORE]).arg(cluster.program("pgbench"));
        pgbench.args(["--no-vacuum", "--client", POSTGRES_CONNECTIONS, "--time", &SECONDS.to_string()]);
        pgbench.args(["--protocol", protocol, "--file"]).arg(script).arg(&cluster.url);
        let report = shell::output(pgbench)?;
        let rate = report.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.context("no rate in pgbench's report")?;
        best = best.max(3.0 * rate.split(' ').next().unwrap_or_default().parse::<f64>()?);
    }
    Ok(best)
}
