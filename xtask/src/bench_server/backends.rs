//! The three backends side by side, on one PostgreSQL. Each is pinned to one core; the load and PostgreSQL use the other.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::ensure;

use super::{
    load::{LOAD_CORE, Report, Server, curl, garage_server, wrk_command},
    reads::{Garage, start_bare},
    writes::{self, CLIENTS, USERS, Writers},
};
use crate::{cluster::Cluster, contract::Backend, shell};

const ROUNDS: usize = 3;
const SECONDS: u32 = 2;
const CONNECTIONS: [u32; 3] = [10, 50, 100];
/// Whose latency and processor time are reported.
const USUAL_CONNECTIONS: u32 = 50;
/// The peers' rule: a list is remembered this long.
const LIST_CACHE: &str = "300s";

/// What is requested of every backend.
const ROWS: [(&str, &str, &str); 3] = [
    ("list of 20 vehicles, always fresh", "/api/vehicles", "off"),
    ("the same, remembered for 300 s", "/api/vehicles", LIST_CACHE),
    ("`/api/vehicles/health`", "/api/vehicles/health", "off"),
];

/// What is measured of a backend, in one row.
#[derive(Clone, Copy, Default)]
struct Best {
    rate: f64,
    p50: f64,
    p99: f64,
    cpu_per_request: Duration,
}

/// Prints the tables, of all backends or of this one beside the baseline.
pub fn print(root: &Path, programs: &Path, folder: &Path, only: Option<Backend>) -> anyhow::Result<()> {
    let cluster = Cluster::start(root)?;
    cluster.pin(LOAD_CORE)?;
    let data = Data::new(programs, &folder.join("backends"), &cluster.new_database("backends")?)?;
    let sqlite = format!("sqlite:{}", folder.join("backends.db").display());
    let sqlite = Data::new(programs, &folder.join("backends-sqlite"), &sqlite)?;
    let mut columns: Vec<(&str, Backend, &Data)> = vec![
        ("axum", Backend::Axum, &data),
        ("axum, SQLite", Backend::Axum, &sqlite),
        ("fastify", Backend::Fastify, &data),
        ("express", Backend::Express, &data),
    ];
    columns.retain(|(_, backend, _)| only.is_none_or(|only| only == *backend));
    let mut best: BTreeMap<(usize, u32, &str), Best> = BTreeMap::new();
    let mut memory: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    for (row, (_, path, list_cache)) in ROWS.into_iter().enumerate() {
        let baseline = if path.ends_with("health") { &data.health } else { &data.list };
        let bare = start_bare(programs, folder, "baseline", baseline)?;
        let mut servers = vec![("bare axum", bare, String::new())];
        for (name, backend, data) in &columns {
            let server = data.start(root, programs, *backend, list_cache)?;
            if row == 0 {
                thread::sleep(Duration::from_secs(1));
                memory.entry(name).or_default()[..2]
                    .copy_from_slice(&[server.status_kb("RssAnon")?, server.status_kb("VmRSS")?]);
            }
            data.check(&server)?;
            servers.push((name, server, data.token.clone()));
        }
        for _ in 0..ROUNDS {
            for connections in CONNECTIONS {
                for (name, server, token) in &servers {
                    let of = best.entry((row, connections, name)).or_default();
                    of.take_better(measure(server, path, token, connections)?);
                }
            }
        }
        for (name, server, token) in servers.iter().skip(1) {
            let under_load = server.peak_kb(load(server, path, token, USUAL_CONNECTIONS))?;
            let memory = memory.entry(name).or_default();
            memory[2] = memory[2].max(under_load[0]);
            memory[3] = memory[3].max(under_load[1]);
        }
    }
    let names: Vec<&str> = ["bare axum"].into_iter().chain(columns.iter().map(|(name, ..)| *name)).collect();
    println!(
        "\n| requests a second | connections | {} |\n| --- | --- |{}",
        names.join(" | "),
        " --- |".repeat(names.len())
    );
    for (row, (what, ..)) in ROWS.iter().enumerate() {
        for connections in CONNECTIONS {
            let rate = |name: &&str| best[&(row, connections, *name)].rate;
            let axum = rate(&names[1]);
            let cells = names.iter().map(|name| format!("{:.0} ({:.1} ×)", rate(name), axum / rate(name)));
            println!("| {what} | {connections} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    println!("In parentheses: the first backend's rate divided by this one. All log only errors.");
    println!("\n| list, always fresh, {USUAL_CONNECTIONS} connections | p50 | p99 | CPU of 1 000 requests |");
    println!("| --- | --- | --- | --- |");
    for name in &names {
        let Best { p50, p99, cpu_per_request, .. } = best[&(0, USUAL_CONNECTIONS, *name)];
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.0} ms |",
            p50 / 1e3,
            p99 / 1e3,
            1e6 * cpu_per_request.as_secs_f64()
        );
    }
    println!("\n| memory | idle, RssAnon | idle, RSS | under load, RssAnon | under load, RSS |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, kb) in memory {
        let cells = kb.map(|kb| format!("{:.1} MB", kb as f64 / 1024.0));
        println!("| {name} | {} |", cells.join(" | "));
    }
    drop((data, sqlite, cluster));
    print_writes(root, programs, folder, only)
}

/// Creates, updates and removals of many users, on a durable database.
fn print_writes(root: &Path, programs: &Path, folder: &Path, only: Option<Backend>) -> anyhow::Result<()> {
    let cluster = Cluster::start_durable(root)?;
    cluster.pin(LOAD_CORE)?;
    let folder = folder.join("backends-writes");
    let writers = Writers::start(programs, &folder, &cluster.url, USERS)?;
    let tokens = writers.tokens.clone();
    let jwks = save_jwks(&folder, &writers.server.url)?;
    drop(writers);
    let mut servers = Vec::new();
    for backend in [Backend::Axum, Backend::Fastify, Backend::Express] {
        if only.is_none_or(|only| only == backend) {
            let command = command(root, programs, backend, &folder, &cluster.url, &jwks, "off")?;
            servers.push((backend.name(), Server::start(command)?));
        }
    }
    let mut best = vec![0.0_f64; servers.len() + 1];
    for _ in 0..ROUNDS {
        for (best, (_, server)) in best.iter_mut().zip(&servers) {
            *best = best.max(writes::rate(root, &server.url, &tokens, CLIENTS)?);
        }
        best[servers.len()] = best[servers.len()].max(writes::pgbench(root, &cluster, &folder)?);
    }
    let names = servers.iter().map(|(name, _)| name.as_str()).chain(["pgbench"]);
    let cells = names.zip(&best).map(|(name, rate)| format!("{name} {rate:.0} ({:.1} ×)", best[0] / rate));
    println!("\nWrites a second, {USERS} users, {CLIENTS} connections: {}", cells.collect::<Vec<_>>().join(", "));
    Ok(())
}

/// A database with a user that has 20 vehicles, and what backends need to serve it.
struct Data {
    database: String,
    folder: PathBuf,
    token: String,
    list: String,
    health: String,
    jwks: PathBuf,
}

impl Data {
    fn new(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<Data> {
        let garage = Garage::start(programs, folder, database)?;
        Ok(Data {
            database: database.to_owned(),
            folder: folder.to_owned(),
            token: garage.token().to_owned(),
            list: garage.list().to_owned(),
            health: shell::output(curl(&garage.server.url, "/api/vehicles/health", ""))?,
            jwks: save_jwks(folder, &garage.server.url)?,
        })
    }

    /// Checks that the server sends this list.
    fn check(&self, server: &Server) -> anyhow::Result<()> {
        let list = shell::output(curl(&server.url, "/api/vehicles", &self.token))?;
        let parsed = |json: &str| serde_json::from_str::<serde_json::Value>(json);
        ensure!(parsed(&list)? == parsed(&self.list)?, "{} sends another list", server.url);
        Ok(())
    }

    fn start(&self, root: &Path, programs: &Path, backend: Backend, list_cache: &str) -> anyhow::Result<Server> {
        let command = command(root, programs, backend, &self.folder, &self.database, &self.jwks, list_cache)?;
        Server::start(command)
    }
}

/// Saves a server's public keys, with which the other backends verify its tokens.
fn save_jwks(folder: &Path, url: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join("jwks.json");
    fs::write(&file, shell::output(curl(url, "/.well-known/jwks.json", ""))?)?;
    Ok(file)
}

fn command(
    root: &Path,
    programs: &Path,
    backend: Backend,
    folder: &Path,
    database: &str,
    jwks: &Path,
    list_cache: &str,
) -> anyhow::Result<Command> {
    let mut command = if backend == Backend::Axum {
        let mut server = garage_server(programs, folder, database)?;
        // As the backends on Node, which log only errors.
        server.env("GARAGE_LOG", "error");
        server
    } else {
        let mut node = Command::new("node");
        node.arg(root.join("peers").join(backend.name()).join("server.js"));
        node.env("NODE_ENV", "production").env("GARAGE_DATABASE", database);
        node.env("GARAGE_JWKS", jwks).env("GARAGE_LISTEN", "127.0.0.1:0");
        node
    };
    command.env("GARAGE_LIST_CACHE", list_cache);
    Ok(command)
}

fn load(server: &Server, path: &str, token: &str, connections: u32) -> Command {
    let mut wrk = wrk_command(&format!("{}{path}", server.url), connections, SECONDS);
    if !token.is_empty() {
        wrk.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    wrk
}

fn measure(server: &Server, path: &str, token: &str, connections: u32) -> anyhow::Result<Best> {
    let before = server.cpu_time()?;
    let report = Report::parse(&shell::output(load(server, path, token, connections))?)?;
    ensure!(report.failures == 0, "{} requests failed", report.failures);
    let cpu_per_request = (server.cpu_time()? - before).div_f64(report.requests as f64);
    Ok(Best {
        rate: report.requests_per_second,
        p50: report.p50_microseconds,
        p99: report.p99_microseconds,
        cpu_per_request,
    })
}

impl Best {
    /// Takes the round with the higher rate.
    fn take_better(&mut self, other: Best) {
        if other.rate > self.rate {
            *self = other;
        }
    }
}
