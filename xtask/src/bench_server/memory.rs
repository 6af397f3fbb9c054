//! Private memory of the server: idle, with many connections, with wrong passwords, and with clients that do not read; and
//! how long other requests take while passwords are verified.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{
    load::{Report, Server, garage_server, register, wrk_command},
    reads::Garage,
};
use crate::shell;

const WRONG_PASSWORDS: u64 = 10_000;
/// More than can wait for a hash: the rest is refused, so that 10 000 are soon tried.
const MANY_CLIENTS: u32 = 100;
/// As many as can wait for a hash. With more, refusing them would keep the machine and the load's own core busy.
const WAITING_CLIENTS: u32 = 64;
const VEHICLES: usize = 10_000;
const SLOW_READERS: usize = 20;

/// Prints the tables.
pub fn print(root: &Path, programs: &Path, folder: &Path, postgres: &str) -> anyhow::Result<()> {
    let at = |name: &str| format!("sqlite:{}", folder.join(name).display());
    let start = |name: &str, database: &str| Garage::start(programs, &folder.join(name), database);
    let mut rows: Vec<(&str, u64, Vec<u64>)> = vec![
        ("idle", 8, Vec::new()),
        ("50 connections", 20, Vec::new()),
        ("2 000 connections", 40, Vec::new()),
        ("10 000 wrong passwords", 80, Vec::new()),
    ];
    for (name, database) in [("memory-sqlite", at("memory.db")), ("memory-postgres", postgres.to_owned())] {
        let garage = start(name, &database)?;
        rows[0].2.push(idle(programs, &folder.join(name), &database)?);
        rows[1].2.push(garage.server.peak_private_kb(garage.list_load(50, 3))?.0);
        rows[2].2.push(garage.server.peak_private_kb(garage.list_load(2_000, 5))?.0);
        drop(garage);
        let server = Server::start(garage_server(programs, &folder.join(name), &database)?)?;
        let (peak, report) = server.peak_private_kb(wrong_passwords(root, &server.url, MANY_CLIENTS, 20))?;
        let refused = Report::parse(&report)?.requests;
        ensure!(refused >= WRONG_PASSWORDS, "only {refused} passwords were tried");
        rows[3].2.push(peak);
    }
    println!("\n| private memory, at most | SQLite | PostgreSQL | goal |\n| --- | --- | --- | --- |");
    let mb = |kb: u64| format!("{:.1} MB", kb as f64 / 1024.0);
    for (what, goal, measured) in rows {
        println!("| {what} | {} | {} | ≤ {goal} MB |", mb(measured[0]), mb(measured[1]));
    }
    let slow = slow_readers(programs, &folder.join("slow"), &at("slow.db"))?;
    println!("| {SLOW_READERS} clients that do not read a list of 10 000 vehicles | {} | | |", mb(slow));
    latency(root, programs, folder, &at("latency.db"))
}

/// After the start of a server, without a request.
fn idle(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<u64> {
    let server = Server::start(garage_server(programs, folder, database)?)?;
    thread::sleep(Duration::from_secs(1));
    server.private_kb()
}

/// wrk, which logs in with wrong passwords.
fn wrong_passwords(root: &Path, url: &str, connections: u32, seconds: u32) -> Command {
    let mut wrk = wrk_command(&format!("{url}/api/auth/login"), connections, seconds);
    wrk.arg("--script").arg(root.join("bench/server/wrong_passwords.lua"));
    wrk
}

/// Clients that ask for a large list and read nothing.
fn slow_readers(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<u64> {
    let server = Server::start(garage_server(programs, folder, database)?)?;
    let token = register(&server.url, "slow")?;
    let mut requests = String::new();
    for number in 0..VEHICLES {
        let separator = if number == 0 { "" } else { "next\n" };
        let body = format!(r#"{{\"nickname\":\"Vehicle {number}\",\"color\":\"Red\",\"notes\":\"Bought from Ada\"}}"#);
        writeln!(
            requests,
            "{separator}url = \"{}/api/vehicles\"\nfail\nsilent\nshow-error\noutput = \"/dev/null\"\n\
             header = \"Content-Type: application/json\"\nheader = \"Authorization: Bearer {token}\"\ndata = \"{body}\"",
            server.url
        )?;
    }
    let config = folder.join("vehicles");
    fs::write(&config, requests)?;
    let mut curl = Command::new("curl");
    curl.args(["--parallel", "--parallel-max", "32", "--config"]).arg(&config);
    shell::output(curl)?;
    let address = server.url.strip_prefix("http://").context("no address")?;
    let request = format!("GET /api/vehicles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut connections = Vec::new();
    let mut peak = 0;
    for _ in 0..SLOW_READERS {
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(request.as_bytes())?;
        connections.push(connection);
    }
    for _ in 0..150 {
        peak = peak.max(server.private_kb()?);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(peak)
}

/// The latency of reads, alone and while passwords are verified. The server may use both cores here, as on any machine.
fn latency(root: &Path, programs: &Path, folder: &Path, database: &str) -> anyhow::Result<()> {
    let garage = Garage::start_on("0,1", programs, &folder.join("latency"), database)?;
    let read =
        || -> anyhow::Result<f64> { Ok(Report::parse(&shell::output(garage.list_load(4, 5))?)?.p99_microseconds) };
    let mut best = [f64::MAX; 2];
    let mut hashes = 0.0_f64;
    for _ in 0..3 {
        best[0] = best[0].min(read()?);
        let mut load = wrong_passwords(root, &garage.server.url, WAITING_CLIENTS, 7);
        let load = load.stdout(Stdio::piped()).spawn()?;
        thread::sleep(Duration::from_secs(1));
        let measured = read();
        let load = load.wait_with_output()?;
        ensure!(load.status.success(), "the load of wrong passwords failed");
        hashes = hashes.max(Report::parse(&String::from_utf8(load.stdout)?)?.requests_per_second);
        best[1] = best[1].min(measured?);
    }
    let [alone, meanwhile] = best.map(|microseconds| microseconds / 1e3);
    println!(
        "\n| p99 of the list, 4 connections | alone | while wrong passwords come | goal |\n| --- | --- | --- | --- |"
    );
    println!("| SQLite | {alone:.2} ms | {meanwhile:.2} ms ({:.1} ×) | ≤ 1.5 × |", meanwhile / alone);
    println!("Meanwhile {hashes:.0} passwords a second were refused.");
    Ok(())
}
