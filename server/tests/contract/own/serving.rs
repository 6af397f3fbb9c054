//! Settings, origins, proxies, the log, the end, and the document.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ACCORD, Answer, Data, PASSWORD, Server, document, token};

#[tokio::test]
async fn pages_of_named_origins_may_use_it_and_no_others() {
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
    assert_eq!(refused.header("access-control-allow-origin"), "https://garage.example.org", "a page may read why");
    let silent = Server::start(&[]).await;
    let asked =
        Answer::of(silent.request(Method::OPTIONS, "/api/vehicles").header("origin", "https://garage.example.org"))
            .await;
    asked.refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let answer =
        Answer::of(silent.request(Method::GET, "/api/health").header("origin", "https://garage.example.org")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn behind_a_trusted_proxy_addresses_are_its_clients() {
    let guess = async |server: &Server, number: i32, forwarded: &str| {
        let body = json!({ "email": format!("u{number}@example.org"), "password": "another guess" });
        let request = server.request(Method::POST, "/api/auth/login").header("x-forwarded-for", forwarded);
        Answer::of(request.json(&body)).await.status
    };
    let trusting = Server::start(&["--rate-limit", "1", "--trusted-proxy", "127.0.0.0/8"]).await;
    // The quota refills with time, and a slow machine takes long for each guess: the refusal comes sooner or later. Every
    // guess is for another account, so that only the address is limited.
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
    let wary = Server::start(&["--rate-limit", "1"]).await;
    // A client may write what it likes into the header.
    limited(&wary, 0, &|number| format!("198.51.100.{number}")).await;
}

/// Whatever is asked for, however much is logged: no VIN, plate, name, password or token is.
#[tokio::test]
async fn the_log_has_an_id_for_every_request_and_nothing_of_anybodys() {
    let server = Server::start_as(Data::new().await, |command| {
        command.env("GARAGE_LOG", "trace");
    });
    let ada = server.user("ada").await;
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

/// Whoever has begun to ask is answered; whoever comes after is not let in.
#[tokio::test]
async fn a_request_that_is_under_way_is_finished() {
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
    assert!(closed, "nobody new is let in");
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

/// A setting that is wrong ends the start, with its name.
#[tokio::test]
async fn a_setting_that_is_wrong_is_named_at_the_start() {
    let data = Data::new().await;
    let file = data.folder.path().join("file");
    std::fs::write(&file, "no database").expect("written");
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
    // Help shows no password that stands in the environment.
    let help = data.command(&["serve", "--help"]).env("GARAGE_DATABASE", "postgres://x:secret@127.0.0.1/x").output();
    assert!(!String::from_utf8_lossy(&help.expect("it runs").stdout).contains("secret"));
}

/// The address is of no network, so nothing is ever served there.
#[tokio::test]
async fn an_address_on_a_network_without_a_proxy_is_warned_about() {
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
async fn the_document_is_served_and_its_page_loads_nothing_from_elsewhere() {
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
    let parts = page.text.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let parts: Vec<&str> = parts.collect();
    assert!(parts.len() >= 3, "{parts:?}");
    for part in parts {
        let path = format!("/api/docs/{}", part.trim_start_matches("./"));
        assert_eq!(Answer::of(server.request(Method::GET, &path)).await.status, StatusCode::OK, "{path}");
    }
}
