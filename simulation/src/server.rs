//! The server: the real router on a real file, without a network.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Method, Request, header},
};
use garage_server::{
    App,
    auth::{Auth, Passwords},
    router,
    store::{Location, Store},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::template::{EMAIL, PASSWORD};

/// More than any response has.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

pub struct Server {
    database: PathBuf,
    /// Names the file of starts, which belongs to one database.
    starts: PathBuf,
    keys: PathBuf,
    running: Option<Running>,
    token: String,
}

struct Running {
    router: Router,
    store: Store,
}

impl Server {
    pub async fn start(database: PathBuf, starts: PathBuf, keys: &Path, token: String) -> anyhow::Result<Server> {
        let mut server = Server { database, starts, keys: keys.to_owned(), running: None, token };
        server.run().await?;
        Ok(server)
    }

    /// Logs in to the account of the simulation.
    pub async fn log_in(&self) -> anyhow::Result<String> {
        let credentials = json!({ "email": EMAIL, "password": PASSWORD });
        let (status, body) = self.send(Method::POST, "/api/auth/login", &credentials).await?;
        let body: Value = serde_json::from_slice(&body)?;
        let token = body["accessToken"].as_str().with_context(|| format!("no token: {status} {body}"))?;
        Ok(token.to_owned())
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let store = Store::open(&Location::Sqlite(self.database.clone())).await?;
        store.count(&self.starts).await?;
        let auth = Auth::own(&self.keys, Passwords::new()?, false, 1000)?;
        let decoder = garage_decode::SnapshotHolder::new(self.database.with_file_name("none"), Vec::new());
        let app = App::new(store.clone(), auth, decoder, Vec::new(), 10_000, None);
        self.running = Some(Running { router: router(app), store });
        Ok(())
    }

    /// Sends a request with the account's token. Returns status and body.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Vec<u8>)> {
        let Some(running) = &self.running else { bail!("the server does not run") };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
            .body(Body::from(body.to_string()))?;
        let response = running.router.clone().oneshot(request).await?;
        let status = response.status().as_u16();
        Ok((status, to_bytes(response.into_body(), MAX_RESPONSE_BYTES).await?.to_vec()))
    }

    fn backup(&self) -> PathBuf {
        self.database.with_extension("backup")
    }

    pub fn has_backup(&self) -> bool {
        self.backup().exists()
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running.router);
            running.store.close().await;
        }
    }

    /// Stops, and starts again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        self.run().await
    }

    /// Copies the database.
    pub async fn back_up(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        std::fs::copy(&self.database, self.backup())?;
        self.run().await
    }

    /// Puts the copy back.
    pub async fn restore(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        for suffix in ["-wal", "-shm"] {
            let mut name = self.database.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(PathBuf::from(name));
        }
        std::fs::copy(self.backup(), &self.database)?;
        self.run().await
    }

    pub async fn close(mut self) {
        self.stop().await;
    }
}
