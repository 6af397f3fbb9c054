//! Own accounts: the routes below `/api/auth`, and the public keys.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Server};

#[tokio::test]
async fn account_from_registration_to_logout() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let ada = server.account("ada").await;
    let me = ada.get("/api/auth/me").await.expect(StatusCode::OK);
    assert_eq!((&me["email"], &me["disabledAt"]), (&json!(ada.email), &json!(null)));
    assert_eq!((&ada.tokens["tokenType"], &ada.tokens["expiresIn"]), (&json!("Bearer"), &json!(900)));

    let first = json!(ada.tokens["refreshToken"]);
    let second = refresh(&server, &first).await.expect("refreshed");
    assert_ne!(first, second);
    let third = refresh(&server, &second).await.expect("refreshed");
    for ended in [first, third] {
        let answer = server.post("/api/auth/refresh", json!({ "refreshToken": ended })).await;
        answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    }

    let credentials = json!({ "email": format!(" {}", ada.email.to_uppercase()), "password": PASSWORD });
    let tokens = server.post("/api/auth/login", credentials).await.expect(StatusCode::OK);
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    server.post("/api/auth/logout", refresh.clone()).await.expect(StatusCode::NO_CONTENT);
    server.post("/api/auth/refresh", refresh.clone()).await.expect(StatusCode::UNAUTHORIZED);
    server.post("/api/auth/logout", refresh).await.expect(StatusCode::NO_CONTENT);
}

/// Refreshes a session. Returns the next refresh token, or `None` if this one is refused.
async fn refresh(server: &Server, token: &Value) -> Option<Value> {
    let answer = server.post("/api/auth/refresh", json!({ "refreshToken": token })).await;
    if answer.status == StatusCode::UNAUTHORIZED {
        return None;
    }
    Some(answer.expect(StatusCode::OK)["refreshToken"].clone())
}

/// For example, several windows of one client.
#[tokio::test]
async fn concurrent_refreshes_keep_the_session() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let ada = server.account("ada").await;
    let body = json!({ "refreshToken": ada.tokens["refreshToken"] });
    let attempts: Vec<_> = (0..8)
        .map(|_| tokio::spawn(Answer::of(server.request(Method::POST, "/api/auth/refresh").json(&body))))
        .collect();
    let mut next = Vec::new();
    for attempt in attempts {
        next.push(attempt.await.expect("no panic").expect(StatusCode::OK)["refreshToken"].clone());
    }
    let distinct: std::collections::HashSet<_> = next.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 8);
    // Each refresh replaced the token of the one before. Replaced tokens are valid as well.
    let newest = refresh(&server, &next[0]).await.expect("refreshed");
    let newest = refresh(&server, &newest).await.expect("refreshed");
    let newest = refresh(&server, &newest).await.expect("refreshed");
    assert_eq!(refresh(&server, &next[0]).await, None, "an older token was used after newer ones");
    assert_eq!(refresh(&server, &newest).await, None, "the session has ended");
}

#[tokio::test]
async fn a_lost_response_to_a_refresh_keeps_the_session() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let ada = server.account("ada").await;
    let first = json!(ada.tokens["refreshToken"]);
    let missed = refresh(&server, &first).await.expect("refreshed");
    let second = refresh(&server, &first).await.expect("refreshed again");
    let third = refresh(&server, &missed).await.expect("a replaced token counts as the first");
    let fourth = refresh(&server, &third).await.expect("refreshed");
    let fifth = refresh(&server, &third).await.expect("refreshed again");
    assert!(refresh(&server, &fourth).await.is_some(), "a replaced token counts as the third");
    // A token of the same exchange as the third was used, so an older token may be stolen.
    assert_eq!(refresh(&server, &second).await, None);
    assert_eq!(refresh(&server, &fifth).await, None);
}

#[tokio::test]
async fn passwords_are_compared_after_unicode_normalization() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let email = format!("ada-{}@example.org", uuid::Uuid::now_v7().simple());
    let credentials = |password: &str| json!({ "email": email, "password": password });
    server.post("/api/auth/register", credentials("ma\u{f1}ana temprano")).await.expect(StatusCode::CREATED);
    for typed in ["man\u{303}ana temprano", "ma\u{f1}ana temprano"] {
        server.post("/api/auth/login", credentials(typed)).await.expect(StatusCode::OK);
    }
    server.post("/api/auth/login", credentials("manana temprano")).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn all_failed_logins_get_the_same_response() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let ada = server.account("ada").await;
    let long = format!("{}@example.org", "x".repeat(100_000));
    for email in [ada.email.as_str(), "nobody@example.org", "no address", "ada\0@example.org", &long, ""] {
        let answer = server.post("/api/auth/login", json!({ "email": email, "password": "wrong password" })).await;
        answer.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
        assert_eq!(answer.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn invalid_registrations_return_an_error_for_each_field() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let ada = server.account("ada").await;
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
        (json!({ "email": "x@y.z", "password": "QwertyUiop" }), vec![("password", "password is too common")]),
        (
            json!({ "email": "xxxxxxxx@y.z", "password": "XXXXXXXX@y.z" }),
            vec![("password", "password must not be the email address")],
        ),
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
async fn public_keys_need_no_token_and_contain_no_private_part() {
    let Some(server) = Server::with_capability("auth").await else { return };
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["crv"]), (&json!("ES256"), &json!("P-256")));
    assert!(keys["keys"][0].get("d").is_none(), "the private key is not published");
}
