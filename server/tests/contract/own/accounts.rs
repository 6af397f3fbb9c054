//! Who may register, how often somebody may try, and what an operator does.

use std::{io::Write, process::Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Data, PASSWORD, Server};

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

/// Attempts after which a limit that was not reached is missing.
const MOST_ATTEMPTS: i32 = 100;

#[tokio::test]
async fn guessing_takes_long() {
    // Settings in the environment are the same as on the command line.
    let server = Server::start_as(Data::new().await, |command| {
        command.env("GARAGE_OPEN_REGISTRATION", "1").env("GARAGE_RATE_LIMIT", "1");
    });
    let guess = json!({ "email": "ada@example.org", "password": "another guess" });
    // The quota refills with time, and a slow machine takes long for each guess: the refusal comes sooner or later.
    let mut limited = server.post("/api/auth/login", guess.clone()).await;
    limited.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    for _ in 0..MOST_ATTEMPTS {
        limited = server.post("/api/auth/login", guess.clone()).await;
        if limited.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    limited.refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    assert!(limited.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    // Another account is another matter, until its address has tried too often.
    let other = |number: i32| json!({ "email": format!("u{number}@example.org"), "password": "another guess" });
    server.post("/api/auth/login", other(0)).await.refused(StatusCode::UNAUTHORIZED, "Wrong email or password");
    let mut statuses = Vec::new();
    for number in 1..MOST_ATTEMPTS {
        statuses.push(server.post("/api/auth/login", other(number)).await.status);
        if statuses.last() == Some(&StatusCode::TOO_MANY_REQUESTS) {
            return;
        }
    }
    panic!("the address was never limited: {statuses:?}");
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
