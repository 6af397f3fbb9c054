//! Signing in, and the access tokens of a session, with a key store in memory and servers that answer as a test wants.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use garage_core::{
    ChangeListener, Environment, ErrorCode, Garage, GarageConfig, GarageError, GivenSession, HttpError, KeyStore,
    KeyStoreError, SecretSlice, SecretString, Session, SessionConfig, SessionError, SignedIn, Unencrypted,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    fake_server::{FakeServer, Request, json as answer, response},
    support::{Folder, config},
};

const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "correct horse battery";

/// A key store in memory.
#[derive(Default)]
struct MemoryStore {
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
    is_missing: AtomicBool,
    refuses_writes: AtomicBool,
}

impl MemoryStore {
    fn entries(&self) -> BTreeMap<String, Vec<u8>> {
        self.entries.lock().expect("no panic").clone()
    }

    fn text(&self) -> String {
        self.entries().into_values().map(|entry| String::from_utf8(entry).expect("UTF-8")).collect()
    }
}

impl KeyStore for MemoryStore {
    fn check(&self) -> Result<(), KeyStoreError> {
        match self.is_missing.load(Ordering::SeqCst) {
            true => Err(KeyStoreError::Missing("none".to_owned())),
            false => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<SecretSlice<u8>>, KeyStoreError> {
        self.check()?;
        Ok(self.entries().remove(name).map(Into::into))
    }

    fn write(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.check()?;
        if self.refuses_writes.load(Ordering::SeqCst) {
            return Err(KeyStoreError::Locked("refused".to_owned()));
        }
        self.entries.lock().expect("no panic").insert(name.to_owned(), secret.to_owned());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.check()?;
        self.entries.lock().expect("no panic").remove(name);
        Ok(())
    }
}

/// A device with a garage, a key store and a clock.
struct Device {
    folder: Folder,
    store: Arc<MemoryStore>,
    minutes: Arc<AtomicI64>,
}

impl Device {
    fn new() -> Device {
        Device { folder: Folder::new(), store: Arc::default(), minutes: Arc::default() }
    }

    fn config(&self, given: Option<GivenSession>) -> GarageConfig {
        let minutes = self.minutes.clone();
        let now = move || garage_testkit::now() + SignedDuration::from_mins(minutes.load(Ordering::SeqCst));
        GarageConfig {
            environment: Environment::new(now, uuid::Uuid::now_v7),
            session: SessionConfig { key_store: self.store.clone(), given },
            ..config(&self.folder.garage_file())
        }
    }

    async fn open(&self) -> Garage {
        Garage::open(self.config(None), ChangeListener::none()).await.expect("open")
    }

    async fn open_with_token(&self, server: &str, token: &str) -> Garage {
        let given = GivenSession { server: server.to_owned(), token: token.into(), unencrypted: Unencrypted::Refuse };
        Garage::open(self.config(Some(given)), ChangeListener::none()).await.expect("open")
    }

    /// Lets the access token of 15 minutes expire.
    fn pass_20_minutes(&self) {
        self.minutes.fetch_add(20, Ordering::SeqCst);
    }
}

async fn sign_in(garage: &Garage, server: &FakeServer) -> Result<SignedIn, GarageError> {
    garage.sign_in(&server.url, EMAIL, &PASSWORD.into(), Unencrypted::Refuse).await
}

fn session_error<T: std::fmt::Debug>(result: Result<T, GarageError>) -> SessionError {
    match result.expect_err("an error") {
        GarageError::Session(error) => error,
        other => panic!("{other:?}"),
    }
}

fn account(id: &str) -> Value {
    json!({ "id": id, "email": EMAIL, "createdAt": "2026-11-23T12:00:00Z", "disabledAt": null })
}

fn tokens(number: usize) -> Value {
    json!({
        "accessToken": format!("access-token-{number}"),
        "refreshToken": format!("refresh-token-{number}"),
        "tokenType": "Bearer",
        "expiresIn": 900,
    })
}

/// A server whose nth exchange returns the nth tokens, and accepts only the refresh token of the previous exchange.
fn honest() -> FakeServer {
    let newest = AtomicUsize::new(0);
    FakeServer::start(move |request| match request.route.as_str() {
        "POST /api/auth/register" => answer("201 Created", &account("ada")),
        "POST /api/auth/login" => answer("200 OK", &tokens(newest.fetch_add(1, Ordering::SeqCst) + 1)),
        "POST /api/auth/refresh" => {
            let number = newest.fetch_add(1, Ordering::SeqCst);
            match request.body == format!(r#"{{"refreshToken":"refresh-token-{number}"}}"#) {
                true => answer("200 OK", &tokens(number + 1)),
                false => unauthorized(),
            }
        }
        "POST /api/auth/logout" => response("204 No Content", "", b""),
        "GET /api/auth/me" => answer("200 OK", &account("ada")),
        _ => response("404 Not Found", "", b""),
    })
}

/// An honest server, except for one route.
fn honest_except(route: &'static str, other: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(move |request| match request.route.as_str() {
        it if it == route => other(request),
        "POST /api/auth/login" => answer("200 OK", &tokens(1)),
        "POST /api/auth/logout" => response("204 No Content", "", b""),
        "GET /api/auth/me" => answer("200 OK", &account("ada")),
        _ => response("404 Not Found", "", b""),
    })
}

fn unauthorized() -> Vec<u8> {
    let body = json!({ "statusCode": 401, "error": "Unauthorized", "message": "Missing or invalid token" });
    answer("401 Unauthorized", &body)
}

async fn token(session: &Session) -> String {
    bearer(&session.access_token().await.expect("a token"))
}

fn bearer(token: &garage_core::AccessToken) -> String {
    token.header().to_str().expect("ASCII").to_owned()
}

fn count(server: &FakeServer, route: &str) -> usize {
    server.routes().iter().filter(|it| *it == route).count()
}

fn bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).expect("read")).collect()
}

#[tokio::test]
async fn signing_in_keeps_the_tokens_only_in_the_key_store() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    assert_eq!(garage.remote().await.expect("read"), None);
    assert_eq!(session_error(garage.session().await), SessionError::SignedOut);
    let signed_in = sign_in(&garage, &server).await.expect("signed in");
    assert_eq!((signed_in.account.as_str(), signed_in.server.as_str()), ("ada", server.url.as_str()));
    assert_eq!(garage.remote().await.expect("read"), Some(signed_in.clone()));
    let session = garage.session().await.expect("a session");
    assert_eq!((session.remote(), token(&session).await.as_str()), (&signed_in, "Bearer access-token-1"));
    assert_eq!(server.routes(), ["POST /api/auth/login", "GET /api/auth/me"]);

    let names: Vec<String> = device.store.entries().into_keys().collect();
    assert_eq!(names, [format!("{} ada", server.url)]);
    assert!(device.store.text().contains("refresh-token-1"));
    let access_token = session.access_token().await.expect("a token");
    let debug = format!("{session:?} {access_token:?} {:?}", access_token.header());
    garage.close().await;
    let written = bytes(device.folder.0.path());
    let is_written = |text: &str| written.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(is_written(EMAIL), "the search finds what is there");
    for secret in [PASSWORD, "access-token", "refresh-token"] {
        assert!(!is_written(secret) && !debug.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn signing_up_registers_and_signs_in_but_not_for_a_garage_with_an_account() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    let password = SecretString::from(PASSWORD);
    let sign_up = async || garage.sign_up(&server.url, EMAIL, &password, Unencrypted::Refuse).await;
    sign_up().await.expect("signed up");
    let expected = ["POST /api/auth/register", "POST /api/auth/login", "GET /api/auth/me"];
    assert_eq!(server.routes(), expected);
    let other = SessionError::OtherAccount { account: EMAIL.to_owned(), server: server.url.clone() };
    assert_eq!(session_error(sign_up().await), other);
    assert_eq!(server.routes(), expected, "nothing more is sent");
}

#[tokio::test]
async fn signing_out_deletes_the_session_and_keeps_the_account() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    assert_eq!(garage.sign_out().await.expect("done").remote, None);
    let signed_in = sign_in(&garage, &server).await.expect("signed in");
    let done = garage.sign_out().await.expect("done");
    assert!(done.was_signed_in && done.is_ended_on_server);
    assert_eq!((done.remote, garage.remote().await.expect("read")), (Some(signed_in.clone()), Some(signed_in.clone())));
    assert_eq!(device.store.entries().len(), 0);
    let logout = server.received().pop().expect("a request");
    assert_eq!(logout.body, json!({ "refreshToken": "refresh-token-1" }).to_string());
    assert_eq!(session_error(garage.session().await), SessionError::SignedOut);
    assert!(!garage.sign_out().await.expect("done").was_signed_in);
    assert_eq!(sign_in(&garage, &server).await.expect("signed in again"), signed_in);
}

#[tokio::test]
async fn signing_in_again_ends_the_replaced_session() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    sign_in(&garage, &server).await.expect("signed in again");
    let last = server.received().pop().expect("a request");
    assert_eq!(last.route, "POST /api/auth/logout");
    assert_eq!(last.body, json!({ "refreshToken": "refresh-token-1" }).to_string());
    assert!(device.store.text().contains("refresh-token-2"));
}

#[tokio::test]
async fn sessions_of_one_garage_refresh_once() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(device.open().await.session().await.expect("a session"));
    }
    for expected in ["Bearer access-token-2", "Bearer access-token-3"] {
        device.pass_20_minutes();
        let refreshing: Vec<_> =
            sessions.iter().cloned().map(|session| tokio::spawn(async move { token(&session).await })).collect();
        for refreshed in refreshing {
            assert_eq!(refreshed.await.expect("no panic"), expected);
        }
    }
    assert_eq!(count(&server, "POST /api/auth/refresh"), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let (one, two) = (garage.session().await.expect("a session"), garage.session().await.expect("a session"));
    let old = one.access_token().await.expect("a token");
    let new = one.refused(&old).await.expect("another token");
    assert_eq!(bearer(&new), "Bearer access-token-2");
    assert_eq!(bearer(&two.refused(&old).await.expect("the same")), "Bearer access-token-2");
    assert_eq!(token(&two).await, "Bearer access-token-2");
    assert_eq!(count(&server, "POST /api/auth/refresh"), 1);
}

#[tokio::test]
async fn a_dropped_future_does_not_lose_the_new_token() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let session = garage.session().await.expect("a session");
    device.pass_20_minutes();
    let mut asked = Box::pin(session.access_token());
    assert!(std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context).is_pending())).await);
    drop(asked);
    // Waits for the lock that the first refresh has.
    while count(&server, "POST /api/auth/refresh") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(token(&session).await, "Bearer access-token-2");
    assert_eq!(count(&server, "POST /api/auth/refresh"), 1);
}

#[tokio::test]
async fn a_refused_refresh_ends_the_session() {
    let (device, server) = (Device::new(), honest_except("POST /api/auth/refresh", |_| unauthorized()));
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let session = garage.session().await.expect("a session");
    device.pass_20_minutes();
    assert_eq!(session.access_token().await.expect_err("ended"), SessionError::Ended);
    assert_eq!(device.store.entries().len(), 0);
    assert_eq!(session.access_token().await.expect_err("ended"), SessionError::SignedOut);
    assert!(garage.remote().await.expect("read").is_some());
}

#[tokio::test]
async fn other_answers_to_a_refresh_change_nothing() {
    type IsExpected = fn(&SessionError) -> bool;
    let ok = |body: &str| response("200 OK", "", body.as_bytes());
    let cases: [(Vec<u8>, IsExpected); 8] = [
        (response("503 Service Unavailable", "retry-after: 7\r\n", b""), |error| {
            error.is_worth_a_retry() && error.retry_after() == Some(Duration::from_secs(7))
        }),
        (response("500 Internal Server Error", "", b""), SessionError::is_worth_a_retry),
        (Vec::new(), SessionError::is_worth_a_retry),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), SessionError::is_worth_a_retry),
        (response("302 Found", "location: https://example.org/\r\n", b""), is_not_a_server),
        (ok("<html>"), is_not_a_server),
        (ok(r#"{"accessToken":"a","tokenType":"Bearer","expiresIn":900}"#), is_not_a_server),
        (ok(r#"{"accessToken":"a\r\nb","refreshToken":"c","tokenType":"Bearer","expiresIn":900}"#), is_not_a_server),
    ];
    for (number, (bytes, is_expected)) in cases.into_iter().enumerate() {
        let (device, server) = (Device::new(), honest_except("POST /api/auth/refresh", move |_| bytes.clone()));
        let garage = device.open().await;
        sign_in(&garage, &server).await.expect("signed in");
        let session = garage.session().await.expect("a session");
        let before = device.store.entries();
        device.pass_20_minutes();
        let error = session.access_token().await.expect_err("no token");
        assert!(is_expected(&error), "{number}: {error:?}");
        assert_eq!(device.store.entries(), before, "{number}");
    }
}

fn is_not_a_server(error: &SessionError) -> bool {
    matches!(error, SessionError::NotAServer { .. }) && !error.is_worth_a_retry()
}

#[tokio::test]
async fn a_failing_key_store_keeps_the_session_usable() {
    let server = FakeServer::start(|request| match request.route.as_str() {
        "POST /api/auth/login" => answer("200 OK", &tokens(1)),
        // As the real server: a used refresh token is valid while its successor is unused.
        "POST /api/auth/refresh" if request.body.contains("refresh-token-1") => answer("200 OK", &tokens(2)),
        _ => answer("200 OK", &account("ada")),
    });
    let device = Device::new();
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let session = garage.session().await.expect("a session");
    device.pass_20_minutes();
    device.store.refuses_writes.store(true, Ordering::SeqCst);
    let error = session.access_token().await.expect_err("not stored, so not used");
    assert_eq!(error, SessionError::KeyStore(KeyStoreError::Locked("refused".to_owned())));
    device.store.refuses_writes.store(false, Ordering::SeqCst);
    assert_eq!(token(&session).await, "Bearer access-token-2");
}

#[tokio::test]
async fn hostile_answers_to_a_login_store_nothing() {
    let large = vec![b' '; 64 * 1024 + 1];
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(17));
    for (number, bytes) in [
        response("200 OK", "", &large),
        endless.into_bytes(),
        response("200 OK", "", b"not JSON"),
        response("200 OK", "", br#"{"accessToken":"a"}"#),
        response("301 Moved Permanently", "location: http://127.0.0.1:9/\r\n", b""),
        response("404 Not Found", "", b"<html>"),
        response("400 Bad Request", "", br#"{"message":"x"}"#),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        let device = Device::new();
        let server = FakeServer::start(move |_| bytes.clone());
        let garage = device.open().await;
        let error = session_error(sign_in(&garage, &server).await);
        let is_expected = matches!(
            error,
            SessionError::NotAServer { .. } | SessionError::NoAccounts(_) | SessionError::Unreachable { .. }
        );
        assert!(is_expected, "{number}: {error:?}");
        assert_eq!(server.routes(), ["POST /api/auth/login"], "{number}");
        assert_eq!((device.store.entries().len(), garage.remote().await.expect("read")), (0, None), "{number}");
    }
}

#[tokio::test]
async fn answers_that_refuse_a_login_have_errors_of_their_own() {
    let fields = json!({ "statusCode": 400, "error": "Bad Request", "message": "x",
        "details": [{ "field": "email", "message": "e".repeat(1_000) }] });
    for (bytes, expected) in [
        (unauthorized(), SessionError::WrongCredentials),
        (
            response("429 Too Many Requests", "retry-after: 30\r\n", b""),
            SessionError::TooManyAttempts(Some(Duration::from_secs(30))),
        ),
        (
            answer("400 Bad Request", &fields),
            SessionError::Invalid(vec![garage_core::FieldError {
                field: "email".to_owned(),
                message: "e".repeat(200),
            }]),
        ),
    ] {
        let device = Device::new();
        let server = FakeServer::start(move |_| bytes.clone());
        assert_eq!(session_error(sign_in(&device.open().await, &server).await), expected);
    }
}

#[tokio::test]
async fn another_account_is_refused_and_its_session_ended() {
    let device = Device::new();
    let logins = AtomicUsize::new(0);
    let server = FakeServer::start(move |request| match request.route.as_str() {
        "POST /api/auth/login" => answer("200 OK", &tokens(logins.fetch_add(1, Ordering::SeqCst) + 1)),
        "POST /api/auth/logout" => response("204 No Content", "", b""),
        _ if request.headers.contains("access-token-1") => answer("200 OK", &account("ada")),
        _ => answer("200 OK", &account("bob")),
    });
    let garage = device.open().await;
    let signed_in = sign_in(&garage, &server).await.expect("signed in");
    let before = device.store.entries();
    let other = SessionError::OtherAccount { account: EMAIL.to_owned(), server: server.url.clone() };
    assert_eq!(session_error(sign_in(&garage, &server).await), other);
    assert!(server.received().pop().expect("a request").body.contains("refresh-token-2"));
    assert_eq!((device.store.entries(), garage.remote().await.expect("read")), (before, Some(signed_in)));

    let elsewhere = honest();
    assert_eq!(session_error(sign_in(&garage, &elsewhere).await), other);
    assert_eq!(elsewhere.routes().len(), 0, "the password is not sent");
    let with_token = device.open_with_token(&server.url, "access-token-2").await;
    assert_eq!(session_error(with_token.session().await), other);
}

#[tokio::test]
async fn without_a_key_store_nothing_is_sent() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    device.store.is_missing.store(true, Ordering::SeqCst);
    let error = session_error(sign_in(&garage, &server).await);
    assert_eq!(error, SessionError::KeyStore(KeyStoreError::Missing("none".to_owned())));
    assert_eq!(server.routes().len(), 0);
}

#[tokio::test]
async fn a_session_that_cannot_be_kept_is_ended() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    device.store.refuses_writes.store(true, Ordering::SeqCst);
    let error = session_error(sign_in(&garage, &server).await);
    assert_eq!(error, SessionError::KeyStore(KeyStoreError::Locked("refused".to_owned())));
    assert_eq!(GarageError::from(error).code(), ErrorCode::KeyStoreFailed);
    assert_eq!(server.routes().pop().as_deref(), Some("POST /api/auth/logout"));
    assert_eq!(garage.remote().await.expect("read"), None);
}

#[tokio::test]
async fn a_given_token_is_used_and_never_stored() {
    let (device, server) = (Device::new(), honest());
    device.store.is_missing.store(true, Ordering::SeqCst);
    let garage = device.open_with_token(&format!("{}/", server.url), "given-token").await;
    let session = garage.session().await.expect("a session");
    device.pass_20_minutes();
    let given = session.access_token().await.expect("a token");
    assert_eq!(bearer(&given), "Bearer given-token");
    assert_eq!(session.refused(&given).await.expect_err("no other"), SessionError::TokenRefused);
    assert_eq!(garage.remote().await.expect("read").as_ref(), Some(session.remote()));
    assert_eq!(server.routes(), ["GET /api/auth/me"]);
    garage.close().await;
    let written = bytes(device.folder.0.path());
    assert!(!written.windows(11).any(|window| window == b"given-token"));
}

#[tokio::test]
async fn given_sessions_that_cannot_work_are_refused_before_a_request() {
    let (device, server) = (Device::new(), honest());
    for (url, token, expected) in [
        (server.url.as_str(), "two words", SessionError::InvalidToken),
        (server.url.as_str(), "", SessionError::InvalidToken),
        ("http://garage.example.org", "token", SessionError::Unencrypted("garage.example.org".to_owned())),
    ] {
        assert_eq!(session_error(device.open_with_token(url, token).await.session().await), expected);
    }
    let nowhere = device.open_with_token("", "token").await;
    assert!(matches!(session_error(nowhere.session().await), SessionError::InvalidServer(_)));
    assert_eq!(server.routes().len(), 0);
    let refusing = FakeServer::start(|_| unauthorized());
    let garage = device.open_with_token(&refusing.url, "token").await;
    assert_eq!(session_error(garage.session().await), SessionError::TokenRefused);
}

#[tokio::test]
async fn an_unreadable_entry_counts_as_signed_out() {
    let (device, server) = (Device::new(), honest());
    let garage = device.open().await;
    sign_in(&garage, &server).await.expect("signed in");
    let name = device.store.entries().into_keys().next().expect("an entry");
    for entry in ["", "{}", "not JSON"] {
        device.store.write(&name, entry.as_bytes()).expect("written");
        assert_eq!(session_error(garage.session().await), SessionError::SignedOut, "{entry}");
    }
    garage.sign_out().await.expect("done");
    assert_eq!(device.store.entries().len(), 0);
}

#[tokio::test]
async fn failures_to_connect_are_told_apart() {
    let device = Device::new();
    let garage = device.open().await;
    let sign_in = async |url: &str| match session_error(
        garage.sign_in(url, EMAIL, &PASSWORD.into(), Unencrypted::Refuse).await,
    ) {
        SessionError::Unreachable { source, .. } => source,
        other => panic!("{other:?}"),
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert!(matches!(sign_in(&format!("http://{closed}")).await, HttpError::Offline(_)));
    // A server that does not speak TLS.
    let server = FakeServer::start(|_| Vec::new());
    let raw = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = raw.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = raw.accept().expect("a connection");
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
        // Keeps the connection open until the client closes it.
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    assert!(matches!(sign_in(&format!("https://{address}")).await, HttpError::Tls(_)));
    assert!(matches!(sign_in(&server.url).await, HttpError::BrokenOff(_)));
    let session = honest();
    garage.sign_in(&session.url, EMAIL, &PASSWORD.into(), Unencrypted::Refuse).await.expect("signed in");
    let session = garage.session().await.expect("a session");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let request = session.http().request(reqwest::Method::GET, &url).timeout(Duration::from_millis(50));
    assert_eq!(session.http().send(request, 1).await.expect_err("no answer"), HttpError::TimedOut);
}
