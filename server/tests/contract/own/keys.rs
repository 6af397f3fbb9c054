//! Signing keys, and invalid tokens.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    support::{Answer, Data, PASSWORD, Server},
    tokens::{claims, key_files, sign, token},
};

/// Regardless of the permissions of the parent folder.
#[cfg(unix)]
#[tokio::test]
async fn keys_and_database_are_readable_only_by_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(&[]).await;
    server.user("ada").await;
    let folder = server.data().folder.path();
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let keys = server.data().keys();
    let key = key_files(&keys).remove(0);
    assert_eq!((mode(&keys), mode(&key)), (0o700, 0o600));
    for file in ["server.db", "server.db-wal", "server.db-shm"] {
        if server.data().database.starts_with("sqlite:") {
            assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        }
    }
    if server.data().database.starts_with("sqlite:") {
        let copy = folder.join("new/copy.db");
        let backup =
            |word: &str| server.data().command(&[word, &copy.display().to_string()]).output().expect("it runs");
        assert!(backup("backup").status.success());
        let again = String::from_utf8(backup("backup").stderr).expect("text");
        assert_eq!(again.matches("File exists").count(), 1, "{again}");
        assert!(backup("restore").status.success());
        let names = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let saved = names.filter(|path| path.to_string_lossy().contains("before-restore")).collect::<Vec<_>>();
        assert_eq!(saved.len(), 1);
        for file in [&copy, &saved[0], &folder.join("server.db")] {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
        let mut migrate = server.data().command(&["migrate"]);
        migrate.env("GARAGE_DATABASE", format!("sqlite:{}", folder.join("empty/server.db").display()));
        assert!(migrate.output().expect("it runs").status.success());
        assert_eq!(mode(&folder.join("empty")), 0o700);
    }
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let server = Server::start(&[]).await;
    let ada = server.account("ada").await;
    let (token, email) = (ada.token.clone(), ada.email.clone());
    let server = Server::start_on(server.stop(), &[]);
    let me = Answer::of(server.request(Method::GET, "/api/auth/me").bearer_auth(token)).await;
    assert_eq!(me.expect(StatusCode::OK)["email"], email);
}

#[tokio::test]
async fn invalid_tokens_are_refused() {
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

    let file = key_files(&keys).remove(0);
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
    let of_other_user = sign(&keys, &claims("somebody else"));
    let (_, rest) = of_other_user.split_once('.').expect("a token");
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
        ("no key id", encode(&header(Algorithm::ES256, None), &claims("u"), &own).expect("a token")),
        (
            "another key with the same id",
            encode(&header(Algorithm::ES256, Some(&kid)), &claims("u"), &other).expect("a token"),
        ),
        ("HMAC with the public keys", hmac(public.as_bytes()).expect("a token")),
        ("HMAC with the private key", hmac(&pem).expect("a token")),
        ("no algorithm", format!("eyJhbGciOiJub25lIn0.{payload}.")),
        (
            "no algorithm, with a key id",
            format!("{}.{payload}.", base64_url(&format!("{{\"alg\":\"none\",\"kid\":\"{kid}\"}}"))),
        ),
        ("the payload of another token", format!("{head}.{other_payload}.{signature}")),
        ("no signature", format!("{head}.{payload}.")),
        ("oversized", format!("{good}{}", "x".repeat(10_000))),
        ("oversized, with a valid signature", with("more", json!("x".repeat(10_000)))),
    ] {
        let answer = ask(&bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}: {}", answer.text);
        answer.refused(StatusCode::UNAUTHORIZED, "Missing or invalid token");
    }
    ask(&of_other_user).await.expect(StatusCode::OK);
}

fn base64_url(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Makes a key whose id says that it was made this many minutes ago, and returns the id.
fn key_made_before(data: &Data, minutes: u64) -> String {
    let rotated = data.command(&["rotate-keys"]).output().expect("it runs");
    assert!(rotated.status.success());
    let file = PathBuf::from(String::from_utf8(rotated.stdout).expect("a path").trim());
    let now = u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970");
    let made_at = uuid::Timestamp::from_unix(uuid::NoContext, now - 60 * minutes, 0);
    let id = uuid::Uuid::new_v7(made_at).to_string();
    std::fs::rename(&file, file.with_file_name(format!("{id}.pem"))).expect("renamed");
    id
}

fn kid(token: &Value) -> String {
    jsonwebtoken::decode_header(token.as_str().expect("a token")).expect("a token").kid.expect("a key's id")
}

#[tokio::test]
async fn tokens_of_rotated_keys_stay_valid() {
    let data = Data::new().await;
    let old_key = key_made_before(&data, 60);
    let server = Server::start_on(data, &[]);
    let ada = server.account("ada").await;
    let (old, email) = (json!(ada.token), ada.email.clone());
    assert_eq!(kid(&old), old_key);
    let data = server.stop();
    let new_key = key_made_before(&data, 10);
    let server = Server::start_on(data, &[]);
    let me = server.request(Method::GET, "/api/auth/me").bearer_auth(old.as_str().expect("a token"));
    Answer::of(me).await.expect(StatusCode::OK);
    let tokens =
        server.post("/api/auth/login", json!({ "email": email, "password": PASSWORD })).await.expect(StatusCode::OK);
    assert_eq!(kid(&tokens["accessToken"]), new_key);
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
}

/// Several servers start at the same time with an empty folder of keys, and a database for each.
#[tokio::test]
async fn servers_that_start_concurrently_share_one_key() {
    for _ in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let mut data = Vec::new();
        for _ in 0..6 {
            let new = Data::new().await;
            // Without this, servers would not read the folder at the same time.
            assert!(new.command(&["migrate"]).output().expect("it runs").status.success());
            data.push(new);
        }
        let servers: Vec<Server> = std::thread::scope(|scope| {
            let path = keys.to_str().expect("a path");
            let start = |data| scope.spawn(move || Server::start_on(data, &["--keys", path]));
            let threads: Vec<_> = data.into_iter().map(start).collect();
            threads.into_iter().map(|thread| thread.join().expect("a process")).collect()
        });
        for one in &servers {
            let token = one.user("ada").await.token;
            for other in &servers {
                let list = other.request(Method::GET, "/api/vehicles").bearer_auth(&token);
                Answer::of(list).await.expect(StatusCode::OK);
            }
        }
        assert_eq!(key_files(&keys).len(), 1);
    }
}

/// Servers that do not know the new key yet accept its tokens, and vice versa.
#[tokio::test]
async fn tokens_are_accepted_by_all_servers_during_a_rolling_restart() {
    let first = Data::new().await;
    let old_key = key_made_before(&first, 60);
    let keys = first.keys();
    let options = ["--keys", keys.to_str().expect("a path")];
    let second = Data::new().await;
    let (one, two) = (Server::start_on(first, &options), Server::start_on(second, &options));
    let check = async |servers: [&Server; 2], expected: &str| {
        for (from, to) in [(servers[0], servers[1]), (servers[1], servers[0])] {
            let email = format!("ada-{}@example.org", uuid::Uuid::now_v7().simple());
            let added = from.data().command(&["user", "add", &email]).stdin(std::process::Stdio::piped()).spawn();
            let mut added = added.expect("a process");
            std::io::Write::write_all(&mut added.stdin.take().expect("an input"), PASSWORD.as_bytes())
                .expect("written");
            assert!(added.wait().expect("it ends").success());
            let login = from.post("/api/auth/login", json!({ "email": email, "password": PASSWORD })).await;
            let token = login.expect(StatusCode::OK)["accessToken"].clone();
            if from.base == servers[0].base {
                assert_eq!(kid(&token), expected);
            }
            let list = to.request(Method::GET, "/api/vehicles").bearer_auth(token.as_str().expect("a token"));
            Answer::of(list).await.expect(StatusCode::OK);
        }
    };
    check([&one, &two], &old_key).await;
    // A new key is published, but does not sign yet.
    assert!(one.data().command(&["rotate-keys"]).output().expect("it runs").status.success());
    let one = Server::start_on(one.stop(), &options);
    let keys = Answer::of(one.request(Method::GET, "/.well-known/jwks.json")).await.expect(StatusCode::OK);
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    check([&one, &two], &old_key).await;
    // A server that does not know the signing key reads the folder again.
    let new_key = key_made_before(one.data(), 10);
    let one = Server::start_on(one.stop(), &options);
    check([&one, &two], &new_key).await;
}

#[tokio::test]
async fn invalid_files_in_the_folder_of_keys_are_logged_as_warnings() {
    let data = Data::new().await;
    std::fs::create_dir(data.keys()).expect("a folder");
    std::fs::write(data.keys().join("zz-notes.pem"), "notes").expect("written");
    let server = Server::start_on(data, &[]);
    server.user("ada").await.get("/api/auth/me").await.expect(StatusCode::OK);
    let data = server.stop();
    let log = data.log();
    assert!(log.lines().any(|line| line.contains("zz-notes.pem") && line.contains("WARN")), "{log}");
}

#[tokio::test]
async fn retire_keys_deletes_old_keys_but_not_the_signing_one() {
    let data = Data::new().await;
    let day = 24 * 60;
    let (oldest, signing) = (key_made_before(&data, 100 * day), key_made_before(&data, 50 * day));
    let retire = |days: &str| {
        let output = data.command(&["retire-keys", "--older-than", days]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("paths")
    };
    assert_eq!(retire("200"), "");
    let retired = retire("30");
    assert!(retired.trim().ends_with(&format!("{oldest}.pem")) && retired.lines().count() == 1, "{retired}");
    assert_eq!(retire("0"), "");
    assert_eq!(key_files(&data.keys()).len(), 1);
    let server = Server::start_on(data, &[]);
    assert_eq!(kid(&json!(server.user("ada").await.token)), signing);
}
