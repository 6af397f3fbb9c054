//! Who asks: own accounts, their tokens, and the check of every request's token.
//!
//! - `routes`: register, log in, refresh, log out, me, the public keys
//! - `accounts`: accounts and sessions; `store`: both in the database
//! - `passwords`: Argon2id, a few at a time
//! - `keys`, `tokens`: the keys in their folder, what they sign, and what any token must have
//! - `external`: an OpenID Connect issuer in the place of own accounts
//! - `limits`: how often somebody may try
//!
//! Invariants: the store holds no password and no token, only digests of them; a refresh token is good once, and its
//! second use ends everything that the log-in led to; what is wrong with a token or a log-in is not told.

mod accounts;
mod external;
mod keys;
mod limits;
mod passwords;
mod routes;
mod store;
mod tokens;

use std::path::Path;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

pub use accounts::{Account, add as add_account, disable as disable_account, list as list_accounts, set_password};
pub use keys::{KeyError, rotate as rotate_keys};
pub use routes::routes;
pub use tokens::AUDIENCE;

use self::{
    external::ExternalIssuer,
    keys::KeyRing,
    limits::Limits,
    passwords::Passwords,
    tokens::{TokenIssuer, Verified},
};
use crate::{app::App, error::ApiError};

/// Tokens that are remembered as good; each takes some hundred bytes.
const MOST_REMEMBERED: usize = 10_000;

/// Who issues tokens, and which have been found good.
pub struct Auth {
    issuer: Issuer,
    /// By the token's digest: checking a signature takes longer than everything else about most requests.
    verified: Cache<[u8; 32], Verified>,
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
        Ok(Auth::by(Issuer::Own(Box::new(OwnAccounts {
            tokens: TokenIssuer::new(KeyRing::open(keys)?),
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
        Ok(Auth::by(Issuer::External(ExternalIssuer::new(issuer, audience)?)))
    }

    fn by(issuer: Issuer) -> Auth {
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
    async fn user_of(&self, token: &str, now: Timestamp) -> Result<String, ApiError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(known) = self.verified.get(&digest) {
            // What runs out is checked anew, with the leeway that clocks are given.
            if now.as_second() as f64 + 1.0 < known.expires_at {
                return Ok(known.user);
            }
            self.verified.remove(&digest);
        }
        let verified = match &self.issuer {
            Issuer::Own(accounts) => accounts.tokens.verified(token),
            Issuer::External(issuer) => issuer.verified(token).await?,
        };
        let verified = verified.ok_or(ApiError::Unauthorized)?;
        self.verified.insert(digest, verified.clone());
        Ok(verified.user)
    }
}

/// The user of a request, by its bearer token.
#[derive(Debug, Clone)]
pub struct User(pub String);

impl FromRequestParts<App> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<User, ApiError> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(ApiError::Unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError::Unauthorized);
        }
        app.auth.user_of(token.trim(), Timestamp::now()).await.map(User)
    }
}
