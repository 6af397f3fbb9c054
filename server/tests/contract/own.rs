//! What needs a server of the test's own: settings, keys, starting and ending.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, PASSWORD, Server};

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
    let server = Server::start(&["--open-registration", "--rate-limit", "4"]).await;
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

#[tokio::test]
async fn sessions_survive_a_restart() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let (token, email) = (ada.token.clone(), ada.email.clone());
    let server = Server::start_on(server.stop(), &[]);
    let me = Answer::of(server.request(Method::GET, "/api/auth/me").bearer_auth(token)).await;
    assert_eq!(me.expect(StatusCode::OK)["email"], email);
}
