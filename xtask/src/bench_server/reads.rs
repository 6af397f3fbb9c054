//! Requests a second of reads, compared with a bare axum handler that returns the same bytes.

use std::{fs, path::Path, process::Command};

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

    fn headers(&self, headers: Headers) -> Vec<String> {
        let token = format!("Authorization: Bearer {}", self.token);
        match headers {
            Headers::None => Vec::new(),
            Headers::Token => vec![token],
            Headers::TokenAndTag => vec![token, format!("If-None-Match: {}", self.tag)],
        }
    }
}

/// Prints the table. Rounds alternate, and the best of several counts.
pub fn print(programs: &Path, folder: &Path, sqlite: &Garage, postgres: &Garage) -> anyhow::Result<()> {
    let list = folder.join("list.json");
    fs::write(&list, &sqlite.list)?;
    let mut bare = Command::new(programs.join("bare-server"));
    bare.arg(&list);
    let bare = Server::start(bare)?;
    println!("| requests a second | connections | bare axum | SQLite | PostgreSQL | goal |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (what, path, goal, headers) in [
        ("list of 20 vehicles", "/api/vehicles", 30, Headers::Token),
        ("the same, 304", "/api/vehicles", 40, Headers::TokenAndTag),
        ("`/api/vehicles/health`", "/api/vehicles/health", 70, Headers::None),
    ] {
        for connections in CONNECTIONS {
            let mut best = [0.0_f64; 3];
            for _ in 0..ROUNDS {
                let measured = [
                    rate(&bare.url, path, connections, &[])?,
                    rate(&sqlite.server.url, path, connections, &sqlite.headers(headers))?,
                    rate(&postgres.server.url, path, connections, &postgres.headers(headers))?,
                ];
                best.iter_mut().zip(measured).for_each(|(best, measured)| *best = best.max(measured));
            }
            let [bare, sqlite, postgres] = best;
            let share = |measured: f64| format!("{measured:.0} ({:.0} %)", 100.0 * measured / bare);
            println!("| {what} | {connections} | {bare:.0} | {} | {} | ≥ {goal} % |", share(sqlite), share(postgres));
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
