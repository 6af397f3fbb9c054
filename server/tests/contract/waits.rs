//! `GET /api/sync/changes`, as devices see it.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Server, User};

/// The cursor of a new device that has read everything.
pub async fn cursor(user: &User<'_>) -> String {
    let request = json!({
        "account": null, "deviceId": Uuid::now_v7(), "batch": null, "epoch": null, "cursor": null, "limit": 500,
        "operations": [],
    });
    let page = user.post("/api/sync", request).await.expect(StatusCode::OK);
    page["cursor"].as_str().expect("a cursor").to_owned()
}

/// Begins to wait: returns the response as soon as the server has sent its head.
pub async fn wait(user: &User<'_>, cursor: &str) -> Response {
    let request = user.request(Method::GET, "/api/sync/changes").query(&[("after", cursor)]);
    let response = request.send().await.expect("a head");
    assert_eq!(response.status(), StatusCode::OK);
    response
}

/// Waits for the end.
pub async fn is_changed(waiting: Response) -> bool {
    let body: Value = serde_json::from_str(&waiting.text().await.expect("a body")).expect("JSON");
    body["changed"].as_bool().expect("a boolean")
}

#[tokio::test]
async fn a_wait_ends_when_records_of_the_account_have_changed() {
    let Some(server) = Server::with_capability("sync.wait").await else { return };
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of_bob = wait(&bob, &cursor(&bob).await).await;
    let before = cursor(&ada).await;
    let waiting = [wait(&ada, &before).await, wait(&ada, &before).await];
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    for waiting in waiting {
        assert!(is_changed(waiting).await);
    }
    assert!(is_changed(wait(&ada, &before).await).await, "at once, because it has changed already");

    let before = cursor(&ada).await;
    let waiting = wait(&ada, &before).await;
    let operation = json!({
        "opId": Uuid::now_v7(), "collection": "serviceEntries", "recordId": Uuid::now_v7(), "kind": "create",
        "baseVersion": null, "fields": { "vehicleId": path.rsplit('/').next(), "date": "2026-03-14", "kind": "service" },
        "origins": {}, "createdAt": "2026-11-30T10:00:00Z", "updatedAt": "2026-11-30T10:00:00Z",
    });
    let request = json!({
        "account": null, "deviceId": Uuid::now_v7(), "batch": 1, "epoch": null, "cursor": null, "limit": 500,
        "operations": [operation],
    });
    let results = ada.post("/api/sync", request).await.expect(StatusCode::OK)["results"].clone();
    assert_eq!(results[0]["status"], "applied", "{results}");
    assert!(is_changed(waiting).await);

    bob.add(json!({ "nickname": "Red" })).await;
    assert!(is_changed(of_bob).await);
}

#[tokio::test]
async fn an_invalid_cursor_is_refused() {
    let Some(server) = Server::with_capability("sync.wait").await else { return };
    let ada = server.user("ada").await;
    for query in ["", "?after=", "?after=7", "?after=-7.00", "?before=7.00", "?after=%ff.00", "?after=7.0&after=8.0"] {
        let refused = ada.get(&format!("/api/sync/changes{query}")).await;
        refused.refused(StatusCode::BAD_REQUEST, "after must be the cursor of a response");
    }
    let nobody = Answer::of(server.request(Method::GET, "/api/sync/changes?after=7.00")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}
