//! A running server and a client of it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

pub const ACCORD: &str = "1HGCM82633A004352";
const PASSWORD: &str = "correct horse battery";

/// A server as a process, on a database of its own; it ends with this value.
pub struct Server {
    process: Child,
    pub base: String,
    pub http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start(options: &[&str]) -> Server {
        Server::start_in(tempfile::tempdir().expect("a folder"), options)
    }

    /// On the data that is in this folder.
    pub fn start_in(folder: tempfile::TempDir, options: &[&str]) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_garage-server"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options)
            .env("GARAGE_DATABASE", format!("sqlite:{}", folder.path().join("server.db").display()))
            .env("GARAGE_KEYS", folder.path().join("keys"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("an output")).read_line(&mut line).expect("the first line");
        Server { process, base: line.trim().to_owned(), http: reqwest::Client::new(), folder }
    }

    /// Ends it as a system does, and gives its data.
    pub fn stop(mut self) -> tempfile::TempDir {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        assert!(self.process.wait().expect("it ends").success());
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// A new user with a token.
    pub async fn user(&self, name: &str) -> User<'_> {
        let credentials = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        self.post("/api/auth/register", credentials.clone()).await.expect(StatusCode::CREATED);
        let tokens = self.post("/api/auth/login", credentials).await.expect(StatusCode::OK);
        User { server: self, token: tokens["accessToken"].as_str().expect("a token").to_owned(), tokens }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Somebody who is logged in.
pub struct User<'a> {
    server: &'a Server,
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
