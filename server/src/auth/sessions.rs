//! Starting a session after a login, refreshing it, and ending it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{account::NewSession, refresh_tokens, store as sessions};
use crate::{
    app::now,
    store::{Store, StoreError},
};

/// Random bytes of a refresh token.
const TOKEN_BYTES: usize = 32;

/// Starts a session and returns its first refresh token. Returns `None` if the account was disabled, or its hash changed,
/// since the password was verified against `verified_hash`.
pub async fn start(store: &Store, account_id: String, verified_hash: String) -> Result<Option<String>, StoreError> {
    let (token, now) = (new_token(), now());
    let session = NewSession {
        id: Uuid::now_v7().to_string(),
        account_id,
        verified_hash,
        token_digest: digest(&token),
        started_at: now,
        expires_at: refresh_tokens::first_expiry(now),
    };
    Ok(sessions::start_session(store, session).await?.then_some(token))
}

/// Exchanges a refresh token for another one. Returns it with the account's id, or `None` if the token is not valid.
pub async fn refresh(store: &Store, token: &str) -> Result<Option<(String, String)>, StoreError> {
    let digest = digest(token);
    // Unknown tokens are refused without waiting for the lock of writers.
    if !sessions::has_token(store, digest.clone()).await? {
        return Ok(None);
    }
    let next = new_token();
    let account = sessions::refresh_session(store, digest, self::digest(&next), now()).await?;
    Ok(account.map(|account| (next, account)))
}

/// Ends the session of a refresh token, if there is one.
pub async fn end(store: &Store, token: &str) -> Result<(), StoreError> {
    let digest = digest(token);
    if sessions::has_token(store, digest.clone()).await? { sessions::end_session(store, digest).await } else { Ok(()) }
}

fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>())
}

fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}
