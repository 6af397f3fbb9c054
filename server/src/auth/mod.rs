//! Authentication: the server's own accounts, sessions and tokens, and verifying the token of every request.
//!
//! - `routes`: register, log in, refresh, log out, me, the public keys
//! - `account`: the types of accounts and sessions; `store`: both in the database
//! - `accounts`: registering and managing accounts; `sessions`: starting, refreshing and ending sessions; `refresh_tokens`:
//!   which refresh tokens are valid
//! - `passwords`: rules for passwords, and Argon2id
//! - `keys`, `tokens`: the folder of signing keys; issuing and verifying access tokens
//! - `external`: an OpenID Connect issuer, used instead of own accounts
//! - `limits`: rate limits of logins and registrations
//!
//! Invariants: the store contains only hashes of passwords and tokens; using a refresh token that is older than the last
//! used one ends its session; responses do not reveal what is wrong with a token or a login.

mod account;
mod accounts;
mod external;
mod keys;
mod limits;
mod passwords;
mod refresh_tokens;
mod routes;
mod sessions;
mod store;
mod tokens;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

pub use account::Account;
pub use accounts::{
    add as add_account, disable as disable_account, enable as enable_account, list as list_accounts, set_password,
};
pub use keys::{KeyError, retire as retire_keys, rotate as rotate_keys};
pub use passwords::Passwords;
pub use routes::routes;
pub use tokens::AUDIENCE;

use self::{external::ExternalIssuer, keys::Keys, limits::Limits, tokens::TokenIssuer};
use crate::{error::ApiError, store::Store};

/// The number of verified tokens that are cached; each takes a few hundred bytes.
const MAX_CACHED_TOKENS: usize = 10_000;
/// How long a verified token is cached.
const TOKEN_CACHE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Verifies access tokens, and caches the verified ones.
pub struct Auth {
    issuer: Issuer,
    /// Verified tokens by their digest. Verifying a signature takes longer than the rest of most requests.
    verified: Cache<[u8; 32], VerifiedToken>,
}

#[derive(Clone)]
struct VerifiedToken {
    user: String,
    /// In seconds since 1970.
    expires_at: f64,
    verified_at: Instant,
    /// The number of the set of keys that verified the token.
    key_set: u64,
}

enum Issuer {
    Own(Box<OwnAccounts>),
    External(ExternalIssuer),
}

/// The state of the server's own accounts.
pub(crate) struct OwnAccounts {
    tokens: TokenIssuer,
    passwords: Passwords,
    limits: Limits,
    open_registration: bool,
}

impl Auth {
    /// Uses the server's own accounts, with the keys in this folder. Makes the first key if there is none.
    ///
    /// # Errors
    /// [`KeyError::File`] if the folder cannot be read or written, [`KeyError::InvalidKey`] if the first key cannot be
    /// encoded.
    pub fn own(
        keys: &Path,
        passwords: Passwords,
        open_registration: bool,
        attempts_per_minute: u32,
    ) -> Result<Auth, KeyError> {
        Ok(Auth::new(Issuer::Own(Box::new(OwnAccounts {
            tokens: TokenIssuer::new(Keys::open(keys)?),
            passwords,
            limits: Limits::new(attempts_per_minute),
            open_registration,
        }))))
    }

    /// Uses the OpenID Connect issuer with this URL, and accepts its tokens for this audience.
    ///
    /// # Errors
    /// If the URL is invalid, or is not https and not on loopback.
    pub fn external(issuer: &str, audience: &str) -> anyhow::Result<Auth> {
        Ok(Auth::new(Issuer::External(ExternalIssuer::new(issuer, audience)?)))
    }

    fn new(issuer: Issuer) -> Auth {
        Auth { issuer, verified: Cache::new(MAX_CACHED_TOKENS) }
    }

    /// Whether the server has its own accounts.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.issuer, Issuer::Own(_))
    }

    /// The server's own accounts.
    ///
    /// # Errors
    /// [`ApiError::Internal`] with an external issuer. The routes that use accounts do not exist then.
    fn accounts(&self) -> Result<&OwnAccounts, ApiError> {
        match &self.issuer {
            Issuer::Own(accounts) => Ok(accounts),
            Issuer::External(_) => Err(ApiError::Internal),
        }
    }

    /// Verifies a token and returns its user.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] if the token is not valid, [`ApiError::IssuerUnavailable`] if it cannot be verified, and
    /// errors of the store.
    async fn authenticate(&self, store: &Store, token: &str, now: Timestamp) -> Result<String, ApiError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(cached) = self.verified.get(&digest) {
            // A token that is about to expire is verified again, which tolerates a difference between clocks.
            let is_current = now.as_second() as f64 + 1.0 < cached.expires_at
                && cached.verified_at.elapsed() < TOKEN_CACHE_LIFETIME
                && self.key_set_number() == Some(cached.key_set);
            if is_current {
                return Ok(cached.user);
            }
            self.verified.remove(&digest);
        }
        let verified_at = Instant::now();
        let (user, expires_at, key_set) = match &self.issuer {
            Issuer::Own(accounts) => {
                let (verified, set) = accounts.tokens.verify(token).await.ok_or(ApiError::Unauthorized)?;
                (verified.subject, verified.expires_at, set)
            }
            Issuer::External(issuer) => {
                let (verified, set) = issuer.verify(token).await?.ok_or(ApiError::Unauthorized)?;
                (issuer.user(store, verified.subject).await?, verified.expires_at, set)
            }
        };
        self.verified.insert(digest, VerifiedToken { user: user.clone(), expires_at, verified_at, key_set });
        Ok(user)
    }

    /// The number of the current set of keys; `None` before an external issuer's keys were fetched.
    fn key_set_number(&self) -> Option<u64> {
        match &self.issuer {
            Issuer::Own(accounts) => Some(accounts.tokens.key_set_number()),
            Issuer::External(issuer) => issuer.key_set_number(),
        }
    }
}

/// The user of a request, authenticated by its bearer token.
#[derive(Debug, Clone)]
pub struct User(pub String);

/// The state of a router whose handlers take a [`User`].
pub trait Authenticate: Send + Sync {
    /// Verifies tokens.
    fn auth(&self) -> &Auth;
    /// Maps the users of an external issuer to their accounts.
    fn store(&self) -> &Store;
}

impl<S: Authenticate> FromRequestParts<S> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<User, ApiError> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(ApiError::Unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError::Unauthorized);
        }
        state.auth().authenticate(state.store(), token.trim(), Timestamp::now()).await.map(User)
    }
}
