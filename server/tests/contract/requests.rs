//! Behavior that all operations of the OpenAPI document share.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const JSON: &str = "application/json; charset=utf-8";

#[tokio::test]
async fn operations_require_a_token_unless_they_are_public() {
    let server = Server::open().await;
    let mut tested = 0;
    for operation in server.operations() {
        if operation.specification["security"] == json!([{}]) {
            continue;
        }
        tested += 1;
        for header in [None, Some("Basic x"), Some("Bearer"), Some("Bearer "), Some("Bearer a.b.c"), Some("x")] {
            // The token is checked before the body.
            let mut request = server.request(operation.method.clone(), &operation.path).body("{");
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let answer = Answer::of(request).await;
            answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, "Bearer", "{} {} {header:?}", operation.method, operation.path);
        }
    }
    // Six for vehicles and decoding, `/api/auth/me`, and six lists.
    let expected = 6
        + usize::from(server.lists("auth"))
        + 6 * usize::from(server.lists("dropdown"))
        + usize::from(server.lists("sync.v1"))
        + usize::from(server.lists("sync.wait"));
    assert_eq!(tested, expected);
}

#[tokio::test]
async fn unsupported_methods_are_refused_with_the_supported_ones_in_allow() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let operations = server.operations();
    for path in operations.iter().map(|operation| &operation.path) {
        let of_path = operations.iter().filter(|operation| operation.path == *path);
        let mut expected: Vec<&str> = of_path.map(|operation| operation.method.as_str()).collect();
        expected.sort_unstable();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if expected.contains(&method.as_str()) {
                continue;
            }
            let answer = Answer::of(ada.request(method.clone(), path)).await;
            answer.refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let allowed = answer.header("allow").split(',').map(str::trim);
            // Backends may support these for every route.
            let mut allowed: Vec<&str> = allowed.filter(|it| !["HEAD", "OPTIONS"].contains(it)).collect();
            allowed.sort_unstable();
            assert_eq!(allowed, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unknown_routes_are_not_found() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    ada.get("/api/nothing").await.refused(StatusCode::NOT_FOUND, "Not Found");
    ada.get("/").await.refused(StatusCode::NOT_FOUND, "Not Found");
}

#[tokio::test]
async fn responses_are_json() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    for answer in [
        ada.get("/api/vehicles").await,
        ada.get("/api/nothing").await,
        Answer::of(server.request(Method::GET, "/api/vehicles")).await,
        Answer::of(server.request(Method::GET, "/api/health")).await,
    ] {
        let media_type = answer.header("content-type").split(';').next().unwrap_or_default();
        assert_eq!(media_type, "application/json", "{}", answer.text);
    }
}

#[tokio::test]
async fn invalid_bodies_are_refused_by_every_operation_that_has_a_body() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (vehicle, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let huge = format!("{{\"notes\": \"{}\"}}", "n".repeat(1024 * 1024));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for operation in server.operations() {
        if operation.specification["requestBody"] == Value::Null {
            continue;
        }
        let path = if operation.template.contains("{id}") { &vehicle } else { &operation.path };
        let send = |body: Vec<u8>, media_type: Option<&'static str>| {
            let mut request = ada.request(operation.method.clone(), path).body(body);
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
            (b"{\"year\":1e999}", Some(JSON), StatusCode::BAD_REQUEST, "Request body is not valid JSON"),
            (b"[]", Some(JSON), StatusCode::BAD_REQUEST, "Request body must be an object"),
            (b"null", Some(JSON), StatusCode::BAD_REQUEST, "Request body must be an object"),
            (b"{}", None, StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
            (b"{}", Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"),
            (huge.as_bytes(), Some(JSON), StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB"),
        ];
        for (body, media_type, status, message) in cases {
            send(body.to_vec(), media_type).await.refused(status, message);
        }
        // Parsers may limit the depth or not.
        send(deep.clone().into_bytes(), Some(JSON)).await.expect(StatusCode::BAD_REQUEST);
    }
    let shown = ada.get(&vehicle).await.expect(StatusCode::OK);
    assert_eq!((&shown["nickname"], &shown["version"]), (&json!("Blue"), &json!(1)), "the vehicle is unchanged");
}
