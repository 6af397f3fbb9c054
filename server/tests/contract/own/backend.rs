//! The suite against a running server with a key for its tokens, as it runs against other backends.

use std::{
    path::Path,
    process::{Command, Output},
};

use super::issuer::Issuer;
use crate::{support::Server, tokens::key_files};

const WITHOUT_OWN_SERVERS: [&str; 5] = ["--skip", "own::", "--skip", "store::", "--show-output"];

/// This test binary, run with a running server.
fn suite(base_url: &str, arguments: &[&str]) -> Command {
    let mut suite = Command::new(std::env::current_exe().expect("this binary"));
    suite.args(arguments).env("GARAGE_TEST_BASE_URL", base_url);
    for name in ["GARAGE_TEST_KEY", "GARAGE_TEST_ISSUER", "GARAGE_TEST_AUDIENCE"] {
        suite.env_remove(name);
    }
    suite
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What the suite printed.
pub struct Report {
    pub text: String,
}

impl Report {
    /// The output of tests that were skipped, in part or as a whole. Each begins with the test's name.
    pub fn skipped(&self) -> Vec<String> {
        // The output of each test follows a line such as `---- auth::some_test stdout ----`.
        let sections = self.text.split("\n---- ").skip(1);
        sections.filter(|section| section.contains("skipped: ")).map(str::to_owned).collect()
    }

    /// The number of tests that passed.
    pub fn passed(&self) -> usize {
        self.passed_lines().count()
    }

    fn passed_lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ok"))
    }
}

/// Runs the suite against a running server that accepts tokens of this key, and asserts that it passes.
pub fn run_suite(base_url: &str, key: &Path, issuer: Option<&str>) -> Report {
    let mut tests = suite(base_url, &WITHOUT_OWN_SERVERS);
    tests.env("GARAGE_TEST_KEY", key);
    if let Some(issuer) = issuer {
        tests.env("GARAGE_TEST_ISSUER", issuer);
    }
    let output = tests.output().expect("the suite runs");
    let report = Report { text: text(&output) };
    assert!(output.status.success(), "{}", report.text);
    report
}

#[tokio::test]
async fn suite_passes_with_tokens_of_an_external_issuer_and_skips_only_own_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), 0, "ES256-1");
    let server = Server::start(&["--issuer", &issuer.url]).await;
    let report = run_suite(&server.base, &folder.path().join("ES256-1.pem"), Some(&issuer.url));
    let skipped = report.skipped();
    for section in &skipped {
        assert!(section.starts_with("auth::") && section.contains("the capability `auth`"), "{section}");
    }
    let (accounts, others): (Vec<&str>, Vec<&str>) =
        report.passed_lines().partition(|line| line.starts_with("test auth::"));
    assert_eq!(skipped.len(), accounts.len(), "{}", report.text);
    assert!(!skipped.is_empty() && others.len() > 15, "{}", report.text);
}

#[tokio::test]
async fn suite_passes_with_tokens_of_the_servers_own_key_and_skips_nothing() {
    let server = Server::start(&["--open-registration", "--rate-limit", "1000"]).await;
    let report = run_suite(&server.base, key_files(&server.data().keys()).first().expect("a key"), None);
    assert!(report.skipped().is_empty(), "{}", report.text);
}

#[tokio::test]
async fn suite_without_a_key_says_how_to_set_one() {
    let server = Server::start(&["--issuer", "http://127.0.0.1:9"]).await;
    let output = suite(&server.base, &["--exact", "decode::vins_are_decoded"]).output().expect("the suite runs");
    let report = text(&output);
    assert!(!output.status.success() && report.contains("Set GARAGE_TEST_KEY"), "{report}");
}
