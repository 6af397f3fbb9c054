//! Accounts and tokens, as any client sees them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, PASSWORD, Server};

#[tokio::test]
async fn an_account_from_registering_to_logging_out() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let me = ada.get("/api/auth/me").await.expect(StatusCode::OK);
    assert_eq!((&me["email"], &me["disabledAt"]), (&json!(ada.email), &json!(null)));
    assert_eq!((&ada.tokens["tokenType"], &ada.tokens["expiresIn"]), (&json!("Bearer"), &json!(900)));

    let first = json!({ "refreshToken": ada.tokens["refreshToken"] });
    let second = server.post("/api/auth/refresh", first.clone()).await.expect(StatusCode::OK);
    let second = json!({ "refreshToken": second["refreshToken"] });
    assert_ne!(first, second, "each is good once");
    server.post("/api/auth/refresh", first).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    server.post("/api/auth/refresh", second).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");

    let credentials = json!({ "email": format!(" {}", ada.email.to_uppercase()), "password": PASSWORD });
    let tokens = server.post("/api/auth/login", credentials).await.expect(StatusCode::OK);
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    server.post("/api/auth/logout", refresh.clone()).await.expect(StatusCode::NO_CONTENT);
    server.post("/api/auth/refresh", refresh.clone()).await.expect(StatusCode::UNAUTHORIZED);
    server.post("/api/auth/logout", refresh).await.expect(StatusCode::NO_CONTENT);
}

/// Of many who come with one refresh token at once, one goes on, and not for long: it was stolen.
#[tokio::test]
async fn a_refresh_token_is_good_once_however_many_come_with_it() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let body = json!({ "refreshToken": ada.tokens["refreshToken"] });
    let attempts: Vec<_> = (0..8)
        .map(|_| tokio::spawn(Answer::of(server.request(Method::POST, "/api/auth/refresh").json(&body))))
        .collect();
    let mut good = Vec::new();
    for attempt in attempts {
        let answer = attempt.await.expect("no panic");
        if answer.status == StatusCode::OK {
            good.push(answer.expect(StatusCode::OK)["refreshToken"].clone());
        } else {
            answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
        }
    }
    assert_eq!(good.len(), 1);
    server.post("/api/auth/refresh", json!({ "refreshToken": good[0] })).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_wrong_with_a_log_in_is_not_told() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let long = format!("{}@example.org", "x".repeat(100_000));
    for email in [ada.email.as_str(), "nobody@example.org", "no address", "ada\0@example.org", &long, ""] {
        let answer = server.post("/api/auth/login", json!({ "email": email, "password": "wrong password" })).await;
        answer.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
        assert_eq!(answer.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_told_at_its_field() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let taken = json!({ "email": ada.email, "password": PASSWORD });
    let taken = server.post("/api/auth/register", taken).await;
    taken.refused(StatusCode::CONFLICT, "An account with this email already exists");
    let long = "x".repeat(1001);
    for (body, fields) in [
        (json!({}), vec![("email", "email must be a string"), ("password", "password must be a string")]),
        (json!({ "email": "x@y.z", "password": 7 }), vec![("password", "password must be a string")]),
        (
            json!({ "email": "x", "password": "short" }),
            vec![("email", "email must be an email address"), ("password", "password must be at least 10 characters")],
        ),
        (json!({ "email": "x@y.z", "password": long }), vec![("password", "password must be at most 1000 bytes")]),
        (json!({ "email": "x\0y@y.z", "password": PASSWORD }), vec![("email", "email must be an email address")]),
    ] {
        let answer = server.post("/api/auth/register", body).await;
        answer.refused(StatusCode::BAD_REQUEST, fields[0].1);
        let details: Vec<_> =
            fields.iter().map(|(field, message)| json!({ "field": field, "message": message })).collect();
        assert_eq!(answer.expect(StatusCode::BAD_REQUEST)["details"], json!(details));
    }
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        let answer = server.post(path, json!({ "refreshToken": 7 })).await;
        answer.refused(StatusCode::BAD_REQUEST, "refreshToken must be a string");
    }
    server.post("/api/auth/refresh", json!({ "refreshToken": "x\0" })).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_public_keys_are_there_for_anybody() {
    let server = Server::open().await;
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["crv"]), (&json!("ES256"), &json!("P-256")));
    assert!(keys["keys"][0].get("d").is_none(), "the private half stays at home");
}
