//! Runs the contract suite (`server/tests/contract`) on both databases, or against a running server.

use std::{path::Path, process::Command};

use crate::shell;

pub fn on_sqlite() -> anyhow::Result<()> {
    shell::run(suite("", &[]))
}

/// Runs the suite on a temporary PostgreSQL cluster, including the tests that need PostgreSQL.
#[cfg(unix)]
pub fn on_postgres(root: &Path) -> anyhow::Result<()> {
    let cluster = crate::cluster::Cluster::start(root)?;
    let mut suite = suite("", if has_nextest() { &["--run-ignored=all"] } else { &["--", "--include-ignored"] });
    suite.env("GARAGE_TEST_POSTGRES", &cluster.url).env("GARAGE_TEST_POSTGRES_CERTIFICATE", &cluster.certificate);
    shell::run(suite)
}

/// Skips the suite, because the temporary cluster needs Debian.
#[cfg(not(unix))]
pub fn on_postgres(_root: &Path) -> anyhow::Result<()> {
    println!("skipped: the temporary PostgreSQL cluster requires Debian");
    Ok(())
}

/// Runs the suite against a running server, without the tests that start and stop one.
pub fn against(base_url: &str) -> anyhow::Result<()> {
    let (filter, options): (&str, &[&str]) = if has_nextest() {
        (" and not (test(/^own::/) or test(/^store::/))", &[])
    } else {
        ("", &["--", "--skip", "own::", "--skip", "store::"])
    };
    let mut suite = suite(filter, options);
    suite.env("GARAGE_TEST_BASE_URL", base_url.trim_end_matches('/'));
    shell::run(suite)
}

/// Uses the same build as the other tests, to avoid compiling again.
fn suite(filter: &str, options: &[&str]) -> Command {
    let filter = format!("binary_id(garage-server::contract){filter}");
    let words: &[&str] = if has_nextest() {
        &["nextest", "run", "--workspace", "-E", &filter]
    } else {
        &["test", "--workspace", "--test", "contract"]
    };
    shell::cargo(&[words, options].concat())
}

pub fn has_nextest() -> bool {
    shell::output(shell::cargo(&["nextest", "--version"])).is_ok()
}
