//! What all routes have in common, asked of every operation in the OpenAPI document.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Server, operations};

const JSON: &str = "application/json; charset=utf-8";

#[tokio::test]
async fn every_operation_but_the_public_ones_wants_a_token() {
    let server = Server::open().await;
    let mut asked = 0;
    for (method, path, operation) in operations() {
        if operation["security"] == json!([{}]) {
            continue;
        }
        asked += 1;
        for header in [None, Some("Basic x"), Some("Bearer"), Some("Bearer "), Some("Bearer a.b.c"), Some("x")] {
            // A body is not looked at before the token is.
            let mut request = server.request(method.clone(), &path).body("{");
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = Answer::of(request).await;
            answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{method} {path} {header:?}");
        }
    }
    assert_eq!(asked, 13, "the operations that the contract has behind a token");
}

#[tokio::test]
async fn a_method_that_a_route_has_not_is_refused_with_those_it_has() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let operations = operations();
    for (_, path, _) in &operations {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if operations.iter().any(|(other, of, _)| *other == method && of == path) {
                continue;
            }
            let answer = Answer::of(ada.request(method.clone(), path)).await;
            answer.refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let mut allowed: Vec<&str> = answer.header("allow").split(',').filter(|it| *it != "HEAD").collect();
            let mut expected: Vec<&str> =
                operations.iter().filter(|(_, of, _)| of == path).map(|(method, _, _)| method.as_str()).collect();
            allowed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_by_every_operation_that_reads_one() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (vehicle, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let huge = format!("{{\"notes\": \"{}\"}}", "n".repeat(1024 * 1024));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (method, path, operation) in operations() {
        if operation["requestBody"] == Value::Null {
            continue;
        }
        let path = if path.contains("018f0000") { vehicle.clone() } else { path };
        let send = |body: Vec<u8>, media_type: Option<&'static str>| {
            let mut request = ada.request(method.clone(), &path).body(body);
            if let Some(media_type) = media_type {
                request = request.header("content-type", media_type);
            }
            Answer::of(request)
        };
        let cases: [(&[u8], Option<&'static str>, StatusCode, &str); 10] = [
            (b"", Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (b"{", Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (b"{\"a\":1}x", Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (b"{\"a\":\"\xff\"}", Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (deep.as_bytes(), Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (b"[]", Some(JSON), StatusCode::BAD_REQUEST, "Request body must be an object"),
            (b"null", Some(JSON), StatusCode::BAD_REQUEST, "Request body must be an object"),
            (b"{}", None, StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
            (b"{}", Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
            (huge.as_bytes(), Some(JSON), StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB"),
        ];
        for (body, media_type, status, message) in cases {
            send(body.to_vec(), media_type).await.refused(status, message);
        }
    }
    let shown = ada.get(&vehicle).await.expect(StatusCode::OK);
    assert_eq!((&shown["nickname"], &shown["version"]), (&json!("Blue"), &json!(1)), "nothing of it was done");
}

#[tokio::test]
async fn whatever_is_answered_carries_the_same_headers() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    ada.add(json!({ "nickname": "Blue" })).await;
    for answer in [
        ada.get("/api/vehicles").await,
        ada.get("/api/nothing").await,
        Answer::of(server.request(Method::GET, "/api/vehicles")).await,
        Answer::of(server.request(Method::GET, "/api/health")).await,
    ] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.header("x-request-id").is_empty());
    }
    ada.get("/api/nothing").await.refused(StatusCode::NOT_FOUND, "Not Found");
    ada.get("/").await.refused(StatusCode::NOT_FOUND, "Not Found");
    let named = Answer::of(ada.request(Method::GET, "/api/vehicles").header("x-request-id", "mine-7")).await;
    assert_eq!(named.header("x-request-id"), "mine-7", "a proxy's id goes on");
    for other in ["n".repeat(129), "a b".to_owned(), "\"a\"".to_owned()] {
        let renamed = Answer::of(ada.request(Method::GET, "/api/vehicles").header("x-request-id", &other)).await;
        assert!(renamed.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "{other} is replaced");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_who_can_read_that() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    ada.add(json!({ "nickname": "Blue", "notes": "n".repeat(5000) })).await;
    // The client names no encoding by itself, so that what comes is what was sent.
    let plain = reqwest::Client::builder().no_gzip().no_zstd().build().expect("a client");
    for encoding in ["gzip", "zstd", ""] {
        let request = plain.get(format!("{}/api/vehicles", server.base)).bearer_auth(&ada.token);
        let answer = request.header("accept-encoding", encoding).send().await.expect("an answer");
        assert_eq!(answer.headers().get("content-encoding").map_or("", |it| it.to_str().expect("text")), encoding);
        let length = answer.bytes().await.expect("a body").len();
        assert_eq!(length < 2000, !encoding.is_empty(), "{encoding}: {length}");
    }
    let read = ada.get("/api/vehicles").await.expect(StatusCode::OK);
    assert_eq!(read[0]["nickname"], "Blue");
}
