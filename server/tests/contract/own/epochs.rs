//! Versions and entity tags are never reused after a database is restored; and the quota of vehicles.

use std::{collections::BTreeMap, path::PathBuf};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    support::{Answer, Data, Server, postgres, postgres_url},
    tokens::token,
};

/// A client that remembers every entity tag and its content.
struct Client {
    /// The content of each path and tag.
    seen: BTreeMap<(String, String), Value>,
}

impl Client {
    async fn ask(
        server: &Server,
        method: Method,
        path: &str,
        body: Option<Value>,
        tag: Option<(&str, &str)>,
    ) -> Answer {
        let mut request = server.request(method, path).bearer_auth(token(&server.data().keys(), "ada"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some((name, value)) = tag {
            request = request.header(name, value);
        }
        Answer::of(request).await
    }

    /// Reads a path and asserts that its tag had no other content before.
    async fn read(&mut self, server: &Server, path: &str) -> String {
        let answer = Client::ask(server, Method::GET, path, None, None).await;
        let tag = answer.header("etag").to_owned();
        let content = answer.expect(StatusCode::OK);
        let before = self.seen.insert((path.to_owned(), tag.clone()), content.clone());
        assert!(before.is_none_or(|before| before == content), "{tag} of {path} stands for two states");
        tag
    }

    async fn rename(&mut self, server: &Server, path: &str, name: &str) {
        Client::ask(server, Method::PUT, path, Some(json!({ "nickname": name })), None).await.expect(StatusCode::OK);
        self.read(server, path).await;
        self.read(server, "/api/vehicles").await;
    }
}

/// Changes a vehicle, copies the database, changes the vehicle three more times, restores the copy, and changes it again.
async fn restored(copy: impl AsyncFn(&Data), put_back: impl AsyncFn(&Data)) {
    let server = Server::start(&[]).await;
    let mut client = Client { seen: BTreeMap::new() };
    let added = Client::ask(&server, Method::POST, "/api/vehicles", Some(json!({ "nickname": "one" })), None).await;
    let added = added.expect(StatusCode::CREATED);
    let path = format!("/api/vehicles/{}", added["id"].as_str().expect("an id"));
    client.rename(&server, &path, "two").await;
    let data = server.stop();
    copy(&data).await;

    let server = Server::start_on(data, &[]);
    for name in ["three", "four", "five"] {
        client.rename(&server, &path, name).await;
    }
    let lost = client.read(&server, &path).await;
    let lost_list = client.read(&server, "/api/vehicles").await;
    let data = server.stop();
    put_back(&data).await;

    let server = Server::start_on(data, &[]);
    let polled =
        Client::ask(&server, Method::GET, "/api/vehicles", None, Some((header::IF_NONE_MATCH.as_str(), &lost_list)));
    assert_eq!(polled.await.expect(StatusCode::OK)[0]["nickname"], "two");
    for name in ["6", "7", "8", "9"] {
        client.rename(&server, &path, name).await;
        let stale = Client::ask(&server, Method::PUT, &path, Some(json!({})), Some((header::IF_MATCH.as_str(), &lost)));
        stale.await.expect(StatusCode::PRECONDITION_FAILED);
    }
    // Versions of a user that is not in the copy start above all earlier versions, too.
    let other = server.request(Method::POST, "/api/vehicles").bearer_auth(token(&server.data().keys(), "bob"));
    let other = Answer::of(other.json(&json!({ "nickname": "x" }))).await.expect(StatusCode::CREATED);
    assert!(other["version"].as_i64().is_some_and(|version| version > 1 << 32), "{other}");

    // A restart without a restore starts no new epoch.
    let before = client.read(&server, "/api/vehicles").await;
    let server = Server::start_on(server.stop(), &[]);
    assert_eq!(client.read(&server, "/api/vehicles").await, before);
}

#[tokio::test]
async fn entity_tags_are_not_reused_after_garage_server_restore() {
    if postgres_url().is_some() {
        let data = Data::new().await;
        let refused = data.command(&["backup", "x"]).output().expect("it runs");
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("pg_dump"));
        return;
    }
    let command = async |data: &Data, word: &str| {
        let file = data.folder.path().join("copy.db").display().to_string();
        let output = data.command(&[word, &file]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let copy = async |data: &Data| drop(command(data, "backup").await);
    let put_back = async |data: &Data| {
        let said = command(data, "restore").await;
        let saved = said.lines().last().and_then(|line| line.strip_prefix("What it was before is ")).expect("a file");
        let saved = rusqlite::Connection::open(saved).expect("a connection");
        let name: String = saved.query_row("SELECT nickname FROM vehicles", [], |row| row.get(0)).expect("a row");
        assert_eq!(name, "five");
    };
    restored(copy, put_back).await;
}

#[tokio::test]
async fn entity_tags_are_not_reused_after_a_restore_by_other_means() {
    let Some(admin) = postgres_url() else {
        let file = |data: &Data| data.folder.path().join("server.db");
        let copied = |data: &Data| data.folder.path().join("copy.db");
        let copied_to = |from: PathBuf, to: PathBuf| assert!(std::fs::copy(from, to).expect("copied") > 0);
        let copy = async |data: &Data| copied_to(file(data), copied(data));
        let put_back = async |data: &Data| copied_to(copied(data), file(data));
        return restored(copy, put_back).await;
    };
    let name = |data: &Data| data.database.rsplit_once('/').expect("a URL").1.to_owned();
    let execute = async |sql: String| postgres(&admin).await.batch_execute(&sql).await.expect("executed");
    let copy = async |data: &Data| execute(format!("CREATE DATABASE {0}_copy TEMPLATE {0}", name(data))).await;
    let put_back = async |data: &Data| {
        execute(format!("DROP DATABASE {}", name(data))).await;
        execute(format!("ALTER DATABASE {0}_copy RENAME TO {0}", name(data))).await;
    };
    restored(copy, put_back).await;
}

/// For a restore that no server can notice, because only other programs have written since the backup.
#[tokio::test]
async fn new_epoch_raises_the_versions_of_all_users() {
    let server = Server::start(&[]).await;
    let mut client = Client { seen: BTreeMap::new() };
    let added = Client::ask(&server, Method::POST, "/api/vehicles", Some(json!({ "nickname": "one" })), None).await;
    let path = format!("/api/vehicles/{}", added.expect(StatusCode::CREATED)["id"].as_str().expect("an id"));
    let before = client.read(&server, "/api/vehicles").await;
    let data = server.stop();
    let output = data.command(&["new-epoch"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Server::start_on(data, &[]);
    assert_ne!(client.read(&server, "/api/vehicles").await, before);
    client.rename(&server, &path, "two").await;
    let version = Client::ask(&server, Method::GET, &path, None, None).await.expect(StatusCode::OK)["version"].as_i64();
    assert!(version.is_some_and(|version| version > 1 << 32), "{version:?}");
    assert!(!server.stop().log().contains("was restored"), "the start has found nothing");
}

/// The backup and the database have seen the same number of starts.
#[tokio::test]
async fn entity_tags_are_not_reused_after_a_backup_of_a_running_server_is_put_back() {
    if postgres_url().is_some() {
        // Copying a database as a template needs its servers to be stopped.
        return;
    }
    let server = Server::start(&[]).await;
    let mut client = Client { seen: BTreeMap::new() };
    let added = Client::ask(&server, Method::POST, "/api/vehicles", Some(json!({ "nickname": "one" })), None).await;
    let path = format!("/api/vehicles/{}", added.expect(StatusCode::CREATED)["id"].as_str().expect("an id"));
    let file = server.data().folder.path().join("copy.db");
    let backup = server.data().command(&["backup", &file.display().to_string()]).output().expect("it runs");
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    client.rename(&server, &path, "two").await;
    let lost = client.read(&server, &path).await;
    let data = server.stop();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.folder.path().join(format!("server.db{end}")));
    }
    std::fs::copy(&file, data.folder.path().join("server.db")).expect("copied");

    let server = Server::start_on(data, &[]);
    client.rename(&server, &path, "other").await;
    let stale = Client::ask(&server, Method::PUT, &path, Some(json!({})), Some((header::IF_MATCH.as_str(), &lost)));
    stale.await.expect(StatusCode::PRECONDITION_FAILED);
    let data = server.stop();
    assert!(data.log().contains("a new epoch begins"), "{}", data.log());
    // Restoring is possible more than once a second.
    for _ in 0..3 {
        let restored = data.command(&["restore", &file.display().to_string()]).output().expect("it runs");
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    }
}

#[tokio::test]
async fn creates_above_the_quota_are_refused() {
    let server = Server::start(&["--vehicle-quota", "2"]).await;
    let add =
        async || Client::ask(&server, Method::POST, "/api/vehicles", Some(json!({ "nickname": "x" })), None).await;
    let first = add().await.expect(StatusCode::CREATED);
    add().await.expect(StatusCode::CREATED);
    let message = "An account can have at most 2 vehicles, removed ones included";
    add().await.refused(StatusCode::FORBIDDEN, message);
    let path = format!("/api/vehicles/{}", first["id"].as_str().expect("an id"));
    Client::ask(&server, Method::DELETE, &path, None, None).await.expect(StatusCode::NO_CONTENT);
    add().await.refused(StatusCode::FORBIDDEN, message);
}
