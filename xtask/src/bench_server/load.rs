//! Servers under load, and the load: curl for single requests, wrk for many.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};

use crate::shell;

pub const SERVER_CORE: &str = "0";
pub const LOAD_CORE: &str = "1";
/// The unit of times in `/proc`, on every architecture that Linux runs this on.
const TICKS_PER_SECOND: u64 = 100;
const PASSWORD: &str = "correct horse battery staple";

/// A server process on its core; dropping it stops it.
pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    /// Starts a server that prints its URL. Its log goes to a pipe that is read.
    pub fn start(command: Command) -> anyhow::Result<Server> {
        Server::start_on(SERVER_CORE, command)
    }

    /// The same, on these cores, such as `0,1`.
    pub fn start_on(cores: &str, command: Command) -> anyhow::Result<Server> {
        let mut pinned = Command::new("taskset");
        pinned.args(["--cpu-list", cores]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            pinned.env(name, value.unwrap_or_default());
        }
        let mut process = pinned.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut log = process.stderr.take().context("no log")?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut url)?;
        if !url.starts_with("http://") {
            let mut reason = String::new();
            log.read_to_string(&mut reason)?;
            bail!("the server did not start: {reason}");
        }
        thread::spawn(move || {
            let mut part = [0; 64 * 1024];
            while log.read(&mut part).is_ok_and(|length| length > 0) {}
        });
        Ok(Server { process, url: url.trim().to_owned() })
    }

    /// A line of the process's status in KiB, such as `RssAnon`.
    pub fn status_kb(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {name}"))?.trim().trim_end_matches(" kB").parse()?)
    }

    /// The processor's time that the process has used.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name in parentheses may contain spaces. Field 3 follows it; fields 14 and 15 are user and system time.
        let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
        let ticks = fields.split(' ').skip(11).take(2).map(|field| Ok(field.parse::<u64>()?));
        let ticks: u64 = ticks.collect::<anyhow::Result<Vec<_>>>()?.iter().sum();
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// The process's private memory. taskset replaces itself by the server, so the id is the server's.
    pub fn private_kb(&self) -> anyhow::Result<u64> {
        let rollup = fs::read_to_string(PathBuf::from(format!("/proc/{}/smaps_rollup", self.process.id())))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).context("no Private_Dirty")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The most private memory while a command runs, and its output.
    pub fn peak_private_kb(&self, command: Command) -> anyhow::Result<(u64, String)> {
        let mut peak = 0;
        let output = while_running(command, || {
            peak = peak.max(self.private_kb()?);
            Ok(())
        })?;
        Ok((peak, output))
    }

    /// The most `RssAnon` and RSS while a command runs.
    pub fn peak_kb(&self, command: Command) -> anyhow::Result<[u64; 2]> {
        let mut peak = [0; 2];
        while_running(command, || {
            peak[0] = peak[0].max(self.status_kb("RssAnon")?);
            peak[1] = peak[1].max(self.status_kb("VmRSS")?);
            Ok(())
        })?;
        Ok(peak)
    }
}

/// Observes something every 20 ms while a command runs. Returns the command's output.
fn while_running(mut command: Command, mut observe: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut running = command.stdout(Stdio::piped()).spawn()?;
    while running.try_wait()?.is_none() {
        observe()?;
        thread::sleep(Duration::from_millis(20));
    }
    let output = running.wait_with_output()?;
    ensure!(output.status.success(), "the load failed");
    Ok(String::from_utf8(output.stdout)?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `garage-server serve` with new keys in this folder, on this database.
pub fn garage_server(programs: &Path, folder: &Path, database: &str) -> anyhow::Result<Command> {
    fs::create_dir_all(folder)?;
    let mut command = Command::new(programs.join("garage-server"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--open-registration"])
        .args(["--rate-limit", "100000000", "--max-connections", "4000"])
        .env("GARAGE_DATABASE", database)
        .env("GARAGE_KEYS", folder.join("keys"));
    Ok(command)
}

/// Sends a body and returns the response's.
pub fn post(url: &str, path: &str, token: &str, body: &str) -> anyhow::Result<String> {
    let mut curl = curl(url, path, token);
    curl.args(["--header", "Content-Type: application/json", "--data", body]);
    shell::output(curl)
}

pub fn curl(url: &str, path: &str, token: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--header", &format!("Authorization: Bearer {token}")]);
    curl.arg(format!("{url}{path}"));
    curl
}

/// Registers a user and returns its access token.
pub fn register(url: &str, name: &str) -> anyhow::Result<String> {
    let credentials = format!(r#"{{"email":"{name}@example.org","password":"{PASSWORD}"}}"#);
    post(url, "/api/auth/register", "", &credentials)?;
    let tokens: serde_json::Value = serde_json::from_str(&post(url, "/api/auth/login", "", &credentials)?)?;
    Ok(tokens["accessToken"].as_str().context("no token")?.to_owned())
}

/// wrk on its core, with one thread.
pub fn wrk_command(url: &str, connections: u32, seconds: u32) -> Command {
    let mut wrk = Command::new("taskset");
    wrk.args(["--cpu-list", LOAD_CORE, "wrk", "--threads", "1", "--latency", "--timeout", "30s"]);
    wrk.args(["--duration", &format!("{seconds}s"), "--connections", &connections.to_string(), url]);
    wrk
}

/// What wrk reports.
pub struct Report {
    pub requests: u64,
    pub requests_per_second: f64,
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
    /// Responses with another status than 2xx or 3xx, and errors of connections.
    pub failures: u64,
}

impl Report {
    pub fn parse(text: &str) -> anyhow::Result<Report> {
        let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
        let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")).context("no requests")?.0;
        let rate = after("Requests/sec:").context("no rate in wrk's report")?;
        let microseconds = |label: &str| -> anyhow::Result<f64> {
            let text = after(label).context("no percentiles in wrk's report")?;
            let (number, factor) = match (text.strip_suffix("us"), text.strip_suffix("ms"), text.strip_suffix('s')) {
                (Some(number), ..) => (number, 1.0),
                (_, Some(number), _) => (number, 1e3),
                (.., Some(number)) => (number, 1e6),
                _ => (text, 1e6),
            };
            Ok(number.trim().parse::<f64>()? * factor)
        };
        // `Socket errors: connect 0, read 0, write 0, timeout 7`
        let socket_errors =
            after("Socket errors:").unwrap_or_default().split(&[' ', ',']).filter_map(|it| it.parse::<u64>().ok());
        let socket_errors: u64 = socket_errors.sum();
        Ok(Report {
            requests: requests.parse()?,
            requests_per_second: rate.parse()?,
            p50_microseconds: microseconds("50%")?,
            p99_microseconds: microseconds("99%")?,
            failures: after("Non-2xx or 3xx responses:").map_or(Ok(0), str::parse::<u64>)? + socket_errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_wrk_is_parsed() {
        let text = "Running 2s test @ http://127.0.0.1:3001/api/vehicles\n  1 threads and 10 connections\n  \
                    Latency Distribution\n     50%  150.00us\n     99%    1.25ms\n  \
                    16384 requests in 2.00s, 99.00MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n\
                    Requests/sec:   8192.50\nTransfer/sec:     49.50MB\n";
        let report = Report::parse(text).expect("a report");
        assert_eq!((report.requests, report.failures), (16_384, 7 + 2 + 1));
        assert_eq!((report.requests_per_second, report.p50_microseconds), (8192.5, 150.0));
        assert_eq!(report.p99_microseconds, 1250.0);
    }
}
