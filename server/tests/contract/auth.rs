//! Accounts and tokens.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, Server};

#[tokio::test]
async fn an_account_from_registering_to_logging_out() {
    let server = Server::start(&[]);
    let ada = server.user("ada").await;
    let me = ada.get("/api/auth/me").await.expect(StatusCode::OK);
    assert_eq!(me["email"], "ada@example.org");
    assert_eq!((&ada.tokens["tokenType"], &ada.tokens["expiresIn"]), (&json!("Bearer"), &json!(900)));

    let other = json!({ "email": "eve@example.org", "password": "correct horse battery" });
    server.post("/api/auth/register", other).await.refused(StatusCode::FORBIDDEN, "Registration is closed");

    let first = json!({ "refreshToken": ada.tokens["refreshToken"] });
    let second = server.post("/api/auth/refresh", first.clone()).await.expect(StatusCode::OK);
    let second = json!({ "refreshToken": second["refreshToken"] });
    assert_ne!(first, second, "each is good once");
    server.post("/api/auth/refresh", first).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    server.post("/api/auth/refresh", second).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");

    let credentials = json!({ "email": " ADA@example.org", "password": "correct horse battery" });
    let tokens = server.post("/api/auth/login", credentials).await.expect(StatusCode::OK);
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    server.post("/api/auth/logout", refresh.clone()).await.expect(StatusCode::NO_CONTENT);
    server.post("/api/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_wrong_with_a_log_in_is_not_told_and_guessing_takes_long() {
    let server = Server::start(&["--open-registration", "--rate-limit", "4"]);
    server.user("ada").await;
    for (email, password) in [("ada@example.org", "wrong password"), ("nobody@example.org", "wrong password")] {
        let credentials = json!({ "email": email, "password": password });
        let answer = server.post("/api/auth/login", credentials).await;
        answer.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    }
    let guess = json!({ "email": "ada@example.org", "password": "another guess" });
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(server.post("/api/auth/login", guess.clone()).await);
    }
    let limited = answers.last().expect("an answer");
    limited.refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));

    for (body, message) in [
        (json!({}), "email must be a string"),
        (json!({ "email": "x", "password": "short" }), "email must be an email address"),
        (json!({ "email": "x@y.z", "password": "short" }), "password must be at least 10 characters"),
    ] {
        server.post("/api/auth/register", body).await.refused(StatusCode::BAD_REQUEST, message);
    }
    let again = json!({ "email": "bob@example.org", "password": "correct horse battery" });
    server.post("/api/auth/register", again.clone()).await.expect(StatusCode::CREATED);
    let taken = server.post("/api/auth/register", again).await;
    taken.refused(StatusCode::CONFLICT, "An account with this email already exists");
}

#[tokio::test]
async fn every_route_but_the_public_ones_wants_a_token() {
    let server = Server::start(&[]);
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["crv"]), (&json!("ES256"), &json!("P-256")));
    for (method, path) in [
        (Method::GET, "/api/vehicles"),
        (Method::POST, "/api/vehicles"),
        (Method::GET, "/api/vehicles/018f0000-0000-7000-8000-000000000001"),
        (Method::PUT, "/api/vehicles/018f0000-0000-7000-8000-000000000001"),
        (Method::DELETE, "/api/vehicles/018f0000-0000-7000-8000-000000000001"),
        (Method::POST, "/api/vehicles/decode-vin"),
        (Method::GET, "/api/vehicles/dropdown/years"),
        (Method::GET, "/api/auth/me"),
    ] {
        for header in [None, Some("Basic x"), Some("Bearer"), Some("Bearer a.b.c")] {
            let mut request = server.request(method.clone(), path);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = Answer::of(request).await;
            answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{method} {path} {header:?}");
        }
    }
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let server = Server::start(&[]);
    let token = server.user("ada").await.token;
    let server = Server::start_in(server.stop(), &[]);
    let me = Answer::of(server.request(Method::GET, "/api/auth/me").bearer_auth(token)).await;
    assert_eq!(me.expect(StatusCode::OK)["email"], "ada@example.org");
}
