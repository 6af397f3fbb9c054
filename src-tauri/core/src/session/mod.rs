//! Signing in to a server, and the access tokens of its session.
//!
//! - `sign_in`: signing up, in and out
//! - `key_store`: the operating system's store of secrets; `token`: what a session keeps there
//! - `auth_api`: the requests; `server_url`: which servers are accepted
//! - `lock`: the lock between programs that refresh a session
//! - `error`: [`SessionError`]
//!
//! Invariants: passwords and tokens are never in a file, a log line or `Debug` output; a garage belongs to one account of
//! one server, and nothing is stored for another one; a new token is in the key store before it is used. Programs that
//! share a session refresh it one after another, and each reads the key store again after it has the lock. Only the
//! server's refusal ends a session: without an answer everything stays as it is.

mod auth_api;
mod error;
mod key_store;
mod lock;
mod server_url;
mod sign_in;
mod token;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

pub use error::SessionError;
pub use key_store::{KeyStore, KeyStoreError, system_key_store};
pub use server_url::Unencrypted;
pub use sign_in::{SignOut, SignedIn};
pub use token::AccessToken;

use self::{
    auth_api::AuthApi,
    lock::SessionLock,
    server_url::ServerUrl,
    token::{Access, Entry},
};
use crate::{
    Environment, Garage, GarageError,
    http::HttpClient,
    store::account::{self, AccountRow},
};

/// Where sessions come from.
#[derive(Clone)]
pub struct SessionConfig {
    /// Keeps the tokens.
    pub key_store: Arc<dyn KeyStore>,
    /// A session that is used instead of the one in the key store, for scripts and for machines without a key store.
    pub given: Option<GivenSession>,
}

impl Default for SessionConfig {
    /// The operating system's key store.
    fn default() -> SessionConfig {
        SessionConfig { key_store: system_key_store(), given: None }
    }
}

/// An access token that the user has set, and its server. It is not stored and cannot be refreshed.
#[derive(Debug, Clone)]
pub struct GivenSession {
    /// The server's URL.
    pub server: String,
    /// The access token.
    pub token: SecretString,
    /// Whether the token may be sent without encryption.
    pub unencrypted: Unencrypted,
}

/// The account on a server that a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The server's URL, without a path and a trailing slash.
    pub server: String,
    /// The account's id, the `userId` of its records.
    pub account: String,
    /// The account's email address at the last sign-in, if it is known.
    pub email: Option<String>,
}

impl From<AccountRow> for Remote {
    fn from(AccountRow { server, account, email }: AccountRow) -> Remote {
        Remote { server, account, email }
    }
}

/// A session with a server. Clones share the current access token. It does not notice that another program signs out
/// until it has to refresh, so get a new one with [`Garage::session`] for each pass of work.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    remote: Remote,
    api: AuthApi,
    source: Source,
}

enum Source {
    Given(AccessToken),
    Stored(StoredSession),
}

/// A session in the key store.
struct StoredSession {
    slot: Slot,
    environment: Environment,
    lock_file: PathBuf,
    /// The token that this process has read or received last.
    current: Mutex<Access>,
}

impl Garage {
    /// The session of this garage: the given one, or the one in the key store. Only the given one needs the network, to
    /// learn its account.
    ///
    /// # Errors
    /// [`GarageError::Session`]: `SignedOut` if there is none, `KeyStore`, `OtherAccount`, `Unencrypted`; for a given
    /// session also `InvalidServer`, `InvalidToken`, `TokenRefused`, and those of a failed request.
    /// [`GarageError::Store`] if the garage cannot be read or written.
    pub async fn session(&self) -> Result<Session, GarageError> {
        match &self.session.given {
            Some(given) => self.given_session(given).await,
            None => self.stored_session().await,
        }
    }

    /// The account that this garage belongs to, or `None` if nobody has ever signed in. It stays after signing out.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the garage cannot be read.
    pub async fn remote(&self) -> Result<Option<Remote>, GarageError> {
        Ok(self.account_row().await?.map(Remote::from))
    }

    /// Binds this garage to an account without signing in, for callers with another way to its server.
    ///
    /// # Errors
    /// [`GarageError::Session`] (`OtherAccount`) if it belongs to another account; [`GarageError::Store`].
    pub async fn bind_to_account(&self, remote: Remote) -> Result<(), GarageError> {
        let Remote { server, account, email } = remote;
        self.remember(AccountRow { server, account, email }).await
    }

    async fn account_row(&self) -> Result<Option<AccountRow>, GarageError> {
        self.database.read(|transaction| Ok(account::get(transaction)?)).await
    }

    async fn given_session(&self, given: &GivenSession) -> Result<Session, GarageError> {
        let server = ServerUrl::parse(&given.server, given.unencrypted)?;
        let token = AccessToken::new(given.token.clone())?;
        refuse_other_server(self.account_row().await?, &server)?;
        let api = AuthApi::new(server)?;
        let account = api.account(&token).await?;
        let row = AccountRow { server: api.server.to_string(), account: account.id, email: Some(account.email) };
        self.remember(row.clone()).await?;
        Ok(Session(Arc::new(Shared { remote: row.into(), api, source: Source::Given(token) })))
    }

    async fn stored_session(&self) -> Result<Session, GarageError> {
        let row = self.account_row().await?.ok_or(SessionError::SignedOut)?;
        let slot = self.slot(&row);
        let entry = slot.read().await?.ok_or(SessionError::SignedOut)?;
        let unencrypted = if entry.allows_unencrypted { Unencrypted::Allow } else { Unencrypted::Refuse };
        let api = AuthApi::new(ServerUrl::parse(&row.server, unencrypted)?)?;
        let stored = StoredSession {
            slot,
            environment: self.environment.clone(),
            lock_file: lock::path(&self.garage_file),
            current: Mutex::new(entry.tokens.access),
        };
        Ok(Session(Arc::new(Shared { remote: row.into(), api, source: Source::Stored(stored) })))
    }

    fn slot(&self, row: &AccountRow) -> Slot {
        // A URL has no spaces, so no two accounts have the same name.
        let name = format!("{} {}", row.server, row.account);
        Slot { store: self.session.key_store.clone(), name }
    }

    /// Writes the garage's account, unless the garage belongs to another one.
    async fn remember(&self, row: AccountRow) -> Result<(), GarageError> {
        let written = self.database.write(move |transaction| {
            if !account::set(transaction, &row)? {
                return Err(account::get(transaction)?.map_or(SessionError::SignedOut, other_account).into());
            }
            Ok::<_, GarageError>(())
        });
        written.await
    }
}

fn refuse_other_server(row: Option<AccountRow>, server: &ServerUrl) -> Result<(), SessionError> {
    row.filter(|row| row.server != server.as_str()).map_or(Ok(()), |row| Err(other_account(row)))
}

fn refuse_other_account(row: Option<AccountRow>, wanted: &AccountRow) -> Result<(), SessionError> {
    let is_other = |row: &AccountRow| row.server != wanted.server || row.account != wanted.account;
    row.filter(is_other).map_or(Ok(()), |row| Err(other_account(row)))
}

fn other_account(row: AccountRow) -> SessionError {
    SessionError::OtherAccount { account: row.email.unwrap_or(row.account), server: row.server }
}

impl Session {
    /// The account of this session.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    /// The server's URL, without a path and a trailing slash.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.remote.server
    }

    /// The client for requests to the server. It shares its connections with the requests of the session itself.
    #[must_use]
    pub fn http(&self) -> &HttpClient {
        &self.0.api.http
    }

    /// Returns an access token that is valid for at least 30 seconds by this device's clock. Refreshes the session if
    /// necessary. Dropping the future does not interrupt a refresh that has begun.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the server has ended the session, and [`SessionError::SignedOut`] if somebody has signed
    /// out: the user must sign in again. [`SessionError::Unreachable`], [`SessionError::Unavailable`],
    /// [`SessionError::TooManyAttempts`] and [`SessionError::Busy`] are worth a retry. [`SessionError::NotAServer`],
    /// [`SessionError::KeyStore`] and [`SessionError::NotLocked`] otherwise.
    pub async fn access_token(&self) -> Result<AccessToken, SessionError> {
        match &self.0.source {
            Source::Given(token) => Ok(token.clone()),
            Source::Stored(stored) => {
                let current = stored.current();
                if current.is_fresh(stored.environment.now()) { Ok(current.token) } else { self.renewed(None).await }
            }
        }
    }

    /// Returns another access token after the server has answered 401 to this one.
    ///
    /// # Errors
    /// Same as [`Session::access_token`]; [`SessionError::TokenRefused`] for a given session, which has no other token.
    pub async fn refused(&self, token: &AccessToken) -> Result<AccessToken, SessionError> {
        match &self.0.source {
            Source::Given(_) => Err(SessionError::TokenRefused),
            Source::Stored(_) => self.renewed(Some(token.clone())).await,
        }
    }

    /// Runs [`Session::renew`] in a task of its own: a refresh token must be stored even if nobody waits for it anymore.
    async fn renewed(&self, refused: Option<AccessToken>) -> Result<AccessToken, SessionError> {
        let session = self.clone();
        let renewing = tokio::spawn(async move { session.renew(refused).await });
        renewing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn renew(self, refused: Option<AccessToken>) -> Result<AccessToken, SessionError> {
        let Source::Stored(stored) = &self.0.source else { return Err(SessionError::TokenRefused) };
        let _lock = SessionLock::take(&stored.lock_file).await?;
        let entry = stored.slot.read().await?.ok_or(SessionError::SignedOut)?;
        let Entry { tokens, allows_unencrypted } = entry;
        // Another program may have refreshed the session while this one waited.
        let is_refused = refused.is_some_and(|refused| refused.is(&tokens.access.token));
        if !is_refused && tokens.access.is_fresh(stored.environment.now()) {
            return Ok(stored.keep(tokens.access));
        }
        match self.0.api.refresh(&tokens.refresh, || stored.environment.now()).await? {
            Some(tokens) => {
                let access = tokens.access.clone();
                stored.slot.write(&Entry { tokens, allows_unencrypted }).await?;
                tracing::debug!("refreshed the session");
                Ok(stored.keep(access))
            }
            None => {
                stored.slot.delete().await?;
                tracing::info!("the server has ended the session");
                Err(SessionError::Ended)
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("remote", &self.0.remote).finish_non_exhaustive()
    }
}

impl StoredSession {
    fn current(&self) -> Access {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, access: Access) -> AccessToken {
        let token = access.token.clone();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = access;
        token
    }
}

/// The place of one session in the key store. Calls of the store may block, so they run on threads for that.
#[derive(Clone)]
struct Slot {
    store: Arc<dyn KeyStore>,
    name: String,
}

impl Slot {
    /// Returns the entry, or `None` if there is none or it is not readable.
    async fn read(&self) -> Result<Option<Entry>, SessionError> {
        let bytes = self.run(|store, name| store.read(name)).await?;
        Ok(bytes.and_then(|bytes| Entry::from_bytes(&bytes)))
    }

    async fn write(&self, entry: &Entry) -> Result<(), SessionError> {
        let bytes = entry.to_bytes();
        self.run(move |store, name| store.write(name, secrecy::ExposeSecret::expose_secret(&bytes))).await
    }

    async fn delete(&self) -> Result<(), SessionError> {
        self.run(|store, name| store.delete(name)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn KeyStore, &str) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> Result<T, SessionError> {
        let Slot { store, name } = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&*store, &name)).await;
        Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?)
    }
}
