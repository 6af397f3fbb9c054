//! The suite against a running server with a key for its tokens, as it runs against other backends.

use std::process::{Command, Output};

use super::issuer::Issuer;
use crate::{support::Server, tokens::key_files};

const WITHOUT_OWN_SERVERS: [&str; 5] = ["--skip", "own::", "--skip", "store::", "--show-output"];

/// This test binary, run with a running server.
fn suite(server: &Server, arguments: &[&str]) -> Command {
    let mut suite = Command::new(std::env::current_exe().expect("this binary"));
    suite.args(arguments).env("GARAGE_TEST_BASE_URL", &server.base);
    for name in ["GARAGE_TEST_KEY", "GARAGE_TEST_ISSUER", "GARAGE_TEST_AUDIENCE"] {
        suite.env_remove(name);
    }
    suite
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn suite_passes_with_tokens_of_an_external_issuer_and_skips_only_own_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), 0, "ES256-1");
    let server = Server::start(&["--issuer", &issuer.url]).await;

    let mut tests = suite(&server, &WITHOUT_OWN_SERVERS);
    tests.env("GARAGE_TEST_KEY", folder.path().join("ES256-1.pem")).env("GARAGE_TEST_ISSUER", &issuer.url);
    let output = tests.output().expect("the suite runs");
    let report = text(&output);
    assert!(output.status.success(), "{report}");
    let mut skipped = 0;
    // The output of each test follows a line such as `---- auth::some_test stdout ----`.
    for section in report.split("\n---- ").skip(1).filter(|section| section.contains("skipped: ")) {
        assert!(section.starts_with("auth::") && section.contains("the capability `auth`"), "{section}");
        skipped += 1;
    }
    let passed = report.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ok"));
    let (accounts, others): (Vec<&str>, Vec<&str>) = passed.partition(|line| line.starts_with("test auth::"));
    assert_eq!(skipped, accounts.len(), "{report}");
    assert!(skipped > 0 && others.len() > 15, "{report}");
}

#[tokio::test]
async fn suite_passes_with_tokens_of_the_servers_own_key_and_skips_nothing() {
    let server = Server::start(&["--open-registration", "--rate-limit", "1000"]).await;
    let mut tests = suite(&server, &WITHOUT_OWN_SERVERS);
    tests.env("GARAGE_TEST_KEY", key_files(&server.data().keys()).first().expect("a key"));
    let output = tests.output().expect("the suite runs");
    let report = text(&output);
    assert!(output.status.success() && !report.contains("skipped: "), "{report}");
}

#[tokio::test]
async fn suite_without_a_key_says_how_to_set_one() {
    let server = Server::start(&["--issuer", "http://127.0.0.1:9"]).await;
    let output = suite(&server, &["--exact", "decode::vins_are_decoded"]).output().expect("the suite runs");
    let report = text(&output);
    assert!(!output.status.success() && report.contains("Set GARAGE_TEST_KEY"), "{report}");
}
