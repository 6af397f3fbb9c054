//! Waits for changes: their number, their end, and changes of other processes.

use serde_json::json;

use crate::{
    store::Sql,
    support::Server,
    waits::{cursor, is_changed, wait},
};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn changes_of_another_process_in_the_database_end_a_wait() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    ada.add(json!({ "nickname": "Blue" })).await;
    let waiting = wait(&ada, &cursor(&ada).await).await;
    Sql::on(server.data()).await.run("UPDATE vehicles SET color = 'Red'").await.expect("updated");
    assert!(is_changed(waiting).await);
}

#[tokio::test]
async fn waits_do_not_count_as_requests_and_leave_half_of_the_connections_free() {
    let options = ["--open-registration", "--max-connections", "6", "--max-requests", "1", "--request-timeout", "1"];
    let server = Server::start(&options).await;
    let ada = server.account("ada").await;
    let cursor = cursor(&ada).await;
    let mut waits = Vec::new();
    for _ in 0..3 {
        waits.push(wait(&ada, &cursor).await);
    }
    let again = || async { ada.request(Method::GET, "/api/sync/changes").query(&[("after", &cursor)]).send().await };
    let refused = again().await.expect("a response");
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..])
    );
    // A device that hangs up waits no more.
    drop(waits.pop());
    let free = async {
        loop {
            let response = again().await.expect("a response");
            if response.status() == StatusCode::OK {
                break response;
            }
        }
    };
    let free = tokio::time::timeout(std::time::Duration::from_secs(60), free).await.expect("a free wait");
    // Longer than requests may take.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    ada.add(json!({ "nickname": "Blue" })).await;
    for wait in waits.into_iter().chain([free]) {
        assert!(is_changed(wait).await);
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_waits() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    let waiting = wait(&ada, &cursor(&ada).await).await;
    server.terminate();
    assert!(!is_changed(waiting).await);
    server.ended();
}
