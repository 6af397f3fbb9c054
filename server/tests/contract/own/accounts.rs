//! Registration, rate limits, the commands for accounts, and sessions.

use std::{io::Write, net::TcpStream, path::Path, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use refinery::{Runner, Target};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    store::Sql,
    support::{Answer, Data, PASSWORD, Server},
};

#[tokio::test]
async fn only_the_first_account_can_register_if_registration_is_closed() {
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

/// The number of attempts after which a test gives up waiting for the rate limit.
const MAX_ATTEMPTS: i32 = 100;

#[tokio::test]
async fn logins_are_limited_by_account_and_by_network() {
    // Options can be set by environment variables as well.
    let server = Server::start_as(Data::new().await, |command| {
        command.env("GARAGE_OPEN_REGISTRATION", "1").env("GARAGE_RATE_LIMIT", "1");
    });
    let guess = json!({ "email": "ada@example.org", "password": "another guess" });
    // The quota refills with time, so the number of attempts until the limit depends on the speed of the machine.
    let mut limited = server.post("/api/auth/login", guess.clone()).await;
    limited.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    for _ in 0..MAX_ATTEMPTS {
        limited = server.post("/api/auth/login", guess.clone()).await;
        if limited.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    limited.refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    // Other accounts are not limited until the limit of the network is reached.
    let other = |number: i32| json!({ "email": format!("u{number}@example.org"), "password": "another guess" });
    server.post("/api/auth/login", other(0)).await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    let mut statuses = Vec::new();
    for number in 1..MAX_ATTEMPTS {
        statuses.push(server.post("/api/auth/login", other(number)).await.status);
        if statuses.last() == Some(&StatusCode::TOO_MANY_REQUESTS) {
            return;
        }
    }
    panic!("the network was never limited: {statuses:?}");
}

#[tokio::test]
async fn operators_add_list_and_disable_accounts() {
    let server = Server::start(&[]).await;
    let run = |words: &[&str], password: &str| {
        let mut child = server.data().command(words).stdin(Stdio::piped()).spawn().expect("a process");
        child.stdin.take().expect("standard input").write_all(password.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("an exit status");
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
    log_in("another horse battery").await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    assert_eq!(run(&["user", "enable", "ada@example.org"], "").0, Some(0));
    assert_eq!(run(&["user", "enable", "nobody@example.org"], "").0, Some(1));
    let (code, _, said) = run(&["user", "reset-password", "ada@example.org"], "1234567890\n");
    assert_eq!((code, said.contains("password is too common")), (Some(1), true), "{said}");
    log_in("correct horse battery").await.expect(StatusCode::UNAUTHORIZED);
    log_in("another horse battery").await.expect(StatusCode::OK);
    assert_eq!(run(&["user", "disable", "nobody@example.org"], "").0, Some(1));
}

/// The statement that locks everything that a write needs.
fn lock(sql: &Sql) -> &'static str {
    if sql.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; LOCK TABLE accounts, refresh_tokens IN EXCLUSIVE MODE" }
}

/// The account changes after its password was verified.
#[tokio::test]
async fn login_fails_if_the_account_changes_before_the_session_starts() {
    for change in ["password_hash = 'another'", "disabled_at = {now}"] {
        let server = Server::start(&["--open-registration"]).await;
        let ada = server.account("ada").await;
        let mut other = Sql::on(server.data()).await;
        let begin = if other.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        other.run(&format!("{begin}; UPDATE accounts SET {change}")).await.expect("changed");
        let credentials = json!({ "email": ada.email, "password": PASSWORD });
        let login = tokio::spawn(Answer::of(server.request(Method::POST, "/api/auth/login").json(&credentials)));
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert!(!login.is_finished(), "the login waits for the lock");
        other.run("COMMIT").await.expect("committed");
        login.await.expect("no panic").refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    }
}

/// Anybody can send these requests. If they waited for the lock, they would get 503.
#[tokio::test]
async fn requests_that_write_nothing_do_not_wait_for_the_write_lock() {
    let server = Server::start(&[]).await;
    server.user("ada").await;
    let mut other = Sql::on(server.data()).await;
    other.run(lock(&other)).await.expect("locked");
    let invented = json!({ "refreshToken": "invented" });
    let answer = server.post("/api/auth/refresh", invented.clone()).await;
    answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    server.post("/api/auth/logout", invented).await.expect(StatusCode::NO_CONTENT);
    let bob = json!({ "email": "bob@example.org", "password": PASSWORD });
    server.post("/api/auth/register", bob).await.refused(StatusCode::FORBIDDEN, "Registration is closed");
    other.run("ROLLBACK").await.expect("unlocked");
}

#[tokio::test]
async fn guesses_from_other_networks_do_not_lock_the_owner_out() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let ada = server.account("ada").await;
    let log_in = async |address: &str, password: &str| {
        let request = server.request(Method::POST, "/api/auth/login").header("x-forwarded-for", address);
        Answer::of(request.json(&json!({ "email": ada.email, "password": password }))).await
    };
    // The quota refills with time, so a slow machine needs more attempts.
    let mut guesses = 0;
    while log_in("198.51.100.7", "a wrong guess").await.status == StatusCode::UNAUTHORIZED {
        guesses += 1;
        assert!(guesses < MAX_ATTEMPTS, "never limited");
    }
    assert!(guesses >= 10, "{guesses}");
    log_in("198.51.100.7", PASSWORD).await.refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    // The owner sometimes mistypes the password.
    for _ in 0..3 {
        for _ in 0..6 {
            log_in("203.0.113.9", "a wrong guess").await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
        }
        log_in("203.0.113.9", PASSWORD).await.expect(StatusCode::OK);
    }
}

/// If the client disconnects, its request is canceled, but the computation of the hash is not.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn aborted_logins_leave_few_hashes_running() {
    let server = Server::start(&["--open-registration", "--rate-limit", "100000"]).await;
    let ada = server.account("ada").await;
    let status = |field: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
        line.split_whitespace().next().expect("a value").parse::<u64>().expect("a number")
    };
    let (threads, memory) = (status("Threads:"), status("VmHWM:"));
    let address = server.base.strip_prefix("http://").expect("an address");
    let body = json!({ "email": ada.email, "password": "a wrong guess" }).to_string();
    let request = format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..240 {
        let mut connection = TcpStream::connect(address).expect("a connection");
        connection.write_all(request.as_bytes()).expect("sent");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Threads that computed a hash live for some seconds after it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (threads, memory) = (status("Threads:") - threads, status("VmHWM:") - memory);
    assert!(threads <= 8 && memory < 200_000, "{threads} threads and {memory} kB at peak");
    let credentials = json!({ "email": ada.email, "password": PASSWORD });
    server.post("/api/auth/login", credentials).await.expect(StatusCode::OK);
}

/// Databases before version 5 have tokens without a generation.
#[tokio::test]
async fn sessions_of_older_databases_stay_valid() {
    let data = Data::new().await;
    let mut sql = Sql::on(&data).await;
    let kind = if sql.is_sqlite() { "server-sqlite" } else { "server-postgres" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(kind);
    let migrations = refinery::load_sql_migrations(folder).expect("migrations");
    let runner = Runner::new(&migrations).set_target(Target::Version(4));
    match &mut sql {
        Sql::Sqlite(connection) => {
            connection.pragma_update(None, "application_id", i32::from_be_bytes(*b"MVSv")).expect("a pragma");
            runner.run(connection).expect("migrated");
        }
        Sql::Postgres(client) => drop(runner.run_async(client).await.expect("migrated")),
    }
    let now = jiff::Timestamp::now();
    let days = |days: i64| {
        let at = now + jiff::SignedDuration::from_hours(24 * days);
        if kind == "server-sqlite" { at.as_microsecond().to_string() } else { format!("'{at}'") }
    };
    let digest = |token: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    let mut statements = format!("INSERT INTO accounts VALUES ('u', 'ada@example.org', 'x', {}, NULL);", days(-40));
    for family in ["one", "two"] {
        for (token, made, used) in
            [("first", -30, days(-20)), ("second", -20, days(-10)), ("third", -10, "NULL".to_owned())]
        {
            statements += &format!(
                "INSERT INTO refresh_tokens (token_hash, family, account_id, expires_at, used_at)
                 VALUES ('{}', '{family}', 'u', {}, {used});",
                digest(&format!("{family} {token}")),
                days(made + 60),
            );
        }
    }
    sql.run(&statements).await.expect("inserted");
    drop(sql);
    let server = Server::start_on(data, &[]);
    let refresh = async |token: &str| server.post("/api/auth/refresh", json!({ "refreshToken": token })).await.status;
    assert_eq!(refresh("one third").await, StatusCode::OK);
    assert_eq!(refresh("two second").await, StatusCode::OK, "the newest token is unused");
    assert_eq!(refresh("two third").await, StatusCode::OK);
    assert_eq!(refresh("two first").await, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh("two third").await, StatusCode::UNAUTHORIZED, "the session has ended");
    assert_eq!(refresh("one third").await, StatusCode::OK, "the other session has not ended");
    assert_eq!(refresh("one second").await, StatusCode::UNAUTHORIZED);
}
