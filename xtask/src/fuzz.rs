//! Runs schemathesis against the server: generated requests must not cause server errors or undocumented responses.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{cluster::Cluster, run, setup::packages, shell};

const REQUIREMENTS: &str = "server/tests/fuzz/requirements.txt";
/// This check is off: some rules cannot be expressed in a schema (a vehicle requires an identifying field, years end
/// two years from now), so the server rejects some requests that the schema allows.
const BEYOND_SCHEMAS: &str = "positive_data_acceptance";

/// Fuzzes the server for this many seconds, half of them on SQLite and half on PostgreSQL.
pub fn fuzz(root: &Path, seconds: u32) -> anyhow::Result<()> {
    let schemathesis = install(root)?;
    // Use the same build as the other tests, to avoid compiling again.
    shell::run(shell::cargo(&["test", "--quiet", "--workspace", "--no-run"]))?;
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite:{}", folder.path().join("server.db").display());
    fuzz_on(root, &schemathesis, folder.path(), &sqlite, seconds / 2)?;
    let cluster = Cluster::start(root)?;
    fuzz_on(root, &schemathesis, folder.path(), &cluster.url, seconds / 2)
}

fn fuzz_on(root: &Path, schemathesis: &Path, folder: &Path, database: &str, seconds: u32) -> anyhow::Result<()> {
    let server = Server::start(root, folder, database)?;
    let mut command = Command::new(schemathesis);
    command.args([
        "run",
        &format!("{}/api/openapi.json", server.url),
        "--checks=all",
        "--exclude-checks",
        BEYOND_SCHEMAS,
    ]);
    // Python 3.11 sometimes fails to compile source in two threads at once (cpython issue 106905).
    command.args(["--max-time", &seconds.to_string(), "--workers=1", "--continue-on-failure", "--no-color"]);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", root.join("server/tests/fuzz"));
    // Keep schemathesis's cache out of the repository.
    command.env("GARAGE_FUZZ_BASE_URL", &server.url).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder);
    shell::run(command)
}

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(root: &Path, folder: &Path, database: &str) -> anyhow::Result<Server> {
        let program = run::target_folder(root).join("debug/garage-server");
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--open-registration", "--rate-limit", "1000000"])
            .env("GARAGE_DATABASE", database)
            .env("GARAGE_KEYS", folder.join("keys"))
            .env("GARAGE_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("an output")?).read_line(&mut url)?;
        let server = Server { process, url: url.trim().to_owned() };
        ensure!(!server.url.is_empty(), "garage-server does not start");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Installs schemathesis into a virtual environment if necessary, and returns the path of its program.
fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(run::target_folder(root))?.join("tools/schemathesis");
    let wanted = fs::read_to_string(root.join(REQUIREMENTS))?;
    let stamp = folder.join("requirements.txt");
    let program = folder.join("bin/schemathesis");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(program);
    }
    packages::install(&[packages::PYTHON])?;
    println!("Installing schemathesis into {}", folder.display());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    shell::run(venv)?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]).current_dir(root);
    shell::run(pip)?;
    fs::write(stamp, wanted)?;
    Ok(program)
}
