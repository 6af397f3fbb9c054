//! A database that is shared, locked or unavailable.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    store::Sql,
    support::{ACCORD, Answer, Data, PASSWORD, Server, new_postgres, postgres, postgres_url},
};

/// Servers keep nothing in memory that other servers need.
#[tokio::test]
async fn two_servers_can_share_a_database() {
    let one = Server::start(&["--open-registration"]).await;
    let ada = one.account("ada").await;
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
    let next = two.post("/api/auth/refresh", refresh.clone()).await.expect(StatusCode::OK);
    let next = json!({ "refreshToken": next["refreshToken"] });
    one.post("/api/auth/refresh", next).await.expect(StatusCode::OK);
    two.post("/api/auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn server_recovers_from_an_unavailable_database_without_a_restart() {
    let server = Server::start(&[]).await;
    let ada = server.account("ada").await;
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
    // These routes need no database.
    ada.post("/api/vehicles/decode-vin", json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    Answer::of(server.request(Method::GET, "/api/vehicles/health")).await.expect(StatusCode::OK);
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.expect("open");
    Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    let list = ada.get("/api/vehicles").await.expect(StatusCode::OK);
    assert_eq!((&list[0]["vin"], &list[0]["version"]), (&json!(ACCORD), &json!(1)), "no refused write was performed");
    ada.put(&path, json!({ "color": "Red" })).await.expect(StatusCode::OK);
}

/// Connections to other machines must be encrypted, with a certificate that the system trusts.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn postgres_connections_use_tls_with_a_trusted_certificate() {
    let certificate = std::env::var("GARAGE_TEST_POSTGRES_CERTIFICATE").expect("GARAGE_TEST_POSTGRES_CERTIFICATE");
    // The folder of the cluster may be readable for its own user only.
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
    let server = Server::start_as(data, |command| {
        command.env("SSL_CERT_FILE", &trusted);
    });
    server.user("ada").await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name = 'garage-server' AND datname = current_database() AND ssl";
    assert!(client.query_one(encrypted, &[]).await.expect("a count").get::<_, i64>(0) > 0);
}

/// Another program locks the database for longer than writes wait.
#[tokio::test]
async fn writes_to_a_locked_database_are_refused_and_not_performed_later() {
    let server = Server::start(&[]).await;
    let ada = server.user("ada").await;
    let mut other = Sql::on(server.data()).await;
    other
        .run(if other.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; LOCK TABLE feeds IN EXCLUSIVE MODE" })
        .await
        .expect("locked");
    let create = || ada.post("/api/vehicles", json!({ "nickname": "x" }));
    // The client of another write disconnects while the write waits.
    let hung_up = tokio::time::timeout(std::time::Duration::from_millis(200), create());
    let (a, b, c, d, _) = tokio::join!(create(), create(), create(), create(), hung_up);
    for answer in [a, b, c, d] {
        answer.refused(StatusCode::SERVICE_UNAVAILABLE, "Database unavailable");
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK), json!([]), "reads do not need the lock");
    other.run("ROLLBACK").await.expect("unlocked");
    // Refused writes that were still queued would be performed before this one.
    let (_, last) = ada.add(json!({ "vin": ACCORD })).await;
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK), json!([last]), "no refused write was performed");
}
