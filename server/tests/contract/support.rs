//! A server under test, its clients and its data.

use std::{
    io::{BufRead, BufReader},
    ops::Deref,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    operations::{self, Operation},
    tokens::Signer,
};

pub const ACCORD: &str = "1HGCM82633A004352";
pub const PASSWORD: &str = "correct horse battery";
/// The capabilities of this repository's server with its own accounts.
pub const CAPABILITIES: [&str; 6] = ["vehicles", "decode", "auth", "dropdown", "sync.v1", "sync.wait"];

/// The data of a server: a folder for its keys, and a database.
pub struct Data {
    pub folder: tempfile::TempDir,
    pub database: String,
}

impl Data {
    /// A new database: on the PostgreSQL cluster that `GARAGE_TEST_POSTGRES` names, otherwise on SQLite.
    pub async fn new() -> Data {
        let folder = tempfile::tempdir().expect("a folder");
        let database = match postgres_url() {
            Some(url) => new_postgres(&url).await,
            None => format!("sqlite:{}", folder.path().join("server.db").display()),
        };
        Data { folder, database }
    }

    /// A command of `garage-server` that uses this data.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_garage-server"));
        command.args(words).env("GARAGE_DATABASE", &self.database).env("GARAGE_KEYS", self.keys());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The log of the last server that was started on this data.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The administrator's URL of the PostgreSQL cluster, if the tests run on one.
pub fn postgres_url() -> Option<String> {
    std::env::var("GARAGE_TEST_POSTGRES").ok()
}

/// Creates an empty database in the cluster and returns its URL.
pub async fn new_postgres(url: &str) -> String {
    let name = format!("test_{}", Uuid::now_v7().simple());
    postgres(url).await.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

/// Connects to PostgreSQL directly.
pub async fn postgres(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A server under test: a process that is killed on drop, or the running server that `GARAGE_TEST_BASE_URL` names.
pub struct Server {
    process: Option<Child>,
    pub base: String,
    pub http: reqwest::Client,
    data: Option<Data>,
    /// The capabilities that the server lists. Only known for [`Server::open`].
    capabilities: Vec<String>,
    /// Signs the tokens of users. Without it, users register.
    signer: Option<Signer>,
}

impl Server {
    /// The running server that `GARAGE_TEST_BASE_URL` names, or a new one with open registration.
    pub async fn open() -> Server {
        let Ok(base) = std::env::var("GARAGE_TEST_BASE_URL") else {
            let mut server = Server::start(&["--open-registration", "--rate-limit", "1000"]).await;
            server.read_capabilities().await;
            // With fewer capabilities, tests would be skipped.
            assert_eq!(server.capabilities, CAPABILITIES);
            return server;
        };
        let mut server = Server {
            process: None,
            base: base.trim_end_matches('/').to_owned(),
            http: reqwest::Client::new(),
            data: None,
            capabilities: Vec::new(),
            signer: Signer::from_environment(),
        };
        server.read_capabilities().await;
        assert!(
            server.signer.is_some() || server.lists("auth"),
            "{} does not list the capability `auth`, so users cannot register. Set GARAGE_TEST_KEY to the path of an \
             ES256 private key in PEM (PKCS #8) whose tokens the server accepts, with its `kid` as the file name, and \
             GARAGE_TEST_ISSUER to the `iss` of the tokens",
            server.base
        );
        server
    }

    /// Like [`Server::open`], for a test that requires a capability. Returns `None` if the server does not list it.
    pub async fn with_capability(capability: &str) -> Option<Server> {
        let server = Server::open().await;
        let is_listed = server.lists(capability);
        if !is_listed {
            println!("skipped: the server does not list the capability `{capability}`");
        }
        is_listed.then_some(server)
    }

    /// Starts a server on new data.
    pub async fn start(options: &[&str]) -> Server {
        Server::start_on(Data::new().await, options)
    }

    /// Starts a server on existing data.
    pub fn start_on(data: Data, options: &[&str]) -> Server {
        Server::start_as(data, |command| {
            command.args(options);
        })
    }

    /// Starts a server on existing data, with arguments and environment variables.
    pub fn start_as(data: Data, settings: impl FnOnce(&mut Command)) -> Server {
        let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
        settings(&mut command);
        Server::run(data, command)
    }

    /// Runs a command that prints the server's URL.
    pub fn run(data: Data, mut command: Command) -> Server {
        let log = std::fs::File::create(data.folder.path().join("log")).expect("a file");
        let mut process = command.stderr(log).spawn().expect("a process");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
        assert!(!line.is_empty(), "the server does not start: {}", data.log());
        Server {
            process: Some(process),
            base: line.trim().to_owned(),
            http: reqwest::Client::new(),
            data: Some(data),
            capabilities: Vec::new(),
            signer: None,
        }
    }

    async fn read_capabilities(&mut self) {
        let health = Answer::of(self.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
        let listed = health["capabilities"].as_array().expect("capabilities");
        self.capabilities = listed.iter().map(|it| it.as_str().expect("a name").to_owned()).collect();
    }

    /// Whether the server lists a capability. Only known for [`Server::open`].
    pub fn lists(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|listed| listed == capability)
    }

    /// The operations of the OpenAPI document whose capability the server lists.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = operations::all();
        operations.retain(|operation| self.lists(operations::capability(&operation.path)));
        operations
    }

    pub fn data(&self) -> &Data {
        self.data.as_ref().expect("a server that the test started")
    }

    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a server that the test started").id()
    }

    /// Sends SIGTERM to the server.
    pub fn terminate(&self) {
        let id = self.process_id().to_string();
        assert!(Command::new("kill").arg(id).status().expect("kill runs").success());
    }

    /// Stops the server and returns its data.
    pub fn stop(self) -> Data {
        self.terminate();
        self.ended()
    }

    /// Kills the server with SIGKILL and returns its data.
    pub fn kill(mut self) -> Data {
        let mut process = self.process.take().expect("a server that the test started");
        process.kill().expect("killed");
        process.wait().expect("an exit status");
        self.data.take().expect("a server that the test started")
    }

    /// Waits until the server exits and returns its data.
    pub fn ended(mut self) -> Data {
        let mut process = self.process.take().expect("a server that the test started");
        assert!(process.wait().expect("an exit status").success(), "{}", self.data().log());
        self.data.take().expect("a server that the test started")
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// A new user with a valid token.
    pub async fn user(&self, name: &str) -> User<'_> {
        match &self.signer {
            Some(signer) => User { server: self, token: signer.token(&Uuid::now_v7().to_string()) },
            None => self.account(name).await.user,
        }
    }

    /// Registers an account and logs in. If the server limits the rate, waits and retries.
    pub async fn account(&self, name: &str) -> Account<'_> {
        let email = format!("{name}-{}@example.org", Uuid::now_v7().simple());
        let credentials = json!({ "email": email, "password": PASSWORD });
        let post_with_retries = async |path: &str| loop {
            let answer = self.post(path, credentials.clone()).await;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return answer;
            }
            tokio::time::sleep(Duration::from_secs(answer.header("retry-after").parse().expect("seconds"))).await;
        };
        post_with_retries("/api/auth/register").await.expect(StatusCode::CREATED);
        let tokens = post_with_retries("/api/auth/login").await.expect(StatusCode::OK);
        let token = tokens["accessToken"].as_str().expect("a token").to_owned();
        Account { user: User { server: self, token }, email, tokens }
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

/// A client with an access token.
pub struct User<'a> {
    server: &'a Server,
    pub token: String,
}

/// A client that is logged in to an account of the server.
pub struct Account<'a> {
    user: User<'a>,
    pub email: String,
    /// The response to the login.
    pub tokens: Value,
}

impl<'a> Deref for Account<'a> {
    type Target = User<'a>;

    fn deref(&self) -> &User<'a> {
        &self.user
    }
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

    /// Adds a vehicle and returns its path and the response.
    pub async fn add(&self, body: Value) -> (String, Value) {
        let vehicle = self.post("/api/vehicles", body).await.expect(StatusCode::CREATED);
        (format!("/api/vehicles/{}", vehicle["id"].as_str().expect("an id")), vehicle)
    }
}

/// A response with its complete body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// Sends a request and reads the response.
    pub async fn of(request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("a response");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    /// Asserts the status and returns the body as JSON.
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts that it is an error with this status and message, in the contract's format.
    pub fn refused(&self, status: StatusCode, message: &str) {
        let body = self.expect(status);
        assert_eq!(body["message"], message, "{}", self.text);
        assert_eq!(body["statusCode"], status.as_u16());
        assert_eq!(body["error"], status.canonical_reason().unwrap_or_default());
    }
}
