//! `cargo xtask bench server`: compares the server, on SQLite and on PostgreSQL, with a bare axum handler that returns the
//! same bytes.
//!
//! The servers run on one core and wrk on the other. Rounds alternate, and the best of several counts. The log goes to a
//! pipe that is read. Prints a table for `docs/benchmarks.md`.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{cluster::Cluster, run, setup, setup::packages, shell};

const ROUNDS: usize = 3;
const SECONDS: &str = "2s";
const CONNECTIONS: [u32; 3] = [10, 50, 100];
const VEHICLES: usize = 20;
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";
const PASSWORD: &str = "correct horse battery staple";

/// Builds the servers with optimizations, measures them, and prints the table.
pub fn bench(root: &Path) -> anyhow::Result<()> {
    packages::install(&[packages::LOAD])?;
    setup::for_contract(root)?;
    shell::run(shell::cargo(&[
        "build",
        "--profile",
        "bench",
        "--package",
        "garage-server",
        "--package",
        "bare-server",
    ]))?;
    // The profile `server` has the same settings.
    let programs = run::target_folder(root).join("release");
    // On the disk of the target folder, not on a tmpfs.
    let folder = tempfile::tempdir_in(&programs)?;
    let cluster = Cluster::start(root)?;
    let sqlite = format!("sqlite:{}", folder.path().join("server.db").display());
    let sqlite = Garage::start(&programs, &folder.path().join("sqlite"), &sqlite)?;
    let postgres = Garage::start(&programs, &folder.path().join("postgres"), &cluster.url)?;
    let idle_kb = [sqlite.server.private_kb()?, postgres.server.private_kb()?];

    let list = folder.path().join("list.json");
    fs::write(&list, &sqlite.list)?;
    let mut bare = Command::new(programs.join("bare-server"));
    bare.arg(&list);
    let bare = Server::start(bare)?;

    println!("| requests a second | connections | bare axum | SQLite | PostgreSQL | target |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (what, path, target, headers) in [
        ("list of 20 vehicles", "/api/vehicles", 30, Headers::Token),
        ("the same, 304", "/api/vehicles", 40, Headers::TokenAndTag),
        ("`/api/vehicles/health`", "/api/vehicles/health", 70, Headers::None),
    ] {
        for connections in CONNECTIONS {
            let mut best = [0.0_f64; 3];
            for _ in 0..ROUNDS {
                let measured = [
                    wrk(&bare.url, path, connections, &[])?,
                    wrk(&sqlite.server.url, path, connections, &sqlite.headers(headers))?,
                    wrk(&postgres.server.url, path, connections, &postgres.headers(headers))?,
                ];
                best.iter_mut().zip(measured).for_each(|(best, measured)| *best = best.max(measured));
            }
            let [bare, sqlite, postgres] = best;
            let share = |measured: f64| format!("{measured:.0} ({:.0} %)", 100.0 * measured / bare);
            println!("| {what} | {connections} | {bare:.0} | {} | {} | ≥ {target} % |", share(sqlite), share(postgres));
        }
    }
    let after_kb = [sqlite.server.private_kb()?, postgres.server.private_kb()?];
    println!("\n| private memory | SQLite | PostgreSQL | target |\n| --- | --- | --- | --- |");
    let mb = |kb: u64| format!("{:.1} MB", kb as f64 / 1024.0);
    println!("| idle | {} | {} | ≤ 8 MB |", mb(idle_kb[0]), mb(idle_kb[1]));
    println!("| after 100 connections | {} | {} | ≤ 20 MB |", mb(after_kb[0]), mb(after_kb[1]));
    Ok(())
}

#[derive(Clone, Copy)]
enum Headers {
    None,
    Token,
    TokenAndTag,
}

/// A server of ours with a user that has vehicles.
struct Garage {
    server: Server,
    token: String,
    tag: String,
    list: String,
}

impl Garage {
    fn start(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<Garage> {
        fs::create_dir_all(folder)?;
        let mut command = Command::new(programs.join("garage-server"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--open-registration"])
            .env("GARAGE_DATABASE", database)
            .env("GARAGE_KEYS", folder.join("keys"));
        let server = Server::start(command)?;
        let credentials = format!(r#"{{"email":"bench@example.org","password":"{PASSWORD}"}}"#);
        let post = |path: &str, token: &str, body: &str| -> anyhow::Result<String> {
            let mut curl = curl(&server.url, path, token);
            curl.args(["--header", "Content-Type: application/json", "--data", body]);
            shell::output(curl)
        };
        post("/api/auth/register", "", &credentials)?;
        let tokens: serde_json::Value = serde_json::from_str(&post("/api/auth/login", "", &credentials)?)?;
        let token = tokens["accessToken"].as_str().context("no token")?.to_owned();
        for number in 0..VEHICLES {
            let vehicle = format!(
                r#"{{"nickname":"Vehicle {number}","vin":"1HGCM82633A{number:06}","licensePlate":"BE {number}",
                "color":"Red","odometerReading":{number}}}"#
            );
            post("/api/vehicles", &token, &vehicle)?;
        }
        let list = shell::output(curl(&server.url, "/api/vehicles", &token))?;
        let mut head = curl(&server.url, "/api/vehicles", &token);
        head.args(["--output", "/dev/null", "--dump-header", "-"]);
        let head = shell::output(head)?;
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).context("no ETag")?.trim().to_owned();
        Ok(Garage { server, token, tag, list })
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

fn curl(url: &str, path: &str, token: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--header", &format!("Authorization: Bearer {token}")]);
    curl.arg(format!("{url}{path}"));
    curl
}

/// Returns the requests a second.
fn wrk(url: &str, path: &str, connections: u32, headers: &[String]) -> anyhow::Result<f64> {
    let mut wrk = Command::new("taskset");
    wrk.args(["--cpu-list", LOAD_CORE, "wrk", "--threads", "1", "--duration", SECONDS]);
    wrk.args(["--connections", &connections.to_string()]);
    for header in headers {
        wrk.args(["--header", header]);
    }
    let report = shell::output({
        wrk.arg(format!("{url}{path}"));
        wrk
    })?;
    ensure!(!report.contains("Non-2xx"), "wrk got other answers: {report}");
    let rate = report.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("no rate in wrk's report")?.trim().parse()?)
}

/// A server on its core; dropping it stops it.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(command: Command) -> anyhow::Result<Server> {
        let mut pinned = Command::new("taskset");
        pinned.args(["--cpu-list", SERVER_CORE]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            pinned.env(name, value.unwrap_or_default());
        }
        let mut process = pinned.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut log = process.stderr.take().context("no log")?;
        std::thread::spawn(move || {
            let mut part = [0; 64 * 1024];
            while log.read(&mut part).is_ok_and(|length| length > 0) {}
        });
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut url)?;
        ensure!(url.starts_with("http://"), "the server did not start");
        Ok(Server { process, url: url.trim().to_owned() })
    }

    /// The process's private memory. taskset replaces itself by the server, so the id is the server's.
    fn private_kb(&self) -> anyhow::Result<u64> {
        let rollup = fs::read_to_string(PathBuf::from(format!("/proc/{}/smaps_rollup", self.process.id())))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).context("no Private_Dirty")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
