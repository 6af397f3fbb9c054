//! The contract's suite (`server/tests/contract`) on every store, or against a server that runs already.

use std::{path::Path, process::Command};

use crate::shell;

/// On SQLite.
///
/// # Errors
/// A test fails.
pub fn on_sqlite() -> anyhow::Result<()> {
    shell::run(suite("", &[]))
}

/// On a throw-away cluster of PostgreSQL, with the tests that only it can run.
///
/// # Errors
/// PostgreSQL cannot be started, or a test fails.
#[cfg(unix)]
pub fn on_postgres(root: &Path) -> anyhow::Result<()> {
    let cluster = crate::cluster::Cluster::start(root)?;
    let mut suite = suite("", if has_nextest() { &["--run-ignored=all"] } else { &["--", "--include-ignored"] });
    suite.env("GARAGE_TEST_POSTGRES", &cluster.url).env("GARAGE_TEST_POSTGRES_CERTIFICATE", &cluster.certificate);
    shell::run(suite)
}

/// On a throw-away cluster of PostgreSQL.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn on_postgres(_root: &Path) -> anyhow::Result<()> {
    println!("skipped: the throw-away PostgreSQL is Debian's");
    Ok(())
}

/// Against a server that runs already; without what needs to start and stop one.
///
/// # Errors
/// A test fails.
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

/// Built as all tests are, so that nothing is compiled again for it.
fn suite(filter: &str, options: &[&str]) -> Command {
    let filter = format!("binary_id(garage-server::contract){filter}");
    let words: &[&str] = if has_nextest() {
        &["nextest", "run", "--workspace", "-E", &filter]
    } else {
        &["test", "--workspace", "--test", "contract"]
    };
    shell::cargo(&[words, options].concat())
}

/// Whether tests can run side by side, crate by crate.
pub fn has_nextest() -> bool {
    shell::output(shell::cargo(&["nextest", "--version"])).is_ok()
}
