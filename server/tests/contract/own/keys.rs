//! Keys, and tokens that are not as they should be.

use std::{path::Path, process::Command};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Server, claims, sign, token};

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
