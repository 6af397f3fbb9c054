//! An external OpenID Connect issuer: npm's oidc-provider, on loopback.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, Server};

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

/// A token that was accepted before is refused as soon as the issuer is known to have withdrawn its key.
#[tokio::test]
async fn a_withdrawn_key_ends_tokens_that_were_seen_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::start(folder.path(), 0, "ES256-1");
    let server = Server::start(&["--issuer", &issuer.url]).await;
    let list = async |token: &str| Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(token)).await;
    let old = issuer.token("ada", "garage", "ES256").await;
    list(&old).await.expect(StatusCode::OK);
    let port = issuer.port();
    drop(issuer);
    let issuer = Issuer::start(folder.path(), port, "ES256-2");
    let new = issuer.token("ada", "garage", "ES256").await;
    list(&new).await.expect(StatusCode::OK);
    list(&old).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
}

/// The same subject of two issuers is two people.
#[tokio::test]
async fn users_of_another_issuer_are_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Issuer::start(folder.path(), 0, "ES256-1");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let second = Issuer::start(elsewhere.path(), 0, "ES256-1");
    let mut users = Vec::new();
    let mut data = crate::support::Data::new().await;
    for issuer in [&first, &second, &first, &second] {
        let server = Server::start_on(data, &["--issuer", &issuer.url]);
        let ada = issuer.token("ada", "garage", "ES256").await;
        let body = json!({ "nickname": "Bluebird" });
        let added = Answer::of(server.request(Method::POST, "/api/vehicles").bearer_auth(&ada).json(&body)).await;
        users.push(added.expect(StatusCode::CREATED)["userId"].as_str().expect("a user").to_owned());
        data = server.stop();
    }
    assert_eq!(users[0], "ada", "as it was when there was one issuer only");
    assert_ne!(users[0], users[1]);
    assert_eq!((&users[0], &users[1]), (&users[2], &users[3]));
}
