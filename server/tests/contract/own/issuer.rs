//! Tokens of an external OpenID Connect issuer: npm's oidc-provider, on loopback.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Answer, Server};

/// A process of `server/tests/issuer`. It is killed on drop.
pub struct Issuer {
    process: Child,
    pub url: String,
}

impl Issuer {
    /// Starts an issuer with these keys, such as `ES256-1`, which are files such as `ES256-1.pem` in the folder. Missing
    /// ones are generated.
    pub fn start(folder: &Path, port: u16, keys: &str) -> Issuer {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/issuer");
        assert!(script.join("node_modules").is_dir(), "the issuer is not installed; run cargo xtask setup");
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

    /// Requests a token for a user and an audience, signed with this algorithm.
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
async fn tokens_of_the_external_issuer_are_accepted_and_others_refused() {
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
    assert_eq!(
        list(&ada).await.expect(StatusCode::OK).as_array().map(Vec::len),
        Some(3),
        "the user is the same with any key"
    );
    let bob = issuer.token("bob", "garage", "ES256").await;
    assert_eq!(list(&bob).await.expect(StatusCode::OK), json!([]));
    let other = issuer.token("ada", "other", "ES256").await;
    list(&other).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    // Another issuer with the same users and key ids.
    let other_folder = tempfile::tempdir().expect("a folder");
    let other_issuer = Issuer::start(other_folder.path(), 0, "ES256-1");
    let forged = other_issuer.token("ada", "garage", "ES256").await;
    list(&forged).await.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");

    // The server has no accounts of its own.
    let health = Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    assert_eq!(health["capabilities"], json!(["vehicles", "decode", "dropdown", "sync.v1", "sync.wait"]));
    server.post("/api/auth/login", json!({})).await.refused(StatusCode::NOT_FOUND, "Not Found");
    let served = Answer::of(server.request(Method::GET, "/api/openapi.json")).await.expect(StatusCode::OK);
    assert!(served["paths"].get("/api/auth/login").is_none() && served["paths"].get("/api/vehicles").is_some());

    // A token with a new key is accepted immediately.
    let port = issuer.port();
    drop(issuer);
    let issuer = Issuer::start(folder.path(), port, "ES256-2,ES256-1");
    let next = issuer.token("ada", "garage", "ES256").await;
    list(&next).await.expect(StatusCode::OK);
    // While the issuer is unavailable, tokens with cached keys are accepted, also those that were not seen before.
    let last = issuer.token("bob", "garage", "ES256").await;
    drop(issuer);
    list(&next).await.expect(StatusCode::OK);
    list(&last).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn server_starts_before_its_issuer() {
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

/// This includes tokens that were verified and cached before.
#[tokio::test]
async fn tokens_are_refused_after_the_issuer_removed_their_key() {
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

#[tokio::test]
async fn equal_subjects_of_two_issuers_are_two_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Issuer::start(folder.path(), 0, "ES256-1");
    let second_folder = tempfile::tempdir().expect("a folder");
    let second = Issuer::start(second_folder.path(), 0, "ES256-1");
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
    assert_eq!(users[0], "ada", "the first issuer's subjects are the user ids");
    assert_ne!(users[0], users[1]);
    assert_eq!((&users[0], &users[1]), (&users[2], &users[3]));
}
