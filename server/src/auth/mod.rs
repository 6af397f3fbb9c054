//! Who asks: own accounts, their tokens, and the check of every request's token.
//!
//! - `routes`: register, log in, refresh, log out, me, the public keys
//! - `accounts`: accounts and sessions; `store`: both in the database
//! - `passwords`: Argon2id, a few at a time
//! - `keys`, `tokens`: the keys in their folder, and what they sign
//! - `limits`: how often somebody may try
//!
//! Invariants: the store holds no password and no token, only digests of them; a refresh token is good once, and its
//! second use ends everything that the log-in led to; what is wrong with a token or a log-in is not told.

mod accounts;
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

pub use accounts::{Account, add as add_account, disable as disable_account, list as list_accounts, set_password};
pub use keys::{KeyError, rotate as rotate_keys};
pub use routes::routes;

use self::{keys::KeyRing, limits::Limits, passwords::Passwords, tokens::TokenIssuer};
use crate::{app::App, error::ApiError};

/// Own accounts as a running server has them.
pub struct Auth {
    tokens: TokenIssuer,
    passwords: Passwords,
    limits: Limits,
    open_registration: bool,
}

impl Auth {
    /// With the keys in this folder; the first is made there if there is none.
    ///
    /// # Errors
    /// The folder cannot be read or written, or a key in it is none.
    pub fn open(keys: &Path, open_registration: bool, attempts_per_minute: u32) -> Result<Auth, KeyError> {
        Ok(Auth {
            tokens: TokenIssuer::new(KeyRing::open(keys)?),
            passwords: Passwords::new(),
            limits: Limits::new(attempts_per_minute),
            open_registration,
        })
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
        app.auth.tokens.user_of(token.trim()).map(User).ok_or(ApiError::Unauthorized)
    }
}
