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
use garage_faulty_disk::Disk;
use garage_server::{
    App, router,
    store::{Location, Store},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    disk,
    template::{EMAIL, PASSWORD, Template},
};

/// More than any response has.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

pub struct Server {
    folder: PathBuf,
    /// The files that faults can happen to.
    pub disk: Disk,
    running: Option<Running>,
    token: String,
}

struct Running {
    router: Router,
    store: Store,
}

impl Server {
    pub async fn start(template: &Template, folder: &Path, seed: u64, token: String) -> anyhow::Result<Server> {
        std::fs::create_dir_all(folder)?;
        let disk = Disk::new(folder, seed)?;
        let mut server = Server { folder: folder.to_owned(), disk, running: None, token };
        std::fs::copy(template.database(), server.database())?;
        server.run(template).await?;
        Ok(server)
    }

    fn database(&self) -> PathBuf {
        self.folder.join("server.db")
    }

    /// Logs in to the account of the simulation.
    pub async fn log_in(&self) -> anyhow::Result<String> {
        let credentials = json!({ "email": EMAIL, "password": PASSWORD });
        let (status, body) = self.send(Method::POST, "/api/auth/login", &credentials).await?;
        let body: Value = serde_json::from_slice(&body)?;
        let token = body["accessToken"].as_str().with_context(|| format!("no token: {status} {body}"))?;
        Ok(token.to_owned())
    }

    async fn run(&mut self, template: &Template) -> anyhow::Result<()> {
        let store = Store::open(&Location::Sqlite(self.database())).await?;
        // The file of starts lies beside these keys, which do not exist.
        store.count(&self.folder.join("keys")).await?;
        let decoder = garage_decode::SnapshotHolder::new(self.folder.join("no-data"), Vec::new());
        let app = App::new(store.clone(), template.auth()?, decoder, Vec::new(), 10_000, None);
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
        self.folder.join("backup")
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
    pub async fn restart(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        self.run(template).await
    }

    /// Starts again after the program was killed, or the power was lost.
    pub async fn revive(&mut self, template: &Template, is_power_lost: bool) -> anyhow::Result<()> {
        self.stop().await;
        disk::revive(&self.disk, is_power_lost).await?;
        self.run(template).await
    }

    /// Copies the database, with its log if a fault has left one.
    pub async fn back_up(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        std::fs::create_dir_all(self.backup())?;
        copy(&self.folder, &self.backup())?;
        self.run(template).await
    }

    /// Puts the copy back.
    pub async fn restore(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        copy(&self.backup(), &self.folder)?;
        self.run(template).await
    }

    pub async fn close(mut self) {
        self.stop().await;
    }
}

/// Copies a database to another folder, in place of the one there.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in ["server.db", "server.db-wal", "server.db-shm"] {
        let (from, to) = (from.join(name), to.join(name));
        let _ = std::fs::remove_file(&to);
        if from.exists() && !name.ends_with("shm") {
            std::fs::copy(from, to)?;
        }
    }
    Ok(())
}
