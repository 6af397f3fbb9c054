//! The files that every history starts from. Migrating empty databases would take longer than the history.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use garage_core::{ChangeListener, Garage};
use garage_server::{
    auth::{Auth, Passwords, add_account},
    store::{Location, Store},
};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{device, server};

/// The account that all devices of a history belong to.
pub const EMAIL: &str = "ada@example.org";
/// Its password.
pub const PASSWORD: &str = "a long password of the simulation";

/// How long a token is used; it is valid for 15 minutes.
const TOKEN_AGE: Duration = Duration::from_secs(8 * 60);

/// An empty garage, and a server's database with one account.
pub struct Template {
    folder: TempDir,
    /// The id of the account.
    pub(crate) account: String,
    /// Shared by all servers: their start would hash a password.
    passwords: Passwords,
    token: Mutex<Option<(Instant, String)>>,
}

impl Template {
    /// Makes the files, in a folder for temporary files.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub async fn new() -> anyhow::Result<Template> {
        let folder = tempfile::tempdir()?;
        let passwords = Passwords::new()?;
        let template = Template { folder, account: String::new(), passwords, token: Mutex::default() };
        let garage =
            Garage::open(device::config(&template.garage(), device::clock(0), 0), ChangeListener::none()).await?;
        garage.close().await;
        let store = Store::open(&Location::Sqlite(template.database())).await?;
        store.count(&template.keys()).await.context("counting the start")?;
        let account = add_account(&store, EMAIL, PASSWORD).await?;
        drop(Auth::own(&template.keys(), template.passwords.clone(), false, 1000)?);
        store.close().await;
        Ok(Template { account: account.id.to_string(), ..template })
    }

    pub(crate) fn garage(&self) -> PathBuf {
        self.folder.path().join("garage.db")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("server.db")
    }

    /// The folder of signing keys, which all histories share.
    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// A server on a copy of the database, in a folder of its own.
    pub(crate) async fn server(&self, folder: &Path, seed: u64) -> anyhow::Result<server::Server> {
        let token = self.token().await?;
        server::Server::start(self, folder, seed, token).await
    }

    pub(crate) fn auth(&self) -> anyhow::Result<Auth> {
        Ok(Auth::own(&self.keys(), self.passwords.clone(), false, 1000)?)
    }

    async fn token(&self) -> anyhow::Result<String> {
        let mut token = self.token.lock().await;
        if let Some((_, token)) = token.as_ref().filter(|(made, _)| made.elapsed() < TOKEN_AGE) {
            return Ok(token.clone());
        }
        let server = server::Server::start(self, &self.folder.path().join("log-in"), 0, String::new()).await?;
        let new = server.log_in().await?;
        server.close().await;
        *token = Some((Instant::now(), new.clone()));
        Ok(new)
    }
}
