//! Access tokens (RFC 9068 in spirit): what every issuer's must have, and those of our own, signed by ES256 and good for a
//! quarter of an hour.

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::{Keys, LIFETIME};

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

/// What a valid token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Whose it is, in the words of its issuer.
    pub subject: String,
    /// Until when, in seconds since 1970.
    pub expires_at: f64,
}

/// What a token's header says, if it can be an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHeader {
    /// The id of the key that it is signed by.
    pub key_id: String,
    /// Whether it is said to be an access token (RFC 9068). If not, it is said to be a JWT, or nothing.
    is_access_token: bool,
}

impl TokenHeader {
    /// Reads a token's header. Returns `None` if it is too long, names no key, or is another kind of token, such as
    /// `logout+jwt`.
    pub fn of(token: &str) -> Option<TokenHeader> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let header = decode_header(token).ok()?;
        let kind = header.typ.map(|kind| kind.to_ascii_lowercase());
        let is_access_token = match kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind)) {
            Some("at+jwt") => true,
            None | Some("jwt") => false,
            Some(_) => return None,
        };
        Some(TokenHeader { key_id: header.kid?, is_access_token })
    }
}

/// Returns what a token says if everything about it is right: the signature by this key and the one algorithm that is the
/// key's, whatever the token says of itself; who issued it and for whom; the time; and that it is no ID token.
pub fn verify(
    token: &str,
    header: &TokenHeader,
    key: &DecodingKey,
    algorithm: Algorithm,
    issuer: &str,
    audience: &str,
) -> Option<Verified> {
    #[derive(Deserialize)]
    struct Claimed {
        sub: String,
        exp: f64,
        // Claims of ID tokens (OpenID Connect Core 1.0), and the kind in the words of Cognito and Keycloak.
        nonce: Option<Value>,
        at_hash: Option<Value>,
        c_hash: Option<Value>,
        token_use: Option<Value>,
        typ: Option<Value>,
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_SECONDS;
    let claimed = decode::<Claimed>(token, key, &validation).ok()?.claims;
    let is_kind = |claim: &Option<Value>| {
        let kind = claim.as_ref().and_then(Value::as_str).unwrap_or_default();
        ["id", "refresh", "logout"].contains(&kind.to_ascii_lowercase().as_str())
    };
    let is_id_token = [&claimed.nonce, &claimed.at_hash, &claimed.c_hash].iter().any(|claim| claim.is_some())
        || is_kind(&claimed.token_use)
        || is_kind(&claimed.typ);
    if is_id_token && !header.is_access_token {
        return None;
    }
    let Claimed { sub: subject, exp: expires_at, .. } = claimed;
    let is_user = !subject.is_empty() && subject.chars().count() <= LONGEST_USER && !subject.contains(char::is_control);
    is_user.then_some(Verified { subject, expires_at })
}

/// Issues tokens and checks them.
pub struct TokenIssuer {
    keys: Arc<Keys>,
}

impl TokenIssuer {
    pub fn new(keys: Arc<Keys>) -> TokenIssuer {
        TokenIssuer { keys }
    }

    /// The public keys, for whoever wants to check tokens.
    pub async fn public_keys(&self) -> Value {
        self.keys.current().await.public.clone()
    }

    /// A token for this user.
    pub async fn issue(&self, user: &str, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: user.to_owned(),
            iat,
            nbf: iat,
            exp: iat + i64::try_from(LIFETIME.as_secs()).unwrap_or_default(),
        };
        let keys = self.keys.current().await;
        let key = keys.signing(now);
        let header =
            Header { kid: Some(key.id.clone()), typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &key.signing)
    }

    /// Returns what a token of ours says, with the number of the set of keys that it was verified by; `None` if anything is
    /// wrong with it.
    pub async fn verified(&self, token: &str) -> Option<(Verified, u64)> {
        let header = TokenHeader::of(token)?;
        let keys = self.keys.with(&header.key_id).await;
        let key = keys.key(&header.key_id)?;
        let verified = verify(token, &header, &key.verifying, Algorithm::ES256, ISSUER, AUDIENCE)?;
        Some((verified, keys.number))
    }

    /// The number of the set of keys that tokens are verified by now.
    pub fn key_set(&self) -> u64 {
        self.keys.known().number
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

    #[tokio::test]
    async fn only_a_token_in_which_everything_is_right_names_a_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Timestamp::now();
        let other = Keys::open(&folder.path().join("other")).expect("keys").known();
        let issuer = TokenIssuer::new(Keys::open(folder.path()).expect("keys"));
        let user_of = async |token: &str| issuer.verified(token).await.map(|(it, _)| it.subject);
        let token = issuer.issue("u", now).await.expect("a token");
        assert_eq!(user_of(&token).await.as_deref(), Some("u"));

        let keys = issuer.keys.known();
        let key = keys.signing(now);
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::ES256) };
        let signed = |claims: &Value| encode(&header, claims, &key.signing).expect("a token");
        assert_eq!(user_of(&signed(&claims(|_| ()))).await.as_deref(), Some("u"));
        let of_kind = |kind: Option<&str>, claims: &Value| {
            let header = Header { typ: kind.map(str::to_owned), ..header.clone() };
            encode(&header, claims, &key.signing).expect("a token")
        };
        for kind in [None, Some("JWT"), Some("at+jwt"), Some("application/at+JWT")] {
            assert_eq!(user_of(&of_kind(kind, &claims(|_| ()))).await.as_deref(), Some("u"), "{kind:?}");
        }
        for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", ""] {
            assert_eq!(user_of(&of_kind(Some(kind), &claims(|_| ()))).await, None, "{kind}");
        }
        for (claim, value) in [("nonce", "x"), ("at_hash", "x"), ("c_hash", "x"), ("token_use", "id"), ("typ", "ID")] {
            let id_token = claims(|it| it[claim] = json!(value));
            assert_eq!(user_of(&of_kind(Some("JWT"), &id_token)).await, None, "{claim}");
            assert_eq!(user_of(&of_kind(None, &id_token)).await, None, "{claim}");
            assert_eq!(user_of(&of_kind(Some("at+jwt"), &id_token)).await.as_deref(), Some("u"), "{claim}");
        }
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
            assert_eq!(user_of(&signed(&broken)).await, None, "{broken}");
        }
        let by_other = encode(&header, &claims(|_| ()), &other.signing(now).signing).expect("a token");
        let unknown = Header { kid: Some("unknown".to_owned()), ..header.clone() };
        let unknown = encode(&unknown, &claims(|_| ()), &key.signing).expect("a token");
        // The public key is no secret, so it must not pass for one.
        let public = keys.public.to_string();
        let confused = Header { alg: Algorithm::HS256, ..header.clone() };
        let confused = encode(&confused, &claims(|_| ()), &EncodingKey::from_secret(public.as_bytes())).expect("one");
        let payload = token.split('.').nth(1).expect("a payload");
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        let long = format!("{token}{}", "x".repeat(LONGEST_TOKEN));
        for broken in [&by_other, &unknown, &confused, &unsigned, &long, &token[..token.len() - 4], "", "a.b.c"] {
            assert_eq!(user_of(broken).await, None, "{broken}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn keys_are_their_owners_and_a_rotation_ends_no_session() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let before = TokenIssuer::new(Keys::open(&keys).expect("keys"));
        let now = Timestamp::now();
        let token = before.issue("u", now).await.expect("a token");
        let file = super::super::rotate_keys(&keys).expect("a new key");
        let mode = |path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&file)), (0o700, 0o600));
        let after = TokenIssuer::new(Keys::open(&keys).expect("keys"));
        let next = after.issue("u", now + jiff::SignedDuration::from_mins(6)).await.expect("a token");
        assert_ne!(decode_header(&next).expect("a header").kid, decode_header(&token).expect("a header").kid);
        assert_eq!(after.verified(&token).await.map(|(it, _)| it.subject).as_deref(), Some("u"));
        let public = after.public_keys().await;
        assert_eq!(public["keys"].as_array().map(Vec::len), Some(2));
        assert!(!public.to_string().contains("\"d\""), "the private half stays at home");
    }
}
