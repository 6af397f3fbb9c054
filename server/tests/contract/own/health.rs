//! `GET /api/health`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, CAPABILITIES, Server, postgres};

#[tokio::test]
async fn health_names_the_backend_its_version_and_its_capabilities() {
    let server = Server::start(&[]).await;
    let health = Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    let expected = json!({
        "status": "ok",
        "backend": "axum",
        "version": env!("CARGO_PKG_VERSION"),
        "database": "ok",
        "capabilities": CAPABILITIES
    });
    assert_eq!(health, expected);
}

/// Only on SQLite: PostgreSQL has no lock that prevents all writes.
#[tokio::test]
async fn health_fails_if_the_database_is_locked_or_its_file_was_moved() {
    let server = Server::start(&[]).await;
    let Some(path) = server.data().database.strip_prefix("sqlite:") else { return };
    let health = async || Answer::of(server.request(Method::GET, "/api/health")).await;
    health().await.expect(StatusCode::OK);
    let other = rusqlite::Connection::open(path).expect("a connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let refused = health().await;
    refused.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    other.execute_batch("ROLLBACK").expect("released");
    drop(other);
    health().await.expect(StatusCode::OK);
    let aside = format!("{path}.aside");
    std::fs::rename(path, &aside).expect("moved");
    health().await.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
    std::fs::rename(&aside, path).expect("put back");
    health().await.expect(StatusCode::OK);
}

/// As on a standby. A lock that prevents all writes is only on SQLite.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn health_fails_if_the_database_accepts_no_writes() {
    let server = Server::start(&[]).await;
    let health = async || Answer::of(server.request(Method::GET, "/api/health")).await;
    health().await.expect(StatusCode::OK);
    let database = &server.data().database;
    let (_, name) = database.rsplit_once('/').expect("a name");
    let admin = postgres(database).await;
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    admin.batch_execute(&read_only).await.expect("altered");
    // For new connections.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    admin.batch_execute(end).await.expect("ended");
    let mut refused = health().await;
    if refused.status == StatusCode::OK {
        refused = health().await;
    }
    refused.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
}

#[tokio::test]
async fn the_command_health_fails_unless_the_server_and_its_database_work() {
    let server = Server::start(&[]).await;
    let health = || server.data().command(&["health", &server.base]).output().expect("it runs");
    let output = health();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed["status"], "ok");
    if let Some(path) = server.data().database.strip_prefix("sqlite:") {
        let other = rusqlite::Connection::open(path).expect("a connection");
        other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        let output = health();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("Database unavailable"), "{said}");
    }
    let base = server.base.clone();
    let data = server.stop();
    let output = data.command(&["health", &base]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("does not respond"), "{said}");
}
