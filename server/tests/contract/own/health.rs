//! `GET /api/health` when the database cannot be written.

use reqwest::{Method, StatusCode};

use crate::support::{Answer, Server};

/// PostgreSQL has no lock that keeps all writes from beginning; there a round trip is what can be asked.
#[tokio::test]
async fn health_says_that_another_program_holds_the_write_lock_or_has_moved_the_file() {
    let server = Server::start(&[]).await;
    let Some(path) = server.data().database.strip_prefix("sqlite:") else { return };
    let health = async || Answer::of(server.request(Method::GET, "/api/health")).await;
    health().await.expect(StatusCode::OK);
    let other = rusqlite::Connection::open(path).expect("it opens");
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
