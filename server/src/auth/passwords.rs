//! Passwords: Argon2id with the library's own parameters (OWASP's recommendation), a few at a time, since each takes some
//! 20 MB and tens of milliseconds.

use std::sync::{Arc, OnceLock};

use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Computed side by side.
const AT_ONCE: usize = 2;
/// Characters of the shortest password.
pub const SHORTEST: usize = 10;
/// Bytes of the longest: long enough for anybody, and no burden.
pub const LONGEST_BYTES: usize = 1_000;

/// Hashes passwords and checks them.
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// What an unknown account's password is checked against, so that it takes as long as a known one's.
    of_nobody: OnceLock<String>,
}

impl Passwords {
    pub fn new() -> Passwords {
        Passwords { turns: Arc::new(Semaphore::new(AT_ONCE)), of_nobody: OnceLock::new() }
    }

    /// The hash to keep.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.in_turn(move || hash(&password)).await?.ok_or(ApiError::Internal)
    }

    /// Whether the password is the one of this hash; without a hash it never is.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        let is_known = hash.is_some();
        let of_nobody = || self.of_nobody.get_or_init(|| self::hash("nobody's password").unwrap_or_default()).clone();
        let hash = hash.unwrap_or_else(of_nobody);
        let is_right = self.in_turn(move || {
            let parsed = PasswordHash::new(&hash);
            parsed.is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        });
        Ok(is_right.await? && is_known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let _turn = self.turns.acquire().await.map_err(|_| ApiError::Internal)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Internal)
    }
}

fn hash(password: &str) -> Option<String> {
    let salt = SaltString::generate(&mut OsRng);
    Some(Argon2::default().hash_password(password.as_bytes(), &salt).ok()?.to_string())
}
