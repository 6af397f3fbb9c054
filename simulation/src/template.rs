//! The files that every history starts from. Migrating empty databases would take longer than the history.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use garage_core::{ChangeListener, Garage};
use garage_server::{
    auth::{Auth, Passwords, add_account},
    store::Store,
};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{database::Databases, device, server};

/// The account that all devices of a history belong to.
pub const EMAIL: &str = "ada@example.org";
/// Its password.
pub const PASSWORD: &str = "a long password of the simulation";

/// How long a token is used; it is valid for 15 minutes.
const TOKEN_AGE: Duration = Duration::from_secs(8 * 60);

/// A new folder for temporary files: in memory if the system has such a file system, because the simulation itself keeps
/// apart what was synced and what a loss of power destroys.
pub(crate) fn new_folder() -> std::io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// An empty garage, and a server's database with one account.
pub struct Template {
    folder: TempDir,
    pub(crate) databases: Databases,
    /// The id of the account.
    pub(crate) account: String,
    /// Shared by all servers: their start would hash a password.
    passwords: Passwords,
    token: Mutex<Option<(Instant, String)>>,
}

impl Template {
    /// Makes the files, in a folder for temporary files; servers use SQLite.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub async fn new() -> anyhow::Result<Template> {
        let folder = new_folder()?;
        let databases = Databases::Files(folder.path().join("server.db"));
        Template::with(folder, databases).await
    }

    /// As [`Template::new`], but servers use databases in this PostgreSQL cluster. `url` is that of its administrator.
    ///
    /// # Errors
    /// If a file cannot be written, or the cluster cannot be used.
    pub async fn on_postgres(url: &str) -> anyhow::Result<Template> {
        Template::with(new_folder()?, Databases::in_cluster(url).await?).await
    }

    async fn with(folder: TempDir, databases: Databases) -> anyhow::Result<Template> {
        let location = databases.original()?;
        let passwords = Passwords::new()?;
        let template = Template { folder, databases, account: String::new(), passwords, token: Mutex::default() };
        let garage =
            Garage::open(device::config(&template.garage(), device::clock(0), 0), ChangeListener::none()).await?;
        garage.close().await;
        let store = Store::open(&location).await?;
        store.count(&template.keys()).await.context("counting the start")?;
        let account = add_account(&store, EMAIL, PASSWORD).await?;
        drop(Auth::own(&template.keys(), template.passwords.clone(), false, 1000)?);
        store.close().await;
        Ok(Template { account: account.id.to_string(), ..template })
    }

    pub(crate) fn garage(&self) -> PathBuf {
        self.folder.path().join("garage.db")
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
        server.close(self).await?;
        *token = Some((Instant::now(), new.clone()));
        Ok(new)
    }
}
