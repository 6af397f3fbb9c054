//! The server: the real router on a real database, without a network.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Method, Request, header},
};
use garage_faulty_disk::Disk;
use garage_server::{App, router, store::Store};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    database::Database,
    template::{EMAIL, PASSWORD, Template},
};

/// More than any response has.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

pub struct Server {
    folder: PathBuf,
    database: Database,
    running: Option<Running>,
    /// Another process on a database of a cluster, through which clients of plain REST write.
    beside: Option<Running>,
    token: String,
}

struct Running {
    router: Router,
    store: Store,
}

impl Running {
    async fn stop(running: &mut Option<Running>) {
        if let Some(running) = running.take() {
            drop(running.router);
            running.store.close().await;
        }
    }
}

impl Server {
    pub async fn start(template: &Template, folder: &Path, seed: u64, token: String) -> anyhow::Result<Server> {
        std::fs::create_dir_all(folder)?;
        let database = template.databases.copy(folder, seed).await?;
        let mut server = Server { folder: folder.to_owned(), database, running: None, beside: None, token };
        server.run(template).await?;
        Ok(server)
    }

    /// The disk that faults can happen to.
    pub fn disk(&self) -> Option<&Disk> {
        self.database.disk()
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
        let location = self.database.location(&template.databases)?;
        let store = Store::open(&location).await?;
        // The file of starts lies beside these keys, which do not exist.
        store.count(&self.folder.join("keys")).await?;
        self.running = Some(self.serve(template, store)?);
        if self.database.disk().is_none() {
            self.beside = Some(self.serve(template, Store::open(&location).await?)?);
        }
        Ok(())
    }

    fn serve(&self, template: &Template, store: Store) -> anyhow::Result<Running> {
        let decoder = garage_decode::SnapshotHolder::new(self.folder.join("no-data"), Vec::new());
        let app = App::new(store.clone(), template.auth()?, decoder, Vec::new(), 10_000, None, 0);
        Ok(Running { router: router(app), store })
    }

    /// Sends a request with the account's token. Returns status and body.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Vec<u8>)> {
        self.send_to(self.running.as_ref(), method, path, body).await
    }

    /// Sends a request by connections of its own, where there is another process.
    pub async fn send_beside(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Vec<u8>)> {
        self.send_to(self.beside.as_ref().or(self.running.as_ref()), method, path, body).await
    }

    async fn send_to(
        &self,
        running: Option<&Running>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let running = running.context("the server does not run")?;
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

    pub fn has_backup(&self) -> bool {
        self.database.has_backup()
    }

    async fn stop(&mut self) {
        Running::stop(&mut self.beside).await;
        Running::stop(&mut self.running).await;
    }

    /// Stops, and starts again.
    pub async fn restart(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        self.run(template).await
    }

    /// Starts again after the program was killed, or the power was lost.
    pub async fn revive(&mut self, template: &Template, is_power_lost: bool) -> anyhow::Result<()> {
        self.stop().await;
        self.database.revive(is_power_lost).await?;
        self.run(template).await
    }

    /// Copies the database.
    pub async fn back_up(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        self.database.back_up(&template.databases).await?;
        self.run(template).await
    }

    /// Puts the copy back.
    pub async fn restore(&mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        self.database.restore(&template.databases).await?;
        self.run(template).await
    }

    pub async fn close(mut self, template: &Template) -> anyhow::Result<()> {
        self.stop().await;
        self.database.remove(&template.databases).await
    }
}
