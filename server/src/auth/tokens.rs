//! Access tokens, similar to RFC 9068: verifying those of any issuer, and issuing the server's own, which are signed with
//! ES256 and valid for 15 minutes.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::{ACCESS_TOKEN_LIFETIME, Keys};

/// The `iss` of the server's own tokens.
const ISSUER: &str = "garage-server";
/// The `aud` of the server's own tokens, and the default for those of an external issuer.
pub const AUDIENCE: &str = "garage";
/// The tolerated difference between clocks, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;
/// The maximum length of a token. The server's own have about 400 bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The maximum length of a user id, which is the size of its column.
const MAX_USER_CHARACTERS: usize = 255;

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// The claims of a verified token.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The claim `sub`.
    pub subject: String,
    /// The claim `exp`, in seconds since 1970.
    pub expires_at: f64,
}

/// The header of a token that can be an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHeader {
    /// The id of the key that signed the token.
    pub key_id: String,
    /// Whether the type is `at+jwt` (RFC 9068). Otherwise it is `JWT` or missing.
    is_access_token: bool,
}

impl TokenHeader {
    /// Parses a token's header. Returns `None` if the token is too long, names no key, or has another type such as
    /// `logout+jwt`.
    pub fn parse(token: &str) -> Option<TokenHeader> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let header = decode_header(token).ok()?;
        if has_critical_extensions(token) {
            return None;
        }
        let kind = header.typ.map(|kind| kind.to_ascii_lowercase());
        let is_access_token = match kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind)) {
            Some("at+jwt") => true,
            None | Some("jwt") => false,
            Some(_) => return None,
        };
        Some(TokenHeader { key_id: header.kid?, is_access_token })
    }
}

/// Whether the header names extensions that a recipient must understand or refuse (`crit`, RFC 7515, 4.1.11). None are
/// supported.
fn has_critical_extensions(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Value>(&header).ok());
    header.is_none_or(|header| header.get("crit").is_some())
}

/// Verifies a token's signature by this key, its issuer, audience and times, and that it is not an ID token. The key
/// determines the algorithm, regardless of the token's header.
pub fn verify(
    token: &str,
    header: &TokenHeader,
    key: &DecodingKey,
    algorithm: Algorithm,
    issuer: &str,
    audience: &str,
) -> Option<Verified> {
    #[derive(Deserialize)]
    struct ReceivedClaims {
        sub: String,
        exp: f64,
        // Claims of ID tokens (OpenID Connect Core 1.0), and the claims with the type in tokens of Cognito and Keycloak.
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
    let claims = decode::<ReceivedClaims>(token, key, &validation).ok()?.claims;
    let is_other_type = |claim: &Option<Value>| {
        let name = claim.as_ref().and_then(Value::as_str).unwrap_or_default();
        ["id", "refresh", "logout"].contains(&name.to_ascii_lowercase().as_str())
    };
    let is_id_token = [&claims.nonce, &claims.at_hash, &claims.c_hash].iter().any(|claim| claim.is_some())
        || is_other_type(&claims.token_use)
        || is_other_type(&claims.typ);
    if is_id_token && !header.is_access_token {
        return None;
    }
    let ReceivedClaims { sub: subject, exp: expires_at, .. } = claims;
    let is_user =
        !subject.is_empty() && subject.chars().count() <= MAX_USER_CHARACTERS && !subject.contains(char::is_control);
    is_user.then_some(Verified { subject, expires_at })
}

/// Issues and verifies the server's own tokens.
pub struct TokenIssuer {
    keys: Arc<Keys>,
}

impl TokenIssuer {
    pub fn new(keys: Arc<Keys>) -> TokenIssuer {
        TokenIssuer { keys }
    }

    /// The public keys as a JWK set.
    pub async fn public_keys(&self) -> Value {
        self.keys.current().await.public.clone()
    }

    pub async fn issue(&self, user: &str, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: user.to_owned(),
            iat,
            nbf: iat,
            exp: iat + i64::try_from(ACCESS_TOKEN_LIFETIME.as_secs()).unwrap_or_default(),
        };
        let keys = self.keys.current().await;
        let key = keys.signing_key(now);
        let header =
            Header { kid: Some(key.id.clone()), typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &key.signing)
    }

    /// Verifies a token. Returns its claims and the number of the set of keys, or `None` if the token is not valid.
    pub async fn verify(&self, token: &str) -> Option<(Verified, u64)> {
        let header = TokenHeader::parse(token)?;
        let keys = self.keys.with_key(&header.key_id).await;
        let key = keys.key(&header.key_id)?;
        let verified = verify(token, &header, &key.verifying, Algorithm::ES256, ISSUER, AUDIENCE)?;
        Some((verified, keys.number))
    }

    /// The number of the cached set of keys.
    pub fn key_set_number(&self) -> u64 {
        self.keys.cached().number
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
    async fn a_token_with_any_invalid_part_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Timestamp::now();
        let other = Keys::open(&folder.path().join("other")).expect("keys").cached();
        let issuer = TokenIssuer::new(Keys::open(folder.path()).expect("keys"));
        let user_of = async |token: &str| issuer.verify(token).await.map(|(it, _)| it.subject);
        let token = issuer.issue("u", now).await.expect("a token");
        assert_eq!(user_of(&token).await.as_deref(), Some("u"));

        let keys = issuer.keys.cached();
        let key = keys.signing_key(now);
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
        let by_other = encode(&header, &claims(|_| ()), &other.signing_key(now).signing).expect("a token");
        let unknown = Header { kid: Some("unknown".to_owned()), ..header.clone() };
        let unknown = encode(&unknown, &claims(|_| ()), &key.signing).expect("a token");
        // The public key must not be accepted as the secret of an HMAC.
        let public = keys.public.to_string();
        let confused = Header { alg: Algorithm::HS256, ..header.clone() };
        let confused = encode(&confused, &claims(|_| ()), &EncodingKey::from_secret(public.as_bytes())).expect("one");
        let payload = token.split('.').nth(1).expect("a payload");
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        let long = format!("{token}{}", "x".repeat(MAX_TOKEN_BYTES));
        // jsonwebtoken has no such header, so it is written by hand. The signature is not reached.
        let critical = json!({ "alg": "ES256", "kid": key.id, "crit": ["b64"], "b64": false }).to_string();
        let critical = format!("{}.{payload}.x", BASE64_URL_SAFE_NO_PAD.encode(critical));
        assert_eq!(TokenHeader::parse(&critical), None);
        for broken in [&by_other, &unknown, &confused, &unsigned, &long, &token[..token.len() - 4], "", "a.b.c"] {
            assert_eq!(user_of(broken).await, None, "{broken}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn key_files_are_private_and_tokens_stay_valid_after_a_rotation() {
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
        assert_eq!(after.verify(&token).await.map(|(it, _)| it.subject).as_deref(), Some("u"));
        let public = after.public_keys().await;
        assert_eq!(public["keys"].as_array().map(Vec::len), Some(2));
        assert!(!public.to_string().contains("\"d\""), "the private key is not published");
    }
}
