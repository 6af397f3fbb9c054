//! A garage that is kept synced, with a server that answers as a test wants.

use std::{
    sync::{
        Mutex,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use garage_core::{
    ChangeListener, Garage, GarageConfig, GivenSession, SessionConfig, Unencrypted,
    sync::{Activity, RemoteError, SyncError},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    fake_server::{FakeServer, Request, json as answer, response},
    support::{Folder, add, config},
};

const EXCHANGE: &str = "POST /api/sync";
const WAIT: &str = "GET /api/sync/changes?after=7.aa";

/// The bytes of a response to an exchange: everything that is sent is applied.
fn exchanged(request: &Request) -> Vec<u8> {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let operations = body["operations"].as_array().expect("operations").iter();
    let results: Vec<Value> =
        operations.map(|it| json!({ "opId": it["opId"], "status": "applied", "version": 7 })).collect();
    let page = json!({
        "account": "ada", "epoch": "e", "results": results, "changes": [], "cursor": "7.aa", "more": false,
    });
    answer("200 OK", &page)
}

fn changed(changed: bool) -> Vec<u8> {
    answer("200 OK", &json!({ "changed": changed }))
}

/// A server whose answers to waits come through the channel.
fn server() -> (FakeServer, Sender<Vec<u8>>) {
    let (ends, waits) = channel();
    let waits = Mutex::new(waits);
    let server = FakeServer::start(move |request| match request.route.as_str() {
        "GET /api/auth/me" => {
            let account =
                json!({ "id": "ada", "email": "a@b.c", "createdAt": "2026-01-01T00:00:00Z", "disabledAt": null });
            answer("200 OK", &account)
        }
        EXCHANGE => exchanged(request),
        route if route == WAIT => waits.lock().expect("no panic").recv().unwrap_or_default(),
        _ => answer("404 Not Found", &json!({})),
    });
    (server, ends)
}

async fn open(folder: &Folder, server: &FakeServer) -> Garage {
    let given = GivenSession { server: server.url.clone(), token: "token".into(), unencrypted: Unencrypted::Refuse };
    let session = SessionConfig { given: Some(given), ..SessionConfig::default() };
    let config = GarageConfig { session, ..config(&folder.garage_file()) };
    Garage::open(config, ChangeListener::none()).await.expect("open")
}

/// Waits until the server has received so many exchanges and waits, in turn. Returns their routes in order.
async fn received(server: &FakeServer, count: usize) -> Vec<String> {
    loop {
        let mut routes = server.routes();
        routes.retain(|route| route.contains("/api/sync"));
        if routes.len() >= count {
            return routes;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_pass_begins_when_the_server_says_that_something_has_changed_or_cannot_say_it_any_more() {
    let (folder, (server, ends)) = (Folder::new(), server());
    let garage = open(&folder, &server).await;
    let (edited, wanted) = (Notify::new(), Notify::new());
    let test = async {
        // An answer, none, and one that was broken off.
        for (index, end) in [changed(true), changed(false), Vec::new()].into_iter().enumerate() {
            assert_eq!(received(&server, 2 * index + 2).await[2 * index..], [EXCHANGE, WAIT]);
            ends.send(end).expect("the server waits");
        }
        assert_eq!(received(&server, 8).await[6..], [EXCHANGE, WAIT]);
        // An edit and a person do not wait for the answer.
        wanted.notify_one();
        assert_eq!(received(&server, 10).await[8..], [EXCHANGE, WAIT]);
        add(&garage, json!({ "nickname": "Blue" })).await;
        edited.notify_one();
        assert_eq!(received(&server, 11).await[10], EXCHANGE);
        assert!(server.received().iter().any(|request| request.body.contains("Blue")));
    };
    tokio::select! {
        () = garage.keep_synced(&edited, &wanted, |_| ()) => unreachable!("it never ends"),
        () = test => {}
    }
    garage.close().await;
}

#[tokio::test]
async fn a_server_that_cannot_say_when_something_changes_is_not_asked_again_before_the_next_pass() {
    let folder = Folder::new();
    let server = FakeServer::start(|request| match request.route.as_str() {
        EXCHANGE => exchanged(request),
        "GET /api/auth/me" => answer(
            "200 OK",
            &json!({ "id": "ada", "email": "a@b.c", "createdAt": "2026-01-01T00:00:00Z", "disabledAt": null }),
        ),
        _ => response("404 Not Found", "", b""),
    });
    let garage = open(&folder, &server).await;
    let (edited, wanted) = (Notify::new(), Notify::new());
    let activities = Mutex::new(Vec::new());
    let test = async {
        assert_eq!(received(&server, 2).await, [EXCHANGE, WAIT]);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(received(&server, 2).await, [EXCHANGE, WAIT]);
        wanted.notify_one();
        assert_eq!(received(&server, 4).await[2..], [EXCHANGE, WAIT]);
    };
    let report = |activity| {
        if let Activity::Waiting(SyncError::Remote(error), _) = activity {
            activities.lock().expect("no panic").push(error);
        }
    };
    tokio::select! {
        () = garage.keep_synced(&edited, &wanted, report) => unreachable!("it never ends"),
        () = test => {}
    }
    assert_eq!(*activities.lock().expect("no panic"), Vec::<RemoteError>::new());
    garage.close().await;
}
