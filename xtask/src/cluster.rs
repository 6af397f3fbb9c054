//! A temporary PostgreSQL cluster for tests, in the target folder and on a free loopback port.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::{run, setup::packages, shell};

const LONGEST_START: Duration = Duration::from_secs(300);
/// The user created by Debian's package. PostgreSQL refuses to run as root.
const SYSTEM_USER: &str = "postgres";

/// A running cluster; dropping it stops it. If this process is killed, the system stops it too.
pub struct Cluster {
    process: Child,
    folder: PathBuf,
    programs: PathBuf,
    /// The URL with the administrator's credentials.
    pub url: String,
    pub certificate: PathBuf,
}

impl Cluster {
    /// A cluster for tests, which do not need durability.
    pub fn start(root: &Path) -> anyhow::Result<Cluster> {
        let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
        // Some tests cause deadlocks deliberately; a short timeout keeps them fast.
        Cluster::start_with(root, &[&fast[..], &["deadlock_timeout=20ms"]].concat())
    }

    /// A cluster with PostgreSQL's own settings.
    pub fn start_durable(root: &Path) -> anyhow::Result<Cluster> {
        Cluster::start_with(root, &[])
    }

    fn start_with(root: &Path, settings: &[&str]) -> anyhow::Result<Cluster> {
        packages::install(&[packages::POSTGRES])?;
        let programs = programs()?;
        let mut id = Command::new("id");
        id.arg("--user");
        let is_root = shell::output(id)? == "0";
        let folder = folder(root, is_root)?;
        let data = folder.join("data");
        let mut initdb = unprivileged(&programs.join("initdb"), is_root);
        initdb.args(["--username=garage", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        initdb.arg("--pgdata").arg(&data).current_dir(&folder);
        shell::output(initdb)?;
        let certificate = data.join("server.crt");
        let mut openssl = unprivileged(Path::new("openssl"), is_root);
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(data.join("server.key"));
        openssl.arg("-out").arg(&certificate).current_dir(&folder);
        shell::output(openssl)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut postgres = unprivileged(&programs.join("postgres"), is_root);
        postgres.arg("-D").arg(&data).current_dir(&folder);
        let common = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "ssl=on", "max_connections=300"];
        for setting in common.iter().chain(settings) {
            postgres.args(["-c", setting]);
        }
        postgres.args(["-c", &format!("port={port}")]);
        let log = fs::File::create(folder.join("log"))?;
        let process = postgres.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let url = format!("postgres://garage@127.0.0.1:{port}/postgres");
        let mut cluster = Cluster { process, folder, programs, url, certificate };
        cluster.wait_for(port)?;
        Ok(cluster)
    }

    /// Moves the cluster to these cores, such as `1`. Later connections have their processes there.
    pub fn pin(&self, cores: &str) -> anyhow::Result<()> {
        let mut taskset = Command::new("taskset");
        taskset.args(["--all-tasks", "--cpu-list", "--pid", cores, &self.process.id().to_string()]);
        shell::output(taskset).map(drop)
    }

    /// The path of one of PostgreSQL's programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Creates an empty database and returns its URL.
    pub fn new_database(&self, name: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["--quiet", "--command", &format!("CREATE DATABASE {name}")]).arg(&self.url);
        shell::output(psql)?;
        let (server, _) = self.url.rsplit_once('/').context("a URL without a database")?;
        Ok(format!("{server}/{name}"))
    }

    fn wait_for(&mut self, port: u16) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < LONGEST_START {
            if let Some(status) = self.process.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("PostgreSQL exited ({status}): {log}");
            }
            // Accepting a TCP connection is not enough: PostgreSQL refuses sessions while it starts up.
            let mut is_ready = Command::new(self.program("pg_isready"));
            is_ready.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
            if is_ready.status()?.success() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL did not accept connections within {} seconds", LONGEST_START.as_secs())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is a fast shutdown: the server closes its connections and exits.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Debian installs the programs in a folder for each version, outside `PATH`.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    found.sort();
    if let Some((_, folder)) = found.pop() {
        return Ok(folder);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
    on_path.context("initdb of PostgreSQL is missing")
}

/// Creates an empty folder that the PostgreSQL user can write to.
fn folder(root: &Path, is_root: bool) -> anyhow::Result<PathBuf> {
    static CLUSTERS: AtomicU32 = AtomicU32::new(1);
    let name = format!("postgres-{}-{}", std::process::id(), CLUSTERS.fetch_add(1, Ordering::Relaxed));
    let target = run::target_folder(root);
    let target = std::path::absolute(&target)?;
    // Another user cannot reach a folder inside a private home folder.
    let is_reached = !is_root || {
        let mut test = unprivileged(Path::new("test"), true);
        test.arg("-x").arg(&target);
        test.status()?.success()
    };
    let parent = if is_reached { target } else { std::env::temp_dir() };
    let folder = parent.join(name);
    fs::create_dir_all(&folder)?;
    if is_root {
        let mut own = Command::new("chown");
        own.arg(SYSTEM_USER).arg(&folder);
        ensure!(own.status()?.success(), "cannot change the owner of {} to {SYSTEM_USER}", folder.display());
    }
    Ok(folder)
}

/// Runs a program without root privileges; it ends when this process does.
fn unprivileged(program: &Path, is_root: bool) -> Command {
    let mut command = Command::new("setpriv");
    if is_root {
        command.args(["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}
