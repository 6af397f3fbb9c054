//! Signing up, in and out.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    Remote, Slot, Unencrypted,
    auth_api::AuthApi,
    lock::{self, SessionLock},
    refuse_other_account, refuse_other_server,
    server_url::ServerUrl,
    token::{Entry, TokenPair},
};
use crate::{Garage, GarageError, store::account::AccountRow};

/// How long to wait for the server to end a session that this device no longer has.
const FAREWELL: Duration = Duration::from_secs(5);

/// A successful sign-in.
pub type SignedIn = Remote;

/// What signing out has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOut {
    /// The account that this garage belongs to, also from now on; `None` if nobody has ever signed in.
    pub remote: Option<Remote>,
    /// Whether there was a session on this device.
    pub was_signed_in: bool,
    /// Whether the server has ended the session. Otherwise it ends there by itself 60 days after its last refresh.
    pub is_ended_on_server: bool,
}

impl Garage {
    /// Registers an account and signs in to it.
    ///
    /// # Errors
    /// Same as [`Garage::sign_in`]; also `EmailTaken`, `RegistrationClosed` and `Invalid`. A garage that belongs to an
    /// account is refused with `OtherAccount`, because a new account is another one. If only the sign-in fails, the
    /// account exists.
    pub async fn sign_up(
        &self,
        server: &str,
        email: &str,
        password: &SecretString,
        unencrypted: Unencrypted,
    ) -> Result<SignedIn, GarageError> {
        let api = self.prepare(server, unencrypted).await?;
        if let Some(row) = self.account_row().await? {
            return Err(super::other_account(row).into());
        }
        api.register(email, password).await?;
        self.start_session(api, email, password, unencrypted).await
    }

    /// Signs in, and keeps the session in the key store. A session that this garage has already is replaced.
    ///
    /// # Errors
    /// [`GarageError::Session`]: `InvalidServer`, `Unencrypted`, `OtherAccount` if the garage belongs to another account,
    /// `WrongCredentials`, `TooManyAttempts`, `NoAccounts`, `Unreachable`, `Unavailable`, `NotAServer`, `KeyStore`,
    /// `Busy`, `NotLocked`. [`GarageError::Store`] if the garage cannot be written. Nothing is stored then.
    pub async fn sign_in(
        &self,
        server: &str,
        email: &str,
        password: &SecretString,
        unencrypted: Unencrypted,
    ) -> Result<SignedIn, GarageError> {
        let api = self.prepare(server, unencrypted).await?;
        self.start_session(api, email, password, unencrypted).await
    }

    /// Deletes the session from the key store, and asks the server to end it. The garage keeps its account, its records and
    /// the changes that wait to be sent.
    ///
    /// # Errors
    /// [`GarageError::Session`]: `KeyStore`, `Busy`, `NotLocked`; [`GarageError::Store`] if the garage cannot be read. A
    /// server that is not reached is no error.
    pub async fn sign_out(&self) -> Result<SignOut, GarageError> {
        let Some(row) = self.account_row().await? else {
            return Ok(SignOut { remote: None, was_signed_in: false, is_ended_on_server: false });
        };
        let slot = self.slot(&row);
        let entry = {
            let _lock = SessionLock::take(&lock::path(&self.garage_file)).await?;
            let entry = slot.read().await?;
            // Also deletes an entry that is not readable.
            slot.delete().await?;
            entry
        };
        let is_ended_on_server = match &entry {
            Some(entry) => {
                let unencrypted = if entry.allows_unencrypted { Unencrypted::Allow } else { Unencrypted::Refuse };
                let api = ServerUrl::parse(&row.server, unencrypted).and_then(AuthApi::new);
                match api {
                    Ok(api) => end_on_server(&api, &entry.tokens).await,
                    Err(_) => false,
                }
            }
            None => false,
        };
        Ok(SignOut { remote: Some(row.into()), was_signed_in: entry.is_some(), is_ended_on_server })
    }

    /// Checks everything that can be checked before the password is sent.
    async fn prepare(&self, server: &str, unencrypted: Unencrypted) -> Result<AuthApi, GarageError> {
        let server = ServerUrl::parse(server, unencrypted)?;
        refuse_other_server(self.account_row().await?, &server)?;
        let slot = Slot { store: self.session.key_store.clone(), name: String::new() };
        slot.run(|store, _| store.check()).await?;
        Ok(AuthApi::new(server)?)
    }

    async fn start_session(
        &self,
        api: AuthApi,
        email: &str,
        password: &SecretString,
        unencrypted: Unencrypted,
    ) -> Result<SignedIn, GarageError> {
        let tokens = api.log_in(email, password, || self.environment.now()).await?;
        let allows_unencrypted = unencrypted == Unencrypted::Allow && api.server.is_exposed();
        let kept = self.keep_session(&api, Entry { tokens: tokens.clone(), allows_unencrypted }).await;
        if kept.is_err() {
            end_on_server(&api, &tokens).await;
        }
        kept
    }

    /// Stores the session of the right account. The entry of the key store comes first: without it, the garage must not
    /// belong to the account.
    async fn keep_session(&self, api: &AuthApi, entry: Entry) -> Result<SignedIn, GarageError> {
        let account = api.account(&entry.tokens.access.token).await?;
        let row = AccountRow { server: api.server.to_string(), account: account.id, email: Some(account.email) };
        let slot = self.slot(&row);
        let lock = SessionLock::take(&lock::path(&self.garage_file)).await?;
        refuse_other_account(self.account_row().await?, &row)?;
        let replaced = slot.read().await?;
        slot.write(&entry).await?;
        if let Err(error) = self.remember(row.clone()).await {
            let restored = match &replaced {
                Some(replaced) => slot.write(replaced).await,
                None => slot.delete().await,
            };
            if let Err(error) = restored {
                tracing::warn!(%error, "the key store has a session that the garage does not know");
            }
            return Err(error);
        }
        drop(lock);
        if let Some(replaced) = replaced {
            end_on_server(api, &replaced.tokens).await;
        }
        Ok(row.into())
    }
}

/// Asks the server to end a session, and returns whether it has.
async fn end_on_server(api: &AuthApi, tokens: &TokenPair) -> bool {
    match tokio::time::timeout(FAREWELL, api.log_out(&tokens.refresh)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::info!(%error, "the server was not told that a session has ended");
            false
        }
        Err(_) => false,
    }
}
