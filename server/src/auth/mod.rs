//! Who asks: own accounts, their tokens, and the check of every request's token.
//!
//! - `routes`: register, log in, refresh, log out, me, the public keys
//! - `account`: the types of accounts and sessions; `store`: both in the database
//! - `accounts`: registering, and what operators do; `sessions`: starting, refreshing and ending; `rotation`: what a refresh
//!   token is worth
//! - `passwords`: which are acceptable, and Argon2id
//! - `keys`, `tokens`: the keys in their folder, what they sign, and what any access token must have
//! - `external`: an OpenID Connect issuer in the place of own accounts
//! - `limits`: how often logins may be tried
//!
//! Invariants: the store has no password and no token, only digests of them; a refresh token that is older than the last
//! used one ends its session; clients are not told what is wrong with a token or a login.

mod account;
mod accounts;
mod external;
mod keys;
mod limits;
mod passwords;
mod rotation;
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
pub use routes::routes;
pub use tokens::AUDIENCE;

use self::{external::ExternalIssuer, keys::Keys, limits::Limits, passwords::Passwords, tokens::TokenIssuer};
use crate::{error::ApiError, store::Store};

/// Tokens that are remembered as good; each takes some hundred bytes.
const MOST_REMEMBERED: usize = 10_000;
/// How long a token is remembered, so that it is not used for longer if anything about it changes.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);

/// Who issues tokens, and which have been found good.
pub struct Auth {
    issuer: Issuer,
    /// By the token's digest: checking a signature takes longer than everything else about most requests.
    verified: Cache<[u8; 32], Remembered>,
}

/// A token that was verified.
#[derive(Clone)]
struct Remembered {
    user: String,
    /// In seconds since 1970.
    expires_at: f64,
    verified_at: Instant,
    /// The number of the set of keys that it was verified by.
    key_set: u64,
}

enum Issuer {
    Own(Box<OwnAccounts>),
    External(ExternalIssuer),
}

/// Own accounts as a running server has them.
pub(crate) struct OwnAccounts {
    tokens: TokenIssuer,
    passwords: Passwords,
    limits: Limits,
    open_registration: bool,
}

impl Auth {
    /// Own accounts, with the keys in this folder; the first is made there if there is none.
    ///
    /// # Errors
    /// The folder cannot be read or written, or a key in it is none.
    pub fn own(keys: &Path, open_registration: bool, attempts_per_minute: u32) -> Result<Auth, KeyError> {
        Ok(Auth::new(Issuer::Own(Box::new(OwnAccounts {
            tokens: TokenIssuer::new(Keys::open(keys)?),
            passwords: Passwords::new(),
            limits: Limits::new(attempts_per_minute),
            open_registration,
        }))))
    }

    /// The accounts of an OpenID Connect issuer, by its URL, and for whom it issues tokens to be used here.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn external(issuer: &str, audience: &str) -> anyhow::Result<Auth> {
        Ok(Auth::new(Issuer::External(ExternalIssuer::new(issuer, audience)?)))
    }

    fn new(issuer: Issuer) -> Auth {
        Auth { issuer, verified: Cache::new(MOST_REMEMBERED) }
    }

    /// Whether accounts are this server's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.issuer, Issuer::Own(_))
    }

    /// Own accounts. Their routes are there only where accounts are.
    fn accounts(&self) -> Result<&OwnAccounts, ApiError> {
        match &self.issuer {
            Issuer::Own(accounts) => Ok(accounts),
            Issuer::External(_) => Err(ApiError::Internal),
        }
    }

    /// The user of a token.
    async fn user_of(&self, store: &Store, token: &str, now: Timestamp) -> Result<String, ApiError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(known) = self.verified.get(&digest) {
            // A token that is about to expire is verified again, with the leeway for clocks.
            let is_current = now.as_second() as f64 + 1.0 < known.expires_at
                && known.verified_at.elapsed() < REMEMBERED_FOR
                && self.key_set() == Some(known.key_set);
            if is_current {
                return Ok(known.user);
            }
            self.verified.remove(&digest);
        }
        let verified_at = Instant::now();
        let (user, expires_at, key_set) = match &self.issuer {
            Issuer::Own(accounts) => {
                let (verified, set) = accounts.tokens.verified(token).await.ok_or(ApiError::Unauthorized)?;
                (verified.subject, verified.expires_at, set)
            }
            Issuer::External(issuer) => {
                let (verified, set) = issuer.verified(token).await?.ok_or(ApiError::Unauthorized)?;
                (issuer.user(store, verified.subject).await?, verified.expires_at, set)
            }
        };
        self.verified.insert(digest, Remembered { user: user.clone(), expires_at, verified_at, key_set });
        Ok(user)
    }

    /// The number of the set of keys that tokens are verified by now.
    fn key_set(&self) -> Option<u64> {
        match &self.issuer {
            Issuer::Own(accounts) => Some(accounts.tokens.key_set()),
            Issuer::External(issuer) => issuer.key_set(),
        }
    }
}

/// The user of a request, by its bearer token.
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
        state.auth().user_of(state.store(), token.trim(), Timestamp::now()).await.map(User)
    }
}
