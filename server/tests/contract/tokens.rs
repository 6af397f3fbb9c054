//! Access tokens that the suite signs itself.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// The `iss` of the server's own tokens.
const OWN_ISSUER: &str = "garage-server";
const DEFAULT_AUDIENCE: &str = "garage";

/// Signs access tokens for made-up users, so that no registration is necessary.
pub struct Signer {
    key: PathBuf,
    issuer: String,
    audience: String,
}

impl Signer {
    /// Signs with the key that `GARAGE_TEST_KEY` names, if it is set.
    pub fn from_environment() -> Option<Signer> {
        let key = PathBuf::from(std::env::var_os("GARAGE_TEST_KEY")?);
        let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        Some(Signer {
            key,
            issuer: setting("GARAGE_TEST_ISSUER", OWN_ISSUER),
            audience: setting("GARAGE_TEST_AUDIENCE", DEFAULT_AUDIENCE),
        })
    }

    /// A token for the user with this id, valid for 15 minutes.
    pub fn token(&self, user: &str) -> String {
        let mut claims = claims(user);
        claims["iss"] = json!(self.issuer);
        claims["aud"] = json!(self.audience);
        sign_with(&self.key, &claims)
    }
}

/// The claims of a valid token of the server's own.
pub fn claims(user: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({ "iss": OWN_ISSUER, "aud": DEFAULT_AUDIENCE, "sub": user, "iat": now, "nbf": now, "exp": now + 900 })
}

/// A token of the server's own for any user, signed by the oldest key in this folder.
pub fn token(keys: &Path, user: &str) -> String {
    sign(keys, &claims(user))
}

/// A token with these claims, signed by the oldest key in this folder.
pub fn sign(keys: &Path, claims: &Value) -> String {
    sign_with(key_files(keys).first().expect("a key"), claims)
}

/// A token with these claims, signed by an ES256 private key in PEM, PKCS #8. The stem of the file is the `kid`.
fn sign_with(file: &Path, claims: &Value) -> String {
    let pem = std::fs::read(file).unwrap_or_else(|error| panic!("cannot read the key {}: {error}", file.display()));
    let key = EncodingKey::from_ec_pem(&pem)
        .unwrap_or_else(|error| panic!("{} is not an ES256 private key in PEM (PKCS #8): {error}", file.display()));
    let kid = file.file_stem().expect("a file name").to_string_lossy().into_owned();
    encode(&Header { kid: Some(kid), ..Header::new(Algorithm::ES256) }, claims, &key).expect("a token")
}

/// The files of the keys in this folder, the oldest first.
pub fn key_files(keys: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(keys).expect("keys").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "pem")).collect();
    files.sort();
    files
}
