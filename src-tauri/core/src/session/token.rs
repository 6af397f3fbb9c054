//! Access tokens, and the entry of a session in the key store.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretSlice, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};

use super::SessionError;

/// The server refuses longer tokens.
const LONGEST_TOKEN: usize = 8 * 1024;
/// An access token that expires earlier than this is not used: a request may take a while to arrive.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);
/// Longer lifetimes of access tokens are cut to this.
const LONGEST_LIFETIME: u64 = 24 * 60 * 60;

/// An access token. Its `Debug` output is redacted.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// Checks that the text can be a token.
    ///
    /// # Errors
    /// [`SessionError::InvalidToken`] if it is empty, longer than 8 KiB, or contains other characters than visible ASCII.
    pub fn new(token: SecretString) -> Result<AccessToken, SessionError> {
        let text = token.expose_secret();
        let is_possible = (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_possible { Ok(AccessToken(token)) } else { Err(SessionError::InvalidToken) }
    }

    /// The value of the header `Authorization`, marked as sensitive.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.0.expose_secret()));
        // Visible ASCII is always a valid value.
        let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    pub(super) fn is(&self, other: &AccessToken) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken([REDACTED])")
    }
}

/// An access token and when it expires.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub token: AccessToken,
    pub expires_at: Timestamp,
}

impl Access {
    /// Whether the token can still be used.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.saturating_add(MARGIN).is_ok_and(|soon| soon < self.expires_at)
    }
}

/// The tokens of a session, as a response or the key store has them.
#[derive(Debug, Clone)]
pub(super) struct TokenPair {
    pub access: Access,
    pub refresh: SecretString,
}

impl TokenPair {
    /// Takes the tokens from a response that was received at this time. Returns `None` if they cannot be tokens.
    pub fn received(tokens: garage_protocol::Tokens, now: Timestamp) -> Option<TokenPair> {
        let access = AccessToken::new(tokens.access_token.into()).ok()?;
        let refresh = AccessToken::new(tokens.refresh_token.into()).ok()?.0;
        let seconds = i64::try_from(tokens.expires_in.min(LONGEST_LIFETIME)).ok()?;
        let expires_at = now.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        Some(TokenPair { access: Access { token: access, expires_at }, refresh })
    }
}

/// The entry of a session in the key store.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub tokens: TokenPair,
    /// Whether the user has allowed to send the tokens without encryption.
    pub allows_unencrypted: bool,
}

/// The JSON of an [`Entry`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson {
    refresh_token: String,
    access_token: String,
    expires_at: Timestamp,
    #[serde(default)]
    allows_unencrypted: bool,
}

impl Entry {
    pub fn to_bytes(&self) -> SecretSlice<u8> {
        let TokenPair { access, refresh } = &self.tokens;
        let json = EntryJson {
            refresh_token: refresh.expose_secret().to_owned(),
            access_token: access.token.0.expose_secret().to_owned(),
            expires_at: access.expires_at,
            allows_unencrypted: self.allows_unencrypted,
        };
        serde_json::to_vec(&json).unwrap_or_default().into()
    }

    /// Returns `None` if this is not an entry, for example because it was edited.
    pub fn from_bytes(bytes: &SecretSlice<u8>) -> Option<Entry> {
        let json: EntryJson = serde_json::from_slice(bytes.expose_secret()).ok()?;
        let token = AccessToken::new(json.access_token.into()).ok()?;
        let access = Access { token, expires_at: json.expires_at };
        let refresh = AccessToken::new(json.refresh_token.into()).ok()?.0;
        Some(Entry { tokens: TokenPair { access, refresh }, allows_unencrypted: json.allows_unencrypted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(allows_unencrypted: bool) -> Entry {
        let token = AccessToken::new("access".into()).expect("a token");
        let access = Access { token, expires_at: Timestamp::UNIX_EPOCH };
        Entry { tokens: TokenPair { access, refresh: "refresh".into() }, allows_unencrypted }
    }

    #[test]
    fn entry_keeps_the_tokens_and_the_permission() {
        for allows_unencrypted in [true, false] {
            let read = Entry::from_bytes(&entry(allows_unencrypted).to_bytes()).expect("an entry");
            assert_eq!(read.allows_unencrypted, allows_unencrypted);
            assert_eq!(read.tokens.refresh.expose_secret(), "refresh");
            assert_eq!(read.tokens.access.token.header(), "Bearer access");
            assert_eq!(read.tokens.access.expires_at, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn debug_output_has_no_token() {
        let text = format!("{:?} {:?}", entry(true), entry(true).tokens.access.token.header());
        assert!(!text.contains("\"access\"") && !text.contains("refresh\"") && !text.contains("Bearer"), "{text}");
    }

    #[test]
    fn a_token_is_fresh_until_30_seconds_before_it_expires() {
        let now = Timestamp::UNIX_EPOCH;
        let expires_in =
            |seconds| Access { expires_at: now + SignedDuration::from_secs(seconds), ..entry(true).tokens.access };
        assert!(expires_in(31).is_fresh(now) && !expires_in(30).is_fresh(now) && !expires_in(-1).is_fresh(now));
        assert!(!expires_in(0).is_fresh(Timestamp::MAX), "the sum is out of range");
    }

    #[test]
    fn lifetimes_of_a_server_are_at_most_a_day() {
        let tokens = garage_protocol::Tokens {
            access_token: "access".to_owned(),
            refresh_token: "refresh".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: u64::MAX,
        };
        let received = TokenPair::received(tokens, Timestamp::UNIX_EPOCH).expect("tokens");
        assert_eq!(received.access.expires_at, Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24));
    }
}
