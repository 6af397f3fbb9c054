//! Metrics for operators.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, Server};

#[tokio::test]
async fn metrics_have_their_own_address_and_contain_no_personal_data() {
    let server = Server::start(&["--open-registration", "--metrics", "127.0.0.1:0"]).await;
    let ada = server.account("ada").await;
    let (path, vehicle) = ada.add(json!({ "nickname": "Blue" })).await;
    ada.put(&path, json!({ "color": "Red" })).await.expect(StatusCode::OK);
    ada.put(&path, json!({ "color": "Red" })).await.expect(StatusCode::OK);
    ada.get(&path).await.expect(StatusCode::OK);
    let wrong = json!({ "email": ada.email, "password": "a wrong guess" });
    server.post("/api/auth/login", wrong).await.expect(StatusCode::UNAUTHORIZED);
    server.post("/no/such/place", json!({})).await.expect(StatusCode::NOT_FOUND);

    // Lines of the log are written a moment later.
    let address = loop {
        let log = server.data().log();
        let address = log.split("\"address\":\"").nth(1).and_then(|rest| rest.split_once('"'));
        if let Some((address, _)) = address {
            break address.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let metrics =
        reqwest::get(format!("http://{address}/metrics")).await.expect("a response").text().await.expect("text");
    for line in [
        r#"garage_requests_total{method="POST",route="/api/vehicles",status="201"} 1"#,
        r#"garage_requests_total{method="PUT",route="/api/vehicles/{id}",status="200"} 2"#,
        r#"garage_requests_total{method="POST",route="none",status="404"} 1"#,
        "garage_feed_writes_total 2",
        "garage_refused_logins_total 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} is missing from\n{metrics}");
    }
    for secret in [&ada.email, &ada.token, "Blue", vehicle["id"].as_str().expect("an id")] {
        assert!(!metrics.contains(secret), "{secret}");
    }
    Answer::of(server.request(Method::GET, "/metrics")).await.refused(StatusCode::NOT_FOUND, "Not Found");
}
