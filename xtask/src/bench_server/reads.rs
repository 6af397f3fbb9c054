//! Requests a second of reads, compared with a bare axum handler that returns the same bytes.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, ensure};

use super::load::{Report, SERVER_CORE, Server, curl, garage_server, post, register, wrk_command};
use crate::shell;

const ROUNDS: usize = 3;
const SECONDS: u32 = 2;
const CONNECTIONS: [u32; 3] = [10, 50, 100];
const VEHICLES: usize = 20;

#[derive(Clone, Copy)]
enum Headers {
    None,
    Token,
    TokenAndTag,
}

/// A server with a user that has vehicles.
pub struct Garage {
    pub server: Server,
    token: String,
    tag: String,
    list: String,
}

impl Garage {
    pub fn start(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<Garage> {
        Garage::start_on(SERVER_CORE, programs, folder, database)
    }

    pub fn start_on(cores: &str, programs: &Path, folder: &Path, database: &str) -> anyhow::Result<Garage> {
        let server = Server::start_on(cores, garage_server(programs, folder, database)?)?;
        let token = register(&server.url, "reads")?;
        for number in 0..VEHICLES {
            let vehicle = format!(
                r#"{{"nickname":"Vehicle {number}","vin":"1HGCM82633A{number:06}","licensePlate":"BE {number}",
                "color":"Red","odometerReading":{number}}}"#
            );
            post(&server.url, "/api/vehicles", &token, &vehicle)?;
        }
        let list = shell::output(curl(&server.url, "/api/vehicles", &token))?;
        let mut head = curl(&server.url, "/api/vehicles", &token);
        head.args(["--output", "/dev/null", "--dump-header", "-"]);
        let head = shell::output(head)?;
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no ETag")?.trim().to_owned();
        Ok(Garage { server, token, tag, list })
    }

    /// wrk, which reads the list.
    pub fn list_load(&self, connections: u32, seconds: u32) -> Command {
        let mut wrk = wrk_command(&format!("{}/api/vehicles", self.server.url), connections, seconds);
        wrk.args(["--header", &format!("Authorization: Bearer {}", self.token)]);
        wrk
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The list in JSON.
    pub fn list(&self) -> &str {
        &self.list
    }

    fn headers(&self, headers: Headers) -> Vec<String> {
        let token = format!("Authorization: Bearer {}", self.token);
        match headers {
            Headers::None => Vec::new(),
            Headers::Token => vec![token],
            Headers::TokenAndTag => vec![token, format!("If-None-Match: {}", self.tag)],
        }
    }
}

/// A baseline: a handler that returns these bytes.
pub fn start_bare(programs: &Path, folder: &Path, name: &str, bytes: &str) -> anyhow::Result<Server> {
    let file = folder.join(name);
    fs::write(&file, bytes)?;
    let mut bare = Command::new(programs.join("bare-server"));
    bare.arg(file);
    Server::start(bare)
}

/// What is measured: a request, and the baseline with the same bytes.
struct Row {
    what: &'static str,
    path: &'static str,
    goal: u32,
    headers: Headers,
    bare: &'static str,
}

const ROWS: [Row; 3] = [
    Row { what: "list of 20 vehicles", path: "/api/vehicles", goal: 30, headers: Headers::Token, bare: "list" },
    Row { what: "the same, 304", path: "/api/vehicles", goal: 40, headers: Headers::TokenAndTag, bare: "list" },
    Row {
        what: "`/api/vehicles/health`",
        path: "/api/vehicles/health",
        goal: 70,
        headers: Headers::None,
        bare: "health",
    },
];

/// Prints the table. Rounds alternate, and the best of several counts; rows with the same baseline share its best.
pub fn print(programs: &Path, folder: &Path, sqlite: &Garage, postgres: &Garage) -> anyhow::Result<()> {
    let health = shell::output(curl(&sqlite.server.url, "/api/vehicles/health", ""))?;
    let bares = [("list", sqlite.list.as_str()), ("health", &health)];
    let bares = bares.map(|(name, bytes)| Ok((name, start_bare(programs, folder, name, bytes)?)));
    let bares = bares.into_iter().collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let mut best: BTreeMap<(&str, &str, u32), f64> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for connections in CONNECTIONS {
            for row in &ROWS {
                let measured = [
                    ("bare", row.bare, rate(&bares[row.bare].url, row.path, connections, &[])?),
                    (
                        "SQLite",
                        row.what,
                        rate(&sqlite.server.url, row.path, connections, &sqlite.headers(row.headers))?,
                    ),
                    (
                        "PostgreSQL",
                        row.what,
                        rate(&postgres.server.url, row.path, connections, &postgres.headers(row.headers))?,
                    ),
                ];
                for (server, what, rate) in measured {
                    let best = best.entry((server, what, connections)).or_default();
                    *best = best.max(rate);
                }
            }
        }
    }
    println!("| requests a second | connections | bare axum | SQLite | PostgreSQL | goal |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Row { what, goal, bare, .. } in &ROWS {
        for connections in CONNECTIONS {
            let bare = best[&("bare", *bare, connections)];
            let share = |server: &'static str| {
                let measured = best[&(server, *what, connections)];
                format!("{measured:.0} ({:.0} %)", 100.0 * measured / bare)
            };
            let (sqlite, postgres) = (share("SQLite"), share("PostgreSQL"));
            println!("| {what} | {connections} | {bare:.0} | {sqlite} | {postgres} | ≥ {goal} % |");
        }
    }
    Ok(())
}

fn rate(url: &str, path: &str, connections: u32, headers: &[String]) -> anyhow::Result<f64> {
    let mut wrk = wrk_command(&format!("{url}{path}"), connections, SECONDS);
    for header in headers {
        wrk.args(["--header", header]);
    }
    let report = Report::parse(&shell::output(wrk)?)?;
    ensure!(report.failures == 0, "{} requests failed", report.failures);
    Ok(report.requests_per_second)
}
