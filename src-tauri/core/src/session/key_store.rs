//! Where the tokens of a session are kept: the operating system's key store, or another one that the program sets.

use std::sync::Arc;

use secrecy::SecretSlice;

/// The name under which key stores list the entries.
#[cfg(not(any(target_os = "android", target_os = "ios")))]
const SERVICE: &str = "MotoVault";

/// A store of secrets, by name. Calls may block, for example until the user unlocks the store.
pub trait KeyStore: Send + Sync {
    /// Checks that the store can be reached.
    ///
    /// # Errors
    /// [`KeyStoreError::Missing`] if it cannot.
    fn check(&self) -> Result<(), KeyStoreError>;

    /// Returns the secret, or `None` if there is none of this name.
    ///
    /// # Errors
    /// Any [`KeyStoreError`].
    fn read(&self, name: &str) -> Result<Option<SecretSlice<u8>>, KeyStoreError>;

    /// Adds or replaces the secret.
    ///
    /// # Errors
    /// Any [`KeyStoreError`]; the previous secret is kept.
    fn write(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError>;

    /// Deletes the secret, if there is one.
    ///
    /// # Errors
    /// Any [`KeyStoreError`].
    fn delete(&self, name: &str) -> Result<(), KeyStoreError>;
}

/// Why the key store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// The system has none, or it does not run.
    #[error("This system has no key store to keep the session in ({0})")]
    Missing(String),
    /// It is locked, and was not unlocked.
    #[error("The system's key store is locked ({0})")]
    Locked(String),
    /// Another failure.
    #[error("The system's key store failed ({0})")]
    Failed(String),
}

/// The key store of the operating system: the Keychain on macOS, the Credential Manager on Windows, and the Secret
/// Service on other desktops. On phones it is missing: their app sets a store of its own.
#[must_use]
pub fn system_key_store() -> Arc<dyn KeyStore> {
    Arc::new(SystemKeyStore)
}

struct SystemKeyStore;

#[cfg(not(any(target_os = "android", target_os = "ios")))]
impl KeyStore for SystemKeyStore {
    fn check(&self) -> Result<(), KeyStoreError> {
        match keyring::Entry::store_status() {
            Ok(()) => Ok(()),
            Err(error) => Err(KeyStoreError::Missing(error.to_string())),
        }
    }

    fn read(&self, name: &str) -> Result<Option<SecretSlice<u8>>, KeyStoreError> {
        if_any(self.entry(name)?.get_secret()).map(|found| found.map(SecretSlice::from))
    }

    fn write(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.entry(name)?.set_secret(secret).map_err(failure)
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        if_any(self.entry(name)?.delete_credential()).map(drop)
    }
}

#[cfg(not(any(target_os = "android", target_os = "ios")))]
impl SystemKeyStore {
    fn entry(&self, name: &str) -> Result<keyring::Entry, KeyStoreError> {
        self.check()?;
        keyring::Entry::new(SERVICE, name).map_err(failure)
    }
}

#[cfg(not(any(target_os = "android", target_os = "ios")))]
fn if_any<T>(result: keyring::Result<T>) -> Result<Option<T>, KeyStoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// Takes only the message: the `Debug` output of some errors contains the secret.
#[cfg(not(any(target_os = "android", target_os = "ios")))]
fn failure(error: keyring::Error) -> KeyStoreError {
    match error {
        keyring::Error::NoDefaultStore => KeyStoreError::Missing(error.to_string()),
        keyring::Error::NoStorageAccess(error) => KeyStoreError::Locked(error.to_string()),
        error => KeyStoreError::Failed(error.to_string()),
    }
}

#[cfg(any(target_os = "android", target_os = "ios"))]
impl KeyStore for SystemKeyStore {
    fn check(&self) -> Result<(), KeyStoreError> {
        Err(KeyStoreError::Missing("the app has not set one".to_owned()))
    }

    fn read(&self, _name: &str) -> Result<Option<SecretSlice<u8>>, KeyStoreError> {
        self.check().map(|()| None)
    }

    fn write(&self, _name: &str, _secret: &[u8]) -> Result<(), KeyStoreError> {
        self.check()
    }

    fn delete(&self, _name: &str) -> Result<(), KeyStoreError> {
        self.check()
    }
}
