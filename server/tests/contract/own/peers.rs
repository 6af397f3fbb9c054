//! The other backends (`peers`): the suite on each of them, the same responses from all, and switches on one database.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use garage_testkit::fake_vpic::{Behavior, FakeVpic};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::backend::run_suite;
use crate::{
    support::{ACCORD, Answer, Data, Server, new_postgres, postgres, postgres_url},
    tokens::{claims, key_files, sign, token},
};

const BACKENDS: [&str; 3] = ["axum", "fastify", "express"];
const PEERS: [&str; 2] = ["fastify", "express"];

/// What differs between two starts of a backend.
struct Settings<'a> {
    vpic: &'a str,
    /// The file of axum's vPIC data, if not the usual one.
    snapshot: Option<&'a Path>,
}

/// A database with axum's schema, and keys whose public parts are in the file [`jwks`].
async fn new_data() -> Data {
    let folder = tempfile::tempdir().expect("a folder");
    let database = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let server = Server::start_on(Data { folder, database }, &[]);
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await;
    fs::write(jwks(server.data()), &keys.text).expect("written");
    server.stop()
}

fn jwks(data: &Data) -> PathBuf {
    data.folder.path().join("jwks.json")
}

/// Starts a backend as operators do.
fn start(backend: &str, data: Data, settings: &Settings<'_>) -> Server {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/serve.sh");
    let mut command = Command::new("sh");
    command.arg(script).env("VEHICLES_BACKEND", backend);
    command.env("GARAGE_SERVER_PROGRAM", env!("CARGO_BIN_EXE_garage-server"));
    command.env("GARAGE_DATABASE", &data.database).env("GARAGE_KEYS", data.keys()).env("GARAGE_JWKS", jwks(&data));
    command.env("GARAGE_LISTEN", "127.0.0.1:0").env("GARAGE_VPIC_URL", settings.vpic);
    if let Some(snapshot) = settings.snapshot {
        command.env("GARAGE_VPIC_FILE", snapshot);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Server::run(data, command)
}

/// Sends a request as a user.
async fn ask(server: &Server, user: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = server.request(method, path).bearer_auth(token(&server.data().keys(), user));
    Answer::of(with_body(request, body)).await
}

fn with_body(request: RequestBuilder, body: Option<Value>) -> RequestBuilder {
    match body {
        Some(body) => request.json(&body),
        None => request,
    }
}

async fn passes_the_suite(backend: &str) {
    let vpic = FakeVpic::start(Behavior::Answers).await;
    let server = start(backend, new_data().await, &Settings { vpic: &vpic.base_url, snapshot: None });
    let key = key_files(&server.data().keys()).remove(0);
    let base = server.base.clone();
    // The fake answers on this runtime.
    let suite = tokio::task::spawn_blocking(move || run_suite(&base, &key, None));
    let report = suite.await.expect("joined");
    assert!(report.passed() > 20, "{}", report.text);
    let skipped = report.skipped();
    let is_of_axum =
        |section: &String| ["`auth`", "`dropdown`", "`sync.v1`", "`sync.wait`"].iter().any(|it| section.contains(it));
    assert!(skipped.iter().all(is_of_axum), "{skipped:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn suite_passes_on_fastify() {
    passes_the_suite("fastify").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn suite_passes_on_express() {
    passes_the_suite("express").await;
}

/// What may differ between two creates of the same fields.
fn without_identity(mut vehicle: Value) -> Value {
    for name in ["id", "userId", "createdAt", "updatedAt"] {
        vehicle[name] = Value::Null;
    }
    vehicle
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn all_backends_fill_the_same_values_from_a_vin() {
    let vpic = FakeVpic::start(Behavior::Answers).await;
    let settings = Settings { vpic: &vpic.base_url, snapshot: None };
    let mut created: Vec<Vec<Value>> = Vec::new();
    let mut data = new_data().await;
    for backend in BACKENDS {
        let server = start(backend, data, &settings);
        let mut vehicles = Vec::new();
        for vin in
            [ACCORD, "1FTMW1T88MFA00001", "5UXWX7C50BA123456", "JH4KA7561PC008269", "1M8GDM9AXKP042788", "AB12345"]
        {
            let vehicle = ask(&server, backend, Method::POST, "/api/vehicles", Some(json!({ "vin": vin }))).await;
            vehicles.push(without_identity(vehicle.expect(StatusCode::CREATED)));
        }
        created.push(vehicles);
        data = server.stop();
    }
    for (backend, vehicles) in BACKENDS.iter().zip(&created) {
        assert_eq!(vehicles, &created[0], "{backend}");
    }
    assert_eq!(created[0][0]["model"], "Accord");
}

/// The parts of a response that clients depend on.
fn comparable(answer: &Answer) -> Value {
    let retry = answer.header("retry-after");
    // JSON has no charset, so the parameter has no meaning (RFC 8259, 11).
    let media_type = answer.header("content-type").split(';').next();
    json!({
        "status": answer.status.as_u16(),
        "body": answer.text,
        "mediaType": media_type,
        "authenticate": answer.header("www-authenticate"),
        "hasRetryAfter": !retry.is_empty(),
    })
}

/// The methods in `Allow`, whose order has no meaning.
fn sorted(methods: &str) -> Vec<&str> {
    let mut methods: Vec<&str> = methods.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}

/// Responses to requests that are in conflict with a vehicle, or that no route takes.
async fn conflicts(server: &Server) -> Vec<(String, Value)> {
    let used = Uuid::now_v7();
    let existing = json!({ "id": used, "vin": "1M8GDM9AXKP042788", "color": "Blue" });
    let added = ask(server, "ada", Method::POST, "/api/vehicles", Some(existing)).await.expect(StatusCode::CREATED);
    let path = format!("/api/vehicles/{used}");
    let ada = token(&server.data().keys(), "ada");
    let request = |method: Method, path: &str| server.request(method, path).bearer_auth(&ada);
    let mut conflicts = Vec::new();
    for (what, request) in [
        ("a used VIN", request(Method::POST, "/api/vehicles").json(&json!({ "vin": "1M8GDM9AXKP042788" }))),
        ("a used id", request(Method::POST, "/api/vehicles").json(&json!({ "id": used, "nickname": "x" }))),
        ("a stale change", request(Method::PUT, &path).header("if-match", "\"99\"").json(&json!({ "color": "Red" }))),
        ("a stale removal", request(Method::DELETE, &path).header("if-match", "\"99\"")),
        ("another method of a vehicle", request(Method::PATCH, &path)),
        ("another method of the list", request(Method::DELETE, "/api/vehicles")),
        ("another media type", request(Method::POST, "/api/vehicles").body("nickname=x")),
        ("no JSON", request(Method::POST, "/api/vehicles").header("content-type", "application/json").body("{")),
        ("too much", request(Method::POST, "/api/vehicles").json(&json!({ "notes": "x".repeat(1_100_000) }))),
        ("no route", request(Method::GET, "/api/nothing")),
    ] {
        let answer = Answer::of(request).await;
        let mut comparable = comparable(&answer);
        // The current state has the identity of another vehicle on each backend.
        let identity = ["id", "createdAt", "updatedAt"].map(|name| added[name].as_str().expect("text"));
        let text = identity.iter().fold(answer.text.clone(), |text, value| text.replace(value, "…"));
        comparable["body"] = json!(text.replace(&format!("\"version\":{}", added["version"]), "\"version\":…"));
        comparable["allow"] = json!(sorted(answer.header("allow")));
        conflicts.push((what.to_owned(), comparable));
    }
    assert_eq!(ask(server, "ada", Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    conflicts
}

/// Responses to requests that are invalid, not authenticated, or need a decoder that is away.
async fn refusals(server: &Server) -> Vec<(String, Value)> {
    let keys = server.data().keys();
    let mut refusals = Vec::new();
    let id = Uuid::now_v7();
    let vehicle = format!("/api/vehicles/{id}");
    for (method, path, body) in [
        (Method::POST, "/api/vehicles", json!({ "vin": "1HGCM82633A00435O" })),
        (Method::POST, "/api/vehicles", json!({ "vin": "1HG$" })),
        (Method::POST, "/api/vehicles", json!({ "vin": "1HG" })),
        (Method::POST, "/api/vehicles", json!({ "vin": "1HG", "year": "2003", "color": 7, "id": "x" })),
        (Method::POST, "/api/vehicles", json!({ "color": "Blue" })),
        (Method::POST, "/api/vehicles", json!([])),
        (Method::PUT, &vehicle, json!({ "color": "Blue" })),
        (Method::DELETE, &vehicle, Value::Null),
        (Method::POST, "/api/vehicles/decode-vin", json!({ "vin": "$$$" })),
        (Method::POST, "/api/vehicles/decode-vin", json!({ "vin": "" })),
        (Method::POST, "/api/vehicles/decode-vin", json!({ "vin": ACCORD, "modelYear": "x" })),
        (Method::POST, "/api/vehicles/decode-vin", json!({ "vin": ACCORD })),
    ] {
        let what = format!("{method} {} {body}", path.replace(&id.to_string(), "ID"));
        let answer = ask(server, "ada", method, path, (!body.is_null()).then_some(body)).await;
        refusals.push((what, comparable(&answer)));
    }
    refusals.extend(conflicts(server).await);
    let valid = claims("ada");
    let changed = |name: &str, value: Value| {
        let mut claims = valid.clone();
        claims[name] = value;
        format!("Bearer {}", sign(&keys, &claims))
    };
    for (what, authorization) in [
        ("none", String::new()),
        ("another scheme", "Basic YTpi".to_owned()),
        ("no token", "Bearer".to_owned()),
        ("garbage", "Bearer abc.def.ghi".to_owned()),
        ("expired", changed("exp", json!(1_000_000_000))),
        ("not yet valid", changed("nbf", json!(9_000_000_000_i64))),
        ("another issuer", changed("iss", json!("https://example.org"))),
        ("another audience", changed("aud", json!("others"))),
        ("no subject", changed("sub", Value::Null)),
        ("an ID token", changed("nonce", json!("x"))),
    ] {
        for method in [Method::GET, Method::POST] {
            let mut request = server.request(method.clone(), "/api/vehicles");
            if !authorization.is_empty() {
                request = request.header("authorization", &authorization);
            }
            let answer = Answer::of(with_body(request, (method == Method::POST).then(|| json!([])))).await;
            refusals.push((format!("{method} with the authorization: {what}"), comparable(&answer)));
        }
    }
    refusals
}

async fn refusals_without_a_database(server: &Server) -> Vec<(String, Value)> {
    let admin = postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let (_, name) = server.data().database.rsplit_once('/').expect("a name");
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.expect("closed");
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'");
    admin.batch_execute(&end).await.expect("ended");
    let mut refusals = Vec::new();
    let vehicle = "/api/vehicles/018f0000-0000-7000-8000-000000000001";
    for (method, path, body) in [
        (Method::GET, "/api/health", None),
        (Method::GET, "/api/vehicles", None),
        (Method::POST, "/api/vehicles", Some(json!({ "nickname": "x" }))),
        (Method::GET, vehicle, None),
        (Method::PUT, vehicle, Some(json!({ "color": "Blue" }))),
        (Method::DELETE, vehicle, None),
    ] {
        let what = format!("{method} {path} without a database");
        refusals.push((what, comparable(&ask(server, "ada", method, path, body).await)));
    }
    admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.expect("open");
    refusals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn all_backends_refuse_with_the_same_responses() {
    let vpic = FakeVpic::start(Behavior::Fails).await;
    let nowhere = Path::new("/nonexistent/vpic.rkyv");
    let settings = Settings { vpic: &vpic.base_url, snapshot: Some(nowhere) };
    let mut all = Vec::new();
    let mut data = new_data().await;
    for backend in BACKENDS {
        let server = start(backend, data, &settings);
        let mut found = refusals(&server).await;
        found.extend(refusals_without_a_database(&server).await);
        all.push(found);
        data = server.stop();
    }
    for (backend, found) in BACKENDS.iter().zip(&all) {
        for (expected, found) in all[0].iter().zip(found) {
            assert_eq!(expected, found, "{backend}");
        }
        assert_eq!(found.len(), all[0].len());
    }
    let is_error = |(_, answer): &(String, Value)| answer["status"].as_u64().is_some_and(|status| status >= 400);
    assert!(all[0].iter().all(is_error), "{:#?}", all[0]);
    let statuses: std::collections::BTreeSet<_> = all[0].iter().map(|(_, it)| it["status"].as_u64()).collect();
    assert_eq!(statuses, [400, 401, 404, 405, 409, 412, 413, 415, 503].map(Some).into());
}

/// The versions of all vehicles in the database, in ascending order. Asserts that the feed agrees.
async fn versions(database: &str) -> Vec<i64> {
    let client = postgres(database).await;
    let rows = client.query("SELECT version FROM vehicles ORDER BY version", &[]).await.expect("rows");
    let versions: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let feed = client.query_one("SELECT version, record_count FROM feeds", &[]).await.expect("one user's feed");
    let (version, records): (i64, i64) = (feed.get(0), feed.get(1));
    assert_eq!((versions.last(), versions.len()), (Some(&version), usize::try_from(records).expect("a number")));
    versions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn a_switch_loses_and_changes_nothing() {
    let vpic = FakeVpic::start(Behavior::Answers).await;
    let settings = Settings { vpic: &vpic.base_url, snapshot: None };
    let mut data = new_data().await;
    // What a client has seen of each vehicle, and the body of its create.
    let mut seen: Vec<(Value, Value)> = Vec::new();
    let mut last_version = 0;
    let vins = [ACCORD, "1FTMW1T88MFA00001", "JH4KA7561PC008269", "1M8GDM9AXKP042788", "5UXWX7C50BA123456"];
    for (number, backend) in ["axum", "fastify", "express", "fastify", "axum"].into_iter().enumerate() {
        let server = start(backend, data, &settings);
        let at = |vehicle: &Value| format!("/api/vehicles/{}", vehicle["id"].as_str().expect("an id"));
        // Everything is there as it was, and a create that is sent again through this backend is recognized.
        let list = ask(&server, "ada", Method::GET, "/api/vehicles", None).await.expect(StatusCode::OK);
        let expected: Vec<&Value> = seen.iter().rev().map(|(vehicle, _)| vehicle).collect();
        assert_eq!(list.as_array().expect("a list").iter().collect::<Vec<_>>(), expected, "{backend}");
        for (vehicle, body) in &seen {
            assert_eq!(&ask(&server, "ada", Method::GET, &at(vehicle), None).await.expect(StatusCode::OK), vehicle);
            if vehicle["color"].is_null() {
                let again = ask(&server, "ada", Method::POST, "/api/vehicles", Some(body.clone())).await;
                assert_eq!(&again.expect(StatusCode::OK), vehicle, "{backend}");
            }
        }
        // It adds, changes what another backend added, and removes.
        for vin in [Some(vins[number]), None] {
            let id = Uuid::now_v7();
            let body =
                json!({ "id": id, "vin": vin, "nickname": format!("Näme {number} \u{1F697}"), "odometerReading": 7.0 });
            let created = ask(&server, "ada", Method::POST, "/api/vehicles", Some(body.clone())).await;
            seen.push((created.expect(StatusCode::CREATED), body));
        }
        if number > 0 {
            let (vehicle, _) = &mut seen[number];
            let change = Some(json!({ "color": backend, "year": 2001 }));
            *vehicle = ask(&server, "ada", Method::PUT, &at(vehicle), change).await.expect(StatusCode::OK);
            let (removed, _) = seen.remove(0);
            assert_eq!(ask(&server, "ada", Method::DELETE, &at(&removed), None).await.status, StatusCode::NO_CONTENT);
        }
        // Every write is in the feed, with a version of its own.
        let versions = versions(&server.data().database).await;
        let newest = versions.last().copied().expect("a version");
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(newest, last_version + if number > 0 { 4 } else { 2 }, "{backend}: {versions:?}");
        last_version = newest;
        data = server.stop();
    }
}

/// A backend that was stopped in the middle has answered what it has done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Node: cargo xtask contract"]
async fn a_backend_that_is_stopped_completes_the_requests_that_it_has_accepted() {
    for backend in PEERS {
        let vpic = FakeVpic::start(Behavior::IsSlow(Duration::from_millis(500))).await;
        let server = start(backend, new_data().await, &Settings { vpic: &vpic.base_url, snapshot: None });
        let create = server.request(Method::POST, "/api/vehicles").bearer_auth(token(&server.data().keys(), "ada"));
        let create = tokio::spawn(Answer::of(create.json(&json!({ "vin": ACCORD }))));
        while vpic.questions() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let data = server.stop();
        create.await.expect("joined").expect(StatusCode::CREATED);
        assert_eq!(versions(&data.database).await, [1], "{backend}");
    }
}
