//! Options, CORS, proxies, the log, shutdown, the OpenAPI document, headers and compression.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    operations::document,
    support::{ACCORD, Answer, Data, PASSWORD, Server},
    tokens::token,
};

#[tokio::test]
async fn cors_allows_only_the_configured_origins() {
    let server = Server::start(&["--cors-origin", "https://garage.example.org,tauri://localhost"]).await;
    let preflight = |origin: &'static str| {
        let request = server.request(Method::OPTIONS, "/api/vehicles").header("origin", origin);
        let request = request.header("access-control-request-method", "PUT");
        Answer::of(request.header("access-control-request-headers", "authorization,if-match,content-type"))
    };
    for origin in ["https://garage.example.org", "tauri://localhost"] {
        let answer = preflight(origin).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, origin));
        assert_eq!(answer.header("access-control-allow-methods"), "GET,POST,PUT,DELETE");
        assert!(answer.header("access-control-allow-headers").contains("if-match"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    assert_eq!(preflight("https://evil.example.org").await.header("access-control-allow-origin"), "");
    let asked =
        Answer::of(server.request(Method::GET, "/api/health").header("origin", "https://garage.example.org")).await;
    assert_eq!(asked.header("access-control-allow-origin"), "https://garage.example.org");
    assert!(asked.header("access-control-expose-headers").contains("etag"));
    let refused =
        Answer::of(server.request(Method::GET, "/api/vehicles").header("origin", "https://garage.example.org")).await;
    assert_eq!(refused.header("access-control-allow-origin"), "https://garage.example.org", "pages can read errors");
    let without_cors = Server::start(&[]).await;
    let asked = Answer::of(
        without_cors.request(Method::OPTIONS, "/api/vehicles").header("origin", "https://garage.example.org"),
    )
    .await;
    asked.refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let answer =
        Answer::of(without_cors.request(Method::GET, "/api/health").header("origin", "https://garage.example.org"))
            .await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn logins_behind_a_trusted_proxy_are_limited_by_the_forwarded_address() {
    let guess = async |server: &Server, number: i32, forwarded: &str| {
        let body = json!({ "email": format!("u{number}@example.org"), "password": "another guess" });
        let request = server.request(Method::POST, "/api/auth/login").header("x-forwarded-for", forwarded);
        Answer::of(request.json(&body)).await.status
    };
    let trusting = Server::start(&["--rate-limit", "1", "--trusted-proxy", "127.0.0.0/8"]).await;
    // The quota refills with time, so the number of attempts until the limit depends on the speed of the machine. Each
    // guess is for another account, so that only the network is limited.
    let limited = async |server: &Server, first: i32, forwarded: &dyn Fn(i32) -> String| {
        for number in first..first + 100 {
            let status = guess(server, number, &forwarded(number)).await;
            if status == StatusCode::TOO_MANY_REQUESTS {
                return number - first;
            }
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        panic!("never limited");
    };
    assert!(limited(&trusting, 0, &|_| "198.51.100.7".to_owned()).await >= 5);
    limited(&trusting, 100, &|number| format!("203.0.113.{}, 198.51.100.7", number % 100)).await;
    assert_eq!(guess(&trusting, 200, "198.51.100.8").await, StatusCode::UNAUTHORIZED, "another client");
    let without_proxy = Server::start(&["--rate-limit", "1"]).await;
    // Clients can put anything into the header.
    limited(&without_proxy, 0, &|number| format!("198.51.100.{number}")).await;
}

/// No VIN, license plate, name, password or token is logged, at any level.
#[tokio::test]
async fn log_has_request_ids_and_no_personal_data() {
    let server = Server::start_as(Data::new().await, |command| {
        command.env("GARAGE_LOG", "trace");
    });
    let ada = server.account("ada").await;
    let (path, _) = ada.add(json!({ "vin": ACCORD, "licensePlate": "SECRET7", "nickname": "Bluebird" })).await;
    ada.add(json!({ "vin": "5YJSA1E26HF000337" })).await;
    ada.post("/api/vehicles", json!({ "vin": ACCORD })).await.expect(StatusCode::CONFLICT);
    ada.put(&path, json!({ "licensePlate": "SECRET8" })).await.expect(StatusCode::OK);
    ada.get(&format!("/api/vehicles/{ACCORD}")).await.expect(StatusCode::NOT_FOUND);
    ada.get(&format!("/api/{ACCORD}?plate=SECRET7")).await.expect(StatusCode::NOT_FOUND);
    ada.post("/api/vehicles/decode-vin", json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    server.post("/api/auth/login", json!({ "email": ada.email, "password": "a wrong guess" })).await;
    server
        .post("/api/auth/refresh", json!({ "refreshToken": ada.tokens["refreshToken"] }))
        .await
        .expect(StatusCode::OK);
    let marked = Answer::of(ada.request(Method::GET, "/api/vehicles").header("x-request-id", "find-me-7")).await;
    marked.expect(StatusCode::OK);
    let secrets = [
        ACCORD,
        "SECRET7",
        "SECRET8",
        "Bluebird",
        PASSWORD,
        "a wrong guess",
        "5YJSA1E26HF000337",
        &ada.email,
        &ada.token,
        ada.tokens["refreshToken"].as_str().expect("a token"),
    ]
    .map(str::to_owned);
    let data = server.stop();
    let log = data.log();
    for secret in secrets {
        let place = log.lines().find(|line| line.contains(&secret));
        assert_eq!(place, None, "{secret} is logged");
    }
    let answered = log.lines().find(|line| line.contains("find-me-7") && line.contains("answered")).expect("a line");
    let answered: Value = serde_json::from_str(answered).expect("JSON");
    assert_eq!((&answered["fields"]["status"], &answered["request"]["route"]), (&json!(200), &json!("/api/vehicles")));
}

/// A server that shuts down accepts no new connections.
#[tokio::test]
async fn shutdown_waits_for_requests_that_have_begun() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let address = server.base.strip_prefix("http://").expect("an address");
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let body = json!({ "nickname": "Last" }).to_string();
    let (first, rest) = body.split_at(5);
    let head = format!(
        "POST /api/vehicles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{first}",
        ada.token,
        body.len()
    );
    connection.write_all(head.as_bytes()).expect("sent");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.terminate();
    let mut closed = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        closed = TcpStream::connect(address).is_err();
        if closed {
            break;
        }
    }
    assert!(closed, "new connections are still accepted");
    connection.write_all(rest.as_bytes()).expect("sent");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 201");
    drop(connection);
    let data = server.ended();
    let server = Server::start_on(data, &[]);
    let token = token(&server.data().keys(), "anybody");
    Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(token)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn invalid_options_are_named_in_the_error_at_startup() {
    let data = Data::new().await;
    let file = data.folder.path().join("file");
    std::fs::write(&file, "not a database").expect("written");
    let file_url = format!("sqlite:{}", file.display());
    let file = file.to_str().expect("a path");
    for (options, named) in [
        (vec!["--listen", "nowhere"], "--listen"),
        (vec!["--listen", "192.0.2.1:3001"], "--listen (GARAGE_LISTEN)"),
        (vec!["--database", "mysql://x"], "--database (GARAGE_DATABASE)"),
        (vec!["--database", &file_url], "--database (GARAGE_DATABASE)"),
        (vec!["--database", "postgres://garage:secret@127.0.0.1:1/garage"], "--database (GARAGE_DATABASE)"),
        (vec!["--keys", file], "--keys (GARAGE_KEYS)"),
        (vec!["--rate-limit", "0"], "--rate-limit"),
        (vec!["--issuer", "http://id.example.org"], "--issuer (GARAGE_ISSUER)"),
        (vec!["--issuer", "https://id.example.org", "--open-registration"], "--open-registration"),
        (vec!["--cors-origin", "https://x.example.org/path"], "--cors-origin"),
        (vec!["--cors-origin", "tauri://localhost/path"], "--cors-origin"),
        (vec!["--trusted-proxy", "everybody"], "--trusted-proxy"),
        (vec!["--max-connections", "0"], "--max-connections"),
        (vec!["--max-requests", "many"], "--max-requests"),
        (vec!["--idle-timeout", "0"], "--idle-timeout"),
        (vec!["--request-timeout", "99999"], "--request-timeout"),
        (vec!["--write-timeout", "1.5"], "--write-timeout"),
        (vec!["--response-memory", "0"], "--response-memory"),
    ] {
        let output = data.command(&[vec!["serve"], options.clone()].concat()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(named), "{options:?}: {said}");
        assert!(!said.contains("secret") && output.stdout.is_empty(), "{options:?}: {said}");
    }
    // The help does not show passwords from the environment.
    let help = data.command(&["serve", "--help"]).env("GARAGE_DATABASE", "postgres://x:secret@127.0.0.1/x").output();
    assert!(!String::from_utf8_lossy(&help.expect("it runs").stdout).contains("secret"));
}

/// The address is reserved for documentation (RFC 5737), so the server cannot listen on it.
#[tokio::test]
async fn listening_on_a_network_without_a_trusted_proxy_is_logged_as_a_warning() {
    let data = Data::new().await;
    for (options, is_warned) in [
        (&["serve", "--listen", "192.0.2.1:3001"][..], true),
        (&["serve", "--listen", "192.0.2.1:3001", "--trusted-proxy", "192.0.2.7"], false),
    ] {
        let output = data.command(options).output().expect("it runs");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(log.contains("without encryption"), is_warned, "{log}");
    }
}

#[tokio::test]
async fn openapi_document_is_served_and_its_page_loads_nothing_from_other_origins() {
    let server = Server::start(&[]).await;
    let served = Answer::of(server.request(Method::GET, "/api/openapi.json")).await.expect(StatusCode::OK);
    assert_eq!(served, document());
    assert!(served["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let page = Answer::of(server.request(Method::GET, "/api/docs/")).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    assert_eq!(page.header("content-security-policy"), policy);
    let addresses = page.text.split(['"', '\'']).filter(|text| text.contains("://") || text.starts_with("//"));
    assert_eq!(addresses.collect::<Vec<_>>(), Vec::<&str>::new());
    let sources = page.text.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let sources: Vec<&str> = sources.collect();
    assert!(sources.len() >= 3, "{sources:?}");
    for source in sources {
        let path = format!("/api/docs/{}", source.trim_start_matches("./"));
        assert_eq!(Answer::of(server.request(Method::GET, &path)).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers_and_a_request_id() {
    let server = Server::start(&[]).await;
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
    let named = Answer::of(ada.request(Method::GET, "/api/vehicles").header("x-request-id", "mine-7")).await;
    assert_eq!(named.header("x-request-id"), "mine-7", "a valid id of a proxy is kept");
    for other in ["n".repeat(129), "a b".to_owned(), "\"a\"".to_owned()] {
        let renamed = Answer::of(ada.request(Method::GET, "/api/vehicles").header("x-request-id", &other)).await;
        assert!(renamed.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "{other} is replaced");
    }
}

#[tokio::test]
async fn responses_are_compressed_if_the_client_accepts_it() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    ada.add(json!({ "nickname": "Blue", "notes": "n".repeat(5000) })).await;
    // This client adds no Accept-Encoding and does not decompress.
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
