//! Runs the contract suite (`server/tests/contract`) on both databases, or against a running server.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;

use crate::{setup, shell};

/// A running server to test, and the key of its tokens.
#[derive(clap::Args)]
pub struct Options {
    /// URL of a running server of any backend, such as http://127.0.0.1:3001; without --key it must have open registration
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// ES256 private key in PEM (PKCS #8) that signs tokens for made-up users; the file name without extension is the `kid`
    #[arg(long, value_name = "FILE", requires = "base_url", value_parser = |path: &str| std::path::absolute(path))]
    key: Option<PathBuf>,
    /// Issuer (`iss`) of these tokens [default: garage-server]
    #[arg(long, value_name = "URL", requires = "key")]
    issuer: Option<String>,
    /// Audience (`aud`) of these tokens [default: garage]
    #[arg(long, value_name = "NAME", requires = "key")]
    audience: Option<String>,
    /// Only the suite on this backend, on PostgreSQL [default: all tests of all backends]
    #[arg(long, env = "VEHICLES_BACKEND", conflicts_with = "base_url")]
    backend: Option<Backend>,
}

/// The programs that serve the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// garage-server
    Axum,
    /// peers/fastify
    Fastify,
    /// peers/express
    Express,
}

impl Backend {
    /// The value of `VEHICLES_BACKEND`.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs the suite against the given server, or on SQLite and on PostgreSQL.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if let Some(base_url) = &options.base_url {
        return on_backend(base_url, options);
    }
    setup::for_contract(root)?;
    match options.backend {
        None => {
            shell::run(all_features(SUITE.selection, &[]))?;
            on_postgres(root, &[&SUITE])
        }
        Some(Backend::Axum) => {
            on_postgres(root, &[&Tests { filter: "suite_passes_with_tokens_of_the_servers_own_key", ..SUITE }])
        }
        Some(Backend::Fastify) => on_postgres(root, &[&Tests { filter: "suite_passes_on_fastify", ..SUITE }]),
        Some(Backend::Express) => on_postgres(root, &[&Tests { filter: "suite_passes_on_express", ..SUITE }]),
    }
}

/// Runs the own tests of the backends on Node.
#[cfg(unix)]
pub fn peers(root: &Path) -> anyhow::Result<()> {
    let cluster = crate::cluster::Cluster::start(root)?;
    let mut tests = shell::npm("peers", &["test"]);
    tests.env("GARAGE_TEST_POSTGRES", &cluster.url);
    shell::run(tests)
}

/// Tests that run on PostgreSQL if `GARAGE_TEST_POSTGRES` names a cluster.
pub struct Tests {
    /// Options that select the test binaries.
    selection: &'static [&'static str],
    filter: &'static str,
    /// Programs of other packages that the tests start.
    programs: &'static [&'static str],
}

/// The contract suite. Only this is built, so the page is not required.
pub const SUITE: Tests = Tests { selection: &["--test", "contract"], filter: "", programs: &[] };
/// Unit tests of the server's stores. No other crate has such modules.
pub const STORES: [Tests; 2] = [
    Tests { selection: &["--lib"], filter: "vehicles::store::", programs: &[] },
    Tests { selection: &["--lib"], filter: "store::postgres::", programs: &[] },
];
/// Devices that sync with the backends on Node.
pub const DEVICES: Tests =
    Tests { selection: &["--test", "device"], filter: "plain_rest::", programs: &["garage", "garage-server"] };

/// Histories of the simulation on both databases.
pub const HISTORIES: Tests = Tests { selection: &["--test", "histories"], filter: "on_postgres", programs: &[] };

/// Runs the tests on a temporary PostgreSQL cluster, including those that need PostgreSQL.
#[cfg(unix)]
pub fn on_postgres(root: &Path, tests: &[&Tests]) -> anyhow::Result<()> {
    let cluster = crate::cluster::Cluster::start(root)?;
    for Tests { selection, filter, programs } in tests {
        if !programs.is_empty() {
            let names: Vec<&str> = programs.iter().flat_map(|program| ["--bin", *program]).collect();
            shell::run(shell::cargo(&[&["build", "--workspace"], &names[..]].concat()))?;
        }
        let ignored: &[&str] =
            if has_nextest() { &["--run-ignored=all", filter] } else { &[filter, "--", "--include-ignored"] };
        let options = ignored.iter().copied().filter(|option| !option.is_empty());
        let mut tests = all_features(selection, &options.collect::<Vec<_>>());
        tests.env("GARAGE_TEST_POSTGRES", &cluster.url).env("GARAGE_TEST_POSTGRES_CERTIFICATE", &cluster.certificate);
        shell::run(tests)?;
    }
    Ok(())
}

/// Runs histories of the simulation; `is_on_both`: on SQLite and on a temporary PostgreSQL cluster.
pub fn simulate(root: &Path, is_on_both: bool, options: &[String]) -> anyhow::Result<()> {
    let mut command = shell::cargo(&["run", "--quiet", "--profile", "simulation", "-p", "garage-simulation", "--"]);
    command.args(options);
    if !is_on_both {
        return shell::run(command);
    }
    #[cfg(unix)]
    {
        let cluster = crate::cluster::Cluster::start(root)?;
        command.env("GARAGE_TEST_POSTGRES", &cluster.url);
        shell::run(command)
    }
    #[cfg(not(unix))]
    anyhow::bail!("the temporary PostgreSQL cluster of {} requires Debian", root.display())
}

/// Skips the suite, because the temporary cluster needs Debian.
#[cfg(not(unix))]
pub fn on_postgres(_root: &Path, _tests: &[&Tests]) -> anyhow::Result<()> {
    println!("skipped: the temporary PostgreSQL cluster requires Debian");
    Ok(())
}

/// Runs the suite against a running server, without the tests that start and stop servers.
fn on_backend(base_url: &str, options: &Options) -> anyhow::Result<()> {
    // nextest does not show which tests are skipped.
    let mut suite = shell::cargo(&["test", "--workspace", "--test", "contract", "--"]);
    suite.args(["--skip", "own::", "--skip", "store::", "--show-output"]);
    suite.env("GARAGE_TEST_BASE_URL", base_url);
    for (name, value) in [
        ("GARAGE_TEST_KEY", options.key.as_ref().map(|path| path.as_os_str())),
        ("GARAGE_TEST_ISSUER", options.issuer.as_ref().map(OsStr::new)),
        ("GARAGE_TEST_AUDIENCE", options.audience.as_ref().map(OsStr::new)),
    ] {
        if let Some(value) = value {
            suite.env(name, value);
        }
    }
    shell::run(suite)
}

/// Builds with the features of the whole workspace, as the other tests do, to avoid compiling again.
fn all_features(selection: &[&str], options: &[&str]) -> Command {
    let runner: &[&str] = if has_nextest() { &["nextest", "run"] } else { &["test"] };
    shell::cargo(&[runner, &["--workspace"], selection, options].concat())
}

pub fn has_nextest() -> bool {
    shell::output(shell::cargo(&["nextest", "--version"])).is_ok()
}
