//! What needs a server of the test's own: settings, keys, starting and ending.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::store::Sql;
use crate::support::{
    ACCORD, Answer, Data, PASSWORD, Server, claims, document, new_postgres, postgres, postgres_url, sign, token,
};

#[tokio::test]
async fn only_the_first_registers_where_registration_is_closed() {
    let server = Server::start(&[]).await;
    let credentials = json!({ "email": "ada@example.org", "password": PASSWORD });
    let attempts: Vec<_> = (0..8)
        .map(|number| {
            let body = json!({ "email": format!("u{number}@example.org"), "password": PASSWORD });
            tokio::spawn(Answer::of(server.request(Method::POST, "/api/auth/register").json(&body)))
        })
        .collect();
    let mut created = 0;
    for attempt in attempts {
        let answer = attempt.await.expect("no panic");
        if answer.status == StatusCode::CREATED {
            created += 1;
        } else {
            answer.refused(StatusCode::FORBIDDEN, "Registration is closed");
        }
    }
    assert_eq!(created, 1);
    server.post("/api/auth/register", credentials).await.refused(StatusCode::FORBIDDEN, "Registration is closed");
}

#[tokio::test]
async fn guessing_takes_long() {
    let data = Data::new().await;
    let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
    // Settings in the environment are the same.
    let mut process =
        command.env("GARAGE_OPEN_REGISTRATION", "1").env("GARAGE_RATE_LIMIT", "4").spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
    let server = Server::of(process, line.trim(), data);
    let guess = json!({ "email": "ada@example.org", "password": "another guess" });
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(server.post("/api/auth/login", guess.clone()).await);
    }
    let limited = answers.last().expect("an answer");
    limited.refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    // Another account is another matter, until its address has tried too often.
    let other = |number: i32| json!({ "email": format!("u{number}@example.org"), "password": "another guess" });
    server.post("/api/auth/login", other(0)).await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    let mut statuses = Vec::new();
    for number in 1..20 {
        statuses.push(server.post("/api/auth/login", other(number)).await.status);
    }
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
}

/// Keys and data are their owner's alone, whatever the folder lets others do.
#[cfg(unix)]
#[tokio::test]
async fn what_is_made_at_the_first_start_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(&[]).await;
    server.user("ada").await;
    let folder = server.data().folder.path();
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let keys = server.data().keys();
    let key = std::fs::read_dir(&keys).expect("keys").next().expect("a key").expect("a key").path();
    assert_eq!((mode(&keys), mode(&key)), (0o700, 0o600));
    for file in ["server.db", "server.db-wal", "server.db-shm"] {
        if server.data().database.starts_with("sqlite:") {
            assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        }
    }
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let (token, email) = (ada.token.clone(), ada.email.clone());
    let server = Server::start_on(server.stop(), &[]);
    let me = Answer::of(server.request(Method::GET, "/api/auth/me").bearer_auth(token)).await;
    assert_eq!(me.expect(StatusCode::OK)["email"], email);
}

/// Nothing that another process would have to see is kept in one.
#[tokio::test]
async fn two_servers_on_one_database_are_one() {
    let one = Server::start(&["--open-registration"]).await;
    let ada = one.user("ada").await;
    let second = Data { folder: tempfile::tempdir().expect("a folder"), database: one.data().database.clone() };
    let keys = one.data().keys();
    let two = Server::start_on(second, &["--keys", keys.to_str().expect("a path")]);
    let (path, added) = ada.add(json!({ "vin": ACCORD })).await;
    let ask = |method: Method, path: &str| two.request(method, path).bearer_auth(&ada.token);
    assert_eq!(Answer::of(ask(Method::GET, &path)).await.expect(StatusCode::OK), added);
    Answer::of(ask(Method::PUT, &path).json(&json!({ "color": "Red" }))).await.expect(StatusCode::OK);
    let seen = ada.get(&path).await;
    assert_eq!((&seen.expect(StatusCode::OK)["color"], seen.header("etag")), (&json!("Red"), "\"2\""));
    let refresh = json!({ "refreshToken": ada.tokens["refreshToken"] });
    two.post("/api/auth/refresh", refresh.clone()).await.expect(StatusCode::OK);
    one.post("/api/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_a_token_in_which_everything_is_right_is_good() {
    let server = Server::start(&[]).await;
    let keys = server.data().keys();
    let ask = async |token: &str| Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(token)).await;
    let now = jiff::Timestamp::now().as_second();
    let with = |name: &str, value: Value| {
        let mut claims = claims("u");
        claims[name] = value;
        sign(&keys, &claims)
    };
    let without = |name: &str| {
        let mut claims = claims("u");
        claims.as_object_mut().expect("claims").shift_remove(name);
        sign(&keys, &claims)
    };
    let good = token(&keys, "u");
    for _ in 0..2 {
        ask(&good).await.expect(StatusCode::OK);
    }
    ask(&with("aud", json!(["other", "garage"]))).await.expect(StatusCode::OK);

    let file = std::fs::read_dir(&keys).expect("keys").next().expect("a key").expect("a key").path();
    let (kid, pem) =
        (file.file_stem().expect("a name").to_string_lossy().into_owned(), std::fs::read(&file).expect("a key"));
    let own = EncodingKey::from_ec_pem(&pem).expect("a key");
    let public = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.text;
    let header = |algorithm, kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    let other_keys = tempfile::tempdir().expect("a folder");
    let rotated = Command::new(env!("CARGO_BIN_EXE_garage-server"))
        .args(["rotate-keys", "--keys"])
        .arg(other_keys.path())
        .output();
    let other = String::from_utf8(rotated.expect("it runs").stdout).expect("a path");
    let other = EncodingKey::from_ec_pem(&std::fs::read(other.trim()).expect("a key")).expect("a key");
    let (head, payload, signature) = {
        let mut parts = good.split('.');
        (parts.next().expect("a head"), parts.next().expect("a payload"), parts.next().expect("a signature"))
    };
    let hmac =
        |secret: &[u8]| encode(&header(Algorithm::HS256, Some(&kid)), &claims("u"), &EncodingKey::from_secret(secret));
    let stolen = sign(&keys, &claims("somebody else"));
    let (_, rest) = stolen.split_once('.').expect("a token");
    let (other_payload, _) = rest.split_once('.').expect("a token");
    for (why, bad) in [
        ("expired", with("exp", json!(now - 3600))),
        ("not yet valid", with("nbf", json!(now + 3600))),
        ("another issuer", with("iss", json!("https://id.example.org"))),
        ("another audience", with("aud", json!("other"))),
        ("no expiry", without("exp")),
        ("no issuer", without("iss")),
        ("no audience", without("aud")),
        ("no user", without("sub")),
        ("an empty user", with("sub", json!(""))),
        ("a user with control characters", with("sub", json!("a\0b"))),
        ("a user that is too long", with("sub", json!("u".repeat(256)))),
        ("an unknown key", encode(&header(Algorithm::ES256, Some("unknown")), &claims("u"), &own).expect("a token")),
        ("a key of no name", encode(&header(Algorithm::ES256, None), &claims("u"), &own).expect("a token")),
        (
            "another's key of that name",
            encode(&header(Algorithm::ES256, Some(&kid)), &claims("u"), &other).expect("a token"),
        ),
        ("HMAC by the public keys", hmac(public.as_bytes()).expect("a token")),
        ("HMAC by the private key", hmac(&pem).expect("a token")),
        ("no algorithm", format!("eyJhbGciOiJub25lIn0.{payload}.")),
        (
            "no algorithm, with a key",
            format!("{}.{payload}.", base64_url(&format!("{{\"alg\":\"none\",\"kid\":\"{kid}\"}}"))),
        ),
        ("another's payload", format!("{head}.{other_payload}.{signature}")),
        ("no signature", format!("{head}.{payload}.")),
        ("oversized", format!("{good}{}", "x".repeat(10_000))),
        ("oversized, and well signed", with("more", json!("x".repeat(10_000)))),
    ] {
        let answer = ask(&bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}: {}", answer.text);
        answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    }
    // The user of a good token is whoever it names, and nobody else.
    ask(&stolen).await.expect(StatusCode::OK);
}

fn base64_url(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn keys_are_rotated_and_old_tokens_stay_good() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let old = ada.token.clone();
    let email = ada.email.clone();
    let data = server.stop();
    let rotated = data.command(&["rotate-keys"]).output().expect("it runs");
    assert!(rotated.status.success());
    let server = Server::start_on(data, &[]);
    Answer::of(server.request(Method::GET, "/api/auth/me").bearer_auth(&old)).await.expect(StatusCode::OK);
    let tokens =
        server.post("/api/auth/login", json!({ "email": email, "password": PASSWORD })).await.expect(StatusCode::OK);
    let kid = |token: &str| jsonwebtoken::decode_header(token).expect("a token").kid;
    assert_ne!(kid(tokens["accessToken"].as_str().expect("a token")), kid(&old));
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
}

/// The database goes, is missed in the contract's words, and comes back, without a restart.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn a_database_that_goes_and_comes_back() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let (path, _) = ada.add(json!({ "vin": ACCORD })).await;
    let admin = postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let (_, name) = server.data().database.rsplit_once('/').expect("a name");
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.expect("closed");
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'");
    admin.batch_execute(&end).await.expect("ended");
    for answer in [
        ada.get("/api/vehicles").await,
        ada.get(&path).await,
        ada.put(&path, json!({ "color": "Red" })).await,
        ada.post("/api/vehicles", json!({ "nickname": "x" })).await,
        ada.delete(&path).await,
        ada.get("/api/auth/me").await,
        Answer::of(server.request(Method::GET, "/api/health")).await,
        server.post("/api/auth/login", json!({ "email": ada.email, "password": PASSWORD })).await,
    ] {
        answer.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    // What needs no database goes on.
    ada.post("/api/vehicles/decode-vin", json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    Answer::of(server.request(Method::GET, "/api/vehicles/health")).await.expect(StatusCode::OK);
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.expect("open");
    Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    let list = ada.get("/api/vehicles").await.expect(StatusCode::OK);
    assert_eq!((&list[0]["vin"], &list[0]["version"]), (&json!(ACCORD), &json!(1)), "nothing was done in between");
    ada.put(&path, json!({ "color": "Red" })).await.expect(StatusCode::OK);
}

/// Over a network PostgreSQL is asked for an encrypted connection, by a certificate that this system trusts.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn postgres_is_reached_by_tls() {
    let certificate = std::env::var("GARAGE_TEST_POSTGRES_CERTIFICATE").expect("the task names it");
    // Only whoever runs the cluster can read its folder.
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("trusted.pem");
    std::fs::copy(&certificate, &trusted).expect("copied");
    let database = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let client = postgres(&database).await;
    let database = database.replace("127.0.0.1", "localhost") + "?sslmode=require";
    let data = Data { folder, database };
    let unknown = data.command(&["serve", "--listen", "127.0.0.1:0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("certificate"), "{said}");
    let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut process = command.env("SSL_CERT_FILE", &trusted).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
    let server = Server::of(process, line.trim(), data);
    server.user("ada").await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'garage-server' AND datname = current_database() AND ssl";
    assert!(client.query_one(encrypted, &[]).await.expect("a count").get::<_, i64>(0) > 0);
}

/// Somebody else keeps the database to himself for longer than a write waits.
#[tokio::test]
async fn a_database_that_is_locked_and_let_go() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let mut other = Sql::on(server.data()).await;
    other
        .run(if other.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; LOCK TABLE feeds IN EXCLUSIVE MODE" })
        .await
        .expect("locked");
    let answer = ada.post("/api/vehicles", json!({ "vin": ACCORD })).await;
    answer.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK), json!([]), "reading goes on");
    other.run("ROLLBACK").await.expect("let go");
    ada.add(json!({ "vin": ACCORD })).await;
}

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
    for number in 0..5 {
        assert_eq!(guess(&trusting, number, "198.51.100.7").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess(&trusting, 5, "198.51.100.7").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess(&trusting, 6, "203.0.113.9, 198.51.100.7").await, StatusCode::TOO_MANY_REQUESTS, "made up");
    assert_eq!(guess(&trusting, 7, "198.51.100.8").await, StatusCode::UNAUTHORIZED, "another client");
    let wary = Server::start(&["--rate-limit", "1"]).await;
    for number in 0..5 {
        assert_eq!(guess(&wary, number, &format!("198.51.100.{number}")).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess(&wary, 5, "198.51.100.9").await, StatusCode::TOO_MANY_REQUESTS, "a client says what it likes");
}

/// Whatever is asked for, however much is logged: no VIN, plate, name, password or token is.
#[tokio::test]
async fn the_log_has_an_id_for_every_request_and_nothing_of_anybodys() {
    let data = Data::new().await;
    let log = std::fs::File::create(data.folder.path().join("log")).expect("a file");
    let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut process = command.env("GARAGE_LOG", "trace").stderr(log).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
    let server = Server::of(process, line.trim(), data);
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
    assert_eq!((&answered["fields"]["status"], &answered["span"]["route"]), (&json!(200), &json!("/api/vehicles")));
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
        (vec!["--trusted-proxy", "everybody"], "--trusted-proxy"),
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

#[tokio::test]
async fn an_operator_adds_lists_and_disables_accounts() {
    let server = Server::start(&[]).await;
    let run = |words: &[&str], password: &str| {
        let mut child = server.data().command(words).stdin(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("an input").write_all(password.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let log_in = async |password: &str| {
        server.post("/api/auth/login", json!({ "email": "ada@example.org", "password": password })).await
    };
    assert_eq!(run(&["user", "add", "Ada@example.org"], "correct horse battery\n").0, Some(0));
    let (code, _, said) = run(&["user", "add", "ada@example.org"], "correct horse battery\n");
    assert_eq!((code, said.contains("An account with this email already exists")), (Some(1), true), "{said}");
    let (code, _, said) = run(&["user", "add", "bob@example.org"], "short\n");
    assert_eq!((code, said.contains("password must be at least 10 characters")), (Some(1), true), "{said}");
    let tokens = log_in("correct horse battery").await.expect(StatusCode::OK);
    assert_eq!(run(&["user", "disable", "ada@example.org"], "").0, Some(0));
    log_in("correct horse battery").await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    let refresh = json!({ "refreshToken": tokens["refreshToken"] });
    server.post("/api/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    let me = server.request(Method::GET, "/api/auth/me").bearer_auth(tokens["accessToken"].as_str().expect("a token"));
    Answer::of(me).await.expect(StatusCode::UNAUTHORIZED);
    let (_, listed, _) = run(&["user", "list", "--json"], "");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed[0]["email"], listed[0]["disabledAt"].is_string()), (&json!("ada@example.org"), true));
    assert!(run(&["user", "list"], "").1.contains("ada@example.org  disabled"));
    assert_eq!(run(&["user", "reset-password", "ada@example.org"], "another horse battery\n").0, Some(0));
    log_in("correct horse battery").await.expect(StatusCode::UNAUTHORIZED);
    log_in("another horse battery").await.expect(StatusCode::OK);
    assert_eq!(run(&["user", "disable", "nobody@example.org"], "").0, Some(1));
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

/// An issuer of `server/tests/issuer`; it ends with this value.
struct Issuer {
    process: Child,
    url: String,
}

impl Issuer {
    fn start(folder: &Path, port: u16, keys: &str) -> Issuer {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/issuer");
        assert!(script.join("node_modules").is_dir(), "the issuer is not installed; cargo xtask setup does it");
        let mut process = Command::new("node")
            .args(["issuer.mjs", &port.to_string(), keys])
            .current_dir(script)
            .env("GARAGE_TEST_ISSUER_KEYS", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("its address");
        Issuer { process, url: line.trim().to_owned() }
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// A token for a user, an audience and an algorithm.
    async fn token(&self, user: &str, audience: &str, algorithm: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("resource", &format!("urn:{audience}:{algorithm}"))];
        let request = reqwest::Client::new().post(format!("{}/token", self.url)).basic_auth(user, Some("secret"));
        let answer = Answer::of(request.form(&form)).await.expect(StatusCode::OK);
        answer["access_token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn an_external_issuer_is_believed_in_its_own_matters() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), 0, "ES256-1,RS256-1,EdDSA-1");
    let server = Server::start(&["--issuer", &issuer.url]).await;
    let list = async |token: &str| Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(token)).await;
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let ada = issuer.token("ada", "garage", algorithm).await;
        let body = json!({ "nickname": algorithm });
        let added = Answer::of(server.request(Method::POST, "/api/vehicles").bearer_auth(&ada).json(&body)).await;
        assert_eq!(added.expect(StatusCode::CREATED)["userId"], "ada", "{algorithm}");
    }
    let ada = issuer.token("ada", "garage", "ES256").await;
    assert_eq!(list(&ada).await.expect(StatusCode::OK).as_array().map(Vec::len), Some(3), "one user by any key");
    let bob = issuer.token("bob", "garage", "ES256").await;
    assert_eq!(list(&bob).await.expect(StatusCode::OK), json!([]));
    let other = issuer.token("ada", "other", "ES256").await;
    list(&other).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    // A stranger that signs for the same users.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let stranger = Issuer::start(elsewhere.path(), 0, "ES256-1");
    let forged = stranger.token("ada", "garage", "ES256").await;
    list(&forged).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");

    // Accounts are the issuer's.
    let health = Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    assert_eq!(health["capabilities"], json!(["vehicles", "decode", "dropdown"]));
    server.post("/api/auth/login", json!({})).await.refused(StatusCode::NOT_FOUND, "Not Found");
    let served = Answer::of(server.request(Method::GET, "/api/openapi.json")).await.expect(StatusCode::OK);
    assert!(served["paths"].get("/api/auth/login").is_none() && served["paths"].get("/api/vehicles").is_some());

    // It changes its keys: what it signs next is good at once.
    let port = issuer.port();
    drop(issuer);
    let issuer = Issuer::start(folder.path(), port, "ES256-2,ES256-1");
    let next = issuer.token("ada", "garage", "ES256").await;
    list(&next).await.expect(StatusCode::OK);
    // While it is away, who it has let in stays in, and a new token by a known key is good.
    let last = issuer.token("bob", "garage", "ES256").await;
    drop(issuer);
    list(&next).await.expect(StatusCode::OK);
    list(&last).await.expect(StatusCode::OK);
}

/// An issuer that cannot be asked yet is no reason to refuse anybody for good.
#[tokio::test]
async fn an_issuer_that_comes_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), 0, "ES256-1");
    let (url, port) = (issuer.url.clone(), issuer.port());
    let ada = issuer.token("ada", "garage", "ES256").await;
    drop(issuer);
    let server = Server::start(&["--issuer", &url]).await;
    let list = async || Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(&ada)).await;
    let answer = list().await;
    answer.refused(StatusCode::SERVICE_UNAVAILABLE, "Issuer unavailable");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    let answer = Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth("nonsense")).await;
    answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    let _issuer = Issuer::start(folder.path(), port, "ES256-1");
    list().await.expect(StatusCode::OK);
}
