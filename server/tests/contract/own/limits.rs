//! Slow clients and too many clients, over raw TCP connections. The tests assert that timeouts take effect, but not when.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::{Method, StatusCode};

use crate::support::{Answer, Server};

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
/// The server reads the body first. It is not sent.
const LOGIN: &str =
    "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n";
/// A response of 1.4 MB.
const LARGE: &str = "GET /api/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n";

fn connect(server: &Server) -> TcpStream {
    let address = server.base.strip_prefix("http://").expect("an address");
    let connection = TcpStream::connect(address).expect("a connection");
    // Fail instead of hanging.
    connection.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    connection
}

fn send(mut connection: &TcpStream, text: &str) {
    connection.write_all(text.as_bytes()).expect("sent");
}

/// Reads the response to `HEALTH`. The connection stays open.
fn read_health(mut connection: &TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with('}') {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("a response");
        text.push(char::from(byte[0]));
    }
    text
}

/// Reads until the server closes the connection.
fn read_to_close(mut connection: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match connection.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not closed: {error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Whether the server responds on a new connection. Otherwise it closes the connection.
fn is_served(server: &Server) -> bool {
    let mut connection = connect(server);
    let mut start = [0; 12];
    connection.write_all(HEALTH.as_bytes()).and_then(|()| connection.read_exact(&mut start)).is_ok()
}

async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the condition was never true");
}

#[tokio::test]
async fn connections_that_are_idle_or_have_an_incomplete_head_are_closed() {
    let server = Server::start(&["--idle-timeout", "1"]).await;
    for first in ["", HEALTH] {
        for rest in ["", "GET /api/health HTTP/1.1\r\nHost:"] {
            let connection = connect(&server);
            if !first.is_empty() {
                send(&connection, first);
                assert!(read_health(&connection).starts_with("HTTP/1.1 200"));
            }
            send(&connection, rest);
            assert_eq!(read_to_close(&connection), "", "after {first:?} and {rest:?}");
        }
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Server::start(&[]).await;
    let connection = connect(&server);
    let head = format!("GET /api/health HTTP/1.1\r\nHost: x\r\nX-Large: {}", "n".repeat(80 * 1024));
    // The server may close the connection before everything is sent.
    let _ = (&connection).write_all(head.as_bytes());
    let response = read_to_close(&connection);
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 431"), "{response}");
    assert!(is_served(&server));
}

#[tokio::test]
async fn incomplete_bodies_get_a_response_and_their_connection_is_closed() {
    let server = Server::start(&["--request-timeout", "1", "--idle-timeout", "1"]).await;
    let connection = connect(&server);
    send(&connection, &format!("{LOGIN}{{"));
    let response = read_to_close(&connection);
    assert!(response.starts_with("HTTP/1.1 503") && response.contains("Request took too long"), "{response}");
}

#[tokio::test]
async fn clients_that_do_not_read_are_disconnected() {
    let server = Server::start(&["--write-timeout", "1", "--max-connections", "1"]).await;
    let connection = connect(&server);
    // More than the buffers of client and server can hold.
    send(&connection, &LARGE.repeat(40));
    let mut first = [0; 12];
    (&connection).read_exact(&mut first).expect("a response");
    assert_eq!(&first, b"HTTP/1.1 200");
    assert!(!is_served(&server), "the only connection is in use");
    eventually(async || is_served(&server)).await;
    assert!(read_to_close(&connection).len() < 40 * 1_000_000, "not everything was sent");
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let server = Server::start(&["--max-connections", "2"]).await;
    let (one, two) = (connect(&server), connect(&server));
    for connection in [&one, &two] {
        send(connection, HEALTH);
        assert!(read_health(connection).starts_with("HTTP/1.1 200"));
    }
    for _ in 0..3 {
        assert_eq!(read_to_close(&connect(&server)), "");
    }
    send(&one, HEALTH);
    assert!(read_health(&one).starts_with("HTTP/1.1 200"), "open connections are not affected");
    drop(two);
    eventually(async || is_served(&server)).await;
    let data = server.stop();
    assert_eq!(data.log().matches("--max-connections is reached").count(), 1, "{}", data.log());
}

#[tokio::test]
async fn requests_above_the_limit_get_503() {
    let server = Server::start(&["--max-requests", "1"]).await;
    let health = async || Answer::of(server.request(Method::GET, "/api/health")).await;
    let mut slow = Vec::new();
    // A slow request is refused if it arrives while the server handles `health`. Then another one is sent.
    let is_busy = async || {
        let connection = connect(&server);
        send(&connection, &format!("{LOGIN}{{"));
        slow.push(connection);
        health().await.status == StatusCode::SERVICE_UNAVAILABLE
    };
    eventually(is_busy).await;
    let refused = health().await;
    refused.refused(StatusCode::SERVICE_UNAVAILABLE, "Server is busy");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert!(!refused.header("x-request-id").is_empty());
    drop(slow);
    eventually(async || health().await.status == StatusCode::OK).await;
}

#[tokio::test]
async fn memory_for_unread_large_responses_is_limited() {
    let server = Server::start(&["--response-memory", "3", "--max-connections", "100"]).await;
    let large = async || Answer::of(server.request(Method::GET, "/api/docs/swagger-ui-bundle.js")).await;
    // The system takes several responses for a client that does not read, and a refused one is small: more clients are needed
    // until the server has to keep one.
    let mut slow: Vec<TcpStream> = Vec::new();
    eventually(async || {
        if slow.len() < 60 {
            let connection = connect(&server);
            send(&connection, &LARGE.repeat(40));
            slow.push(connection);
        }
        large().await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert!(is_served(&server), "small responses are not limited");
    drop(slow);
    eventually(async || large().await.status == StatusCode::OK).await;
}
