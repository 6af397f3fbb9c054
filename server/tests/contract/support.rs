//! A running server and a client of it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub const ACCORD: &str = "1HGCM82633A004352";
pub const PASSWORD: &str = "correct horse battery";

/// What a server works on: a folder for its keys, and a database of its own.
pub struct Data {
    pub folder: tempfile::TempDir,
    pub database: String,
}

impl Data {
    /// On SQLite, or where `GARAGE_TEST_POSTGRES` names an administrator's URL, on that cluster.
    pub async fn new() -> Data {
        let folder = tempfile::tempdir().expect("a folder");
        let database = match postgres_url() {
            Some(url) => new_postgres(&url).await,
            None => format!("sqlite:{}", folder.path().join("server.db").display()),
        };
        Data { folder, database }
    }

    /// A command of `garage-server` on it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_garage-server"));
        command.args(words).env("GARAGE_DATABASE", &self.database).env("GARAGE_KEYS", self.keys());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// What is logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The administrator's URL of the cluster that the task has started.
pub fn postgres_url() -> Option<String> {
    std::env::var("GARAGE_TEST_POSTGRES").ok()
}

/// The committed OpenAPI document.
pub fn document() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json")).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// Every operation of the document: method, path with an id of nobody's, and what the document says of it.
pub fn operations() -> Vec<(Method, String, Value)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").clone();
    let operations = paths.into_iter().flat_map(|(path, item)| {
        let path = path.replace("{id}", "018f0000-0000-7000-8000-00000000ffff");
        let item = item.as_object().expect("an item").clone();
        item.into_iter()
            .map(move |(method, operation)| (method.to_uppercase().parse().expect("a method"), path.clone(), operation))
    });
    operations.collect()
}

/// A new, empty database of the cluster; its URL.
pub async fn new_postgres(url: &str) -> String {
    let name = format!("test_{}", Uuid::now_v7().simple());
    postgres(url).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

/// A connection to PostgreSQL, past the server.
pub async fn postgres(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A server as a process; it ends with this value. Or one that runs already, where `GARAGE_TEST_BASE_URL` names it.
pub struct Server {
    process: Option<Child>,
    pub base: String,
    pub http: reqwest::Client,
    data: Option<Data>,
}

impl Server {
    /// One that anybody may register with.
    pub async fn open() -> Server {
        match std::env::var("GARAGE_TEST_BASE_URL") {
            Ok(base) => Server { process: None, base, http: reqwest::Client::new(), data: None },
            Err(_) => Server::start(&["--open-registration", "--rate-limit", "1000"]).await,
        }
    }

    /// One of this test's own, with these settings.
    pub async fn start(options: &[&str]) -> Server {
        Server::start_on(Data::new().await, options)
    }

    /// On data that is there already.
    pub fn start_on(data: Data, options: &[&str]) -> Server {
        Server::start_as(data, |command| {
            command.args(options);
        })
    }

    /// On data that is there already, with whatever settings.
    pub fn start_as(data: Data, settings: impl FnOnce(&mut Command)) -> Server {
        let log = std::fs::File::create(data.folder.path().join("log")).expect("a file");
        let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
        settings(&mut command);
        let mut process = command.stderr(log).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
        assert!(!line.is_empty(), "it does not start: {}", data.log());
        let base = line.trim().to_owned();
        Server { process: Some(process), base, http: reqwest::Client::new(), data: Some(data) }
    }

    pub fn data(&self) -> &Data {
        self.data.as_ref().expect("a server of its own")
    }

    /// The id of its process.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a server of its own").id()
    }

    /// Asks it to end, as a system does.
    pub fn terminate(&self) {
        let id = self.process.as_ref().expect("a server of its own").id().to_string();
        assert!(Command::new("kill").arg(id).status().expect("kill runs").success());
    }

    /// Ends it, and gives its data.
    pub fn stop(self) -> Data {
        self.terminate();
        self.ended()
    }

    /// Kills it, without a chance to finish anything, and gives its data.
    pub fn kill(mut self) -> Data {
        let mut process = self.process.take().expect("a server of its own");
        process.kill().expect("killed");
        process.wait().expect("it ends");
        self.data.take().expect("a server of its own")
    }

    /// Waits until it has ended, and gives its data.
    pub fn ended(mut self) -> Data {
        let mut process = self.process.take().expect("a server of its own");
        assert!(process.wait().expect("it ends").success(), "{}", self.data().log());
        self.data.take().expect("a server of its own")
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// A new user with a token. A server that many register with at once may ask to wait.
    pub async fn user(&self, name: &str) -> User<'_> {
        let email = format!("{name}-{}@example.org", Uuid::now_v7().simple());
        let credentials = json!({ "email": email, "password": PASSWORD });
        let patient = async |path: &str| loop {
            let answer = self.post(path, credentials.clone()).await;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return answer;
            }
            tokio::time::sleep(Duration::from_secs(answer.header("retry-after").parse().expect("seconds"))).await;
        };
        patient("/api/auth/register").await.expect(StatusCode::CREATED);
        let tokens = patient("/api/auth/login").await.expect(StatusCode::OK);
        User { server: self, email, token: tokens["accessToken"].as_str().expect("a token").to_owned(), tokens }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Somebody who is logged in.
pub struct User<'a> {
    server: &'a Server,
    pub email: String,
    pub token: String,
    pub tokens: Value,
}

impl User<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// Adds a vehicle and gives its path and content.
    pub async fn add(&self, body: Value) -> (String, Value) {
        let vehicle = self.post("/api/vehicles", body).await.expect(StatusCode::CREATED);
        (format!("/api/vehicles/{}", vehicle["id"].as_str().expect("an id")), vehicle)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Answer {
        let response: Response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    /// The body as JSON, of an answer with this status.
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks that it is a refusal with this status and message, in the contract's form.
    pub fn refused(&self, status: StatusCode, message: &str) {
        let body = self.expect(status);
        assert_eq!(body["message"], message, "{}", self.text);
        assert_eq!(body["statusCode"], status.as_u16());
        assert_eq!(body["error"], status.canonical_reason().unwrap_or_default());
    }
}

/// What a good token of the server's own says.
pub fn claims(user: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({ "iss": "garage-server", "aud": "garage", "sub": user, "iat": now, "nbf": now, "exp": now + 900 })
}

/// A token of the server's own for any user, signed by the key in this folder.
pub fn token(keys: &Path, user: &str) -> String {
    sign(keys, &claims(user))
}

/// A token with these claims, signed by the oldest key in this folder.
pub fn sign(keys: &Path, claims: &Value) -> String {
    let file = key_files(keys).into_iter().next().expect("a key");
    let pem = std::fs::read(&file).expect("a key");
    let kid = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let header = Header { kid: Some(kid), ..Header::new(Algorithm::ES256) };
    encode(&header, claims, &EncodingKey::from_ec_pem(&pem).expect("a key")).expect("a token")
}

/// The files of the keys in this folder, the oldest first.
pub fn key_files(keys: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(keys).expect("keys").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "pem")).collect();
    files.sort();
    files
}
