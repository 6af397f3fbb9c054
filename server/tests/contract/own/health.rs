//! `GET /api/health`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, CAPABILITIES, Server};

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
