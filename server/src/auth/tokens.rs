//! Access tokens (RFC 9068 in spirit): what every issuer's must have, and those of our own, signed by ES256 and good for a
//! quarter of an hour.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::KeyRing;

/// How long a token of ours is good.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Who issues ours.
const ISSUER: &str = "garage-server";
/// For whom tokens are issued, unless an operator's issuer has another word for it.
pub const AUDIENCE: &str = "garage";
/// Clocks of several servers differ by this much, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;
/// Ours have some 400 characters.
const LONGEST_TOKEN: usize = 8 * 1024;
/// Characters of the longest user, as the database keeps it.
const LONGEST_USER: usize = 255;

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// What a token that is good says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Whose it is.
    pub user: String,
    /// Until when, in seconds since 1970.
    pub expires_at: f64,
}

/// The id of the key that a token is signed by; nothing where it cannot be a token.
pub fn key_id(token: &str) -> Option<String> {
    if token.len() > LONGEST_TOKEN {
        return None;
    }
    decode_header(token).ok()?.kid
}

/// What a token says, if everything about it is right: the signature by this key and the one algorithm that is the key's,
/// whatever the token says of itself; who issued it and for whom; and the time.
pub fn verify(token: &str, key: &DecodingKey, algorithm: Algorithm, issuer: &str, audience: &str) -> Option<Verified> {
    #[derive(Deserialize)]
    struct Said {
        sub: String,
        exp: f64,
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_SECONDS;
    let Said { sub, exp } = decode::<Said>(token, key, &validation).ok()?.claims;
    let is_user = !sub.is_empty() && sub.chars().count() <= LONGEST_USER && !sub.contains(char::is_control);
    is_user.then_some(Verified { user: sub, expires_at: exp })
}

/// Issues tokens and checks them.
pub struct TokenIssuer {
    keys: KeyRing,
}

impl TokenIssuer {
    pub fn new(keys: KeyRing) -> TokenIssuer {
        TokenIssuer { keys }
    }

    /// The public keys, for whoever wants to check tokens.
    pub fn public_keys(&self) -> &Value {
        &self.keys.public
    }

    /// A token for this user.
    pub fn issue(&self, user: &str, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: user.to_owned(),
            iat,
            nbf: iat,
            exp: iat + i64::try_from(LIFETIME.as_secs()).unwrap_or_default(),
        };
        let header = Header { kid: Some(self.keys.signing_id.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.keys.signing)
    }

    /// What a token of ours says; nothing where anything is wrong with it.
    pub fn verified(&self, token: &str) -> Option<Verified> {
        let key = self.keys.verifying(&key_id(token)?)?;
        verify(token, key, Algorithm::ES256, ISSUER, AUDIENCE)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;
    use serde_json::json;

    use super::*;

    fn claims(change: impl FnOnce(&mut Value)) -> Value {
        let now = Timestamp::now().as_second();
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "u", "iat": now, "nbf": now, "exp": now + 60 });
        change(&mut claims);
        claims
    }

    #[test]
    fn only_a_token_in_which_everything_is_right_names_a_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let other = KeyRing::open(&folder.path().join("other")).expect("keys");
        let issuer = TokenIssuer::new(KeyRing::open(folder.path()).expect("keys"));
        let user_of = |token: &str| issuer.verified(token).map(|it| it.user);
        let token = issuer.issue("u", Timestamp::now()).expect("a token");
        assert_eq!(user_of(&token).as_deref(), Some("u"));

        let header = Header { kid: Some(issuer.keys.signing_id.clone()), ..Header::new(Algorithm::ES256) };
        let signed = |claims: &Value| encode(&header, claims, &issuer.keys.signing).expect("a token");
        assert_eq!(user_of(&signed(&claims(|_| ()))).as_deref(), Some("u"));
        let hour = Timestamp::now().as_second() + 3_600;
        for broken in [
            claims(|it| it["exp"] = json!(hour - 7_200)),
            claims(|it| it["nbf"] = json!(hour)),
            claims(|it| it["iss"] = json!("other")),
            claims(|it| it["aud"] = json!("other")),
            claims(|it| it["sub"] = json!("")),
            claims(|it| it["sub"] = json!("a\u{0}b")),
            claims(|it| it["sub"] = json!("x".repeat(256))),
            claims(|it| it["sub"] = json!(7)),
            claims(|it| drop(it.as_object_mut().map(|it| it.remove("exp")))),
            claims(|it| drop(it.as_object_mut().map(|it| it.remove("aud")))),
        ] {
            assert_eq!(user_of(&signed(&broken)), None, "{broken}");
        }
        let by_other = encode(&header, &claims(|_| ()), &other.signing).expect("a token");
        let unknown = Header { kid: Some("unknown".to_owned()), ..header.clone() };
        let unknown = encode(&unknown, &claims(|_| ()), &issuer.keys.signing).expect("a token");
        // The public key is no secret, so it must not pass for one.
        let public = issuer.keys.public.to_string();
        let confused = Header { alg: Algorithm::HS256, ..header.clone() };
        let confused = encode(&confused, &claims(|_| ()), &EncodingKey::from_secret(public.as_bytes())).expect("one");
        let payload = token.split('.').nth(1).expect("a payload");
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        let long = format!("{token}{}", "x".repeat(LONGEST_TOKEN));
        for broken in [&by_other, &unknown, &confused, &unsigned, &long, &token[..token.len() - 4], "", "a.b.c"] {
            assert_eq!(user_of(broken), None, "{broken}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_their_owners_and_a_rotation_ends_no_session() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let before = TokenIssuer::new(KeyRing::open(&keys).expect("keys"));
        let token = before.issue("u", Timestamp::now()).expect("a token");
        let file = super::super::rotate_keys(&keys).expect("a new key");
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        let after = TokenIssuer::new(KeyRing::open(&keys).expect("keys"));
        assert_ne!(before.keys.signing_id, after.keys.signing_id);
        assert_eq!(after.verified(&token).map(|it| it.user).as_deref(), Some("u"));
        assert_eq!(after.public_keys()["keys"].as_array().map(Vec::len), Some(2));
        assert!(!after.public_keys().to_string().contains("\"d\""), "the private half stays at home");
    }
}
