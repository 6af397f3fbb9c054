//! An external OpenID Connect issuer. Its keys are fetched with OpenID Connect Discovery 1.0, cached, and fetched again
//! for a token with an unknown key.

use std::{
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use reqwest::{Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OnceCell};

use super::{
    store::issuer_number,
    tokens::{TokenHeader, Verified, verify},
};
use crate::{error::ApiError, store::Store};

/// The age at which cached keys are fetched again. They stay in use if the issuer does not respond.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);
/// The average interval between requests to the issuer. Anybody can cause requests, with tokens that name made-up keys.
const FETCH_INTERVAL: Duration = Duration::from_secs(10);
/// The number of requests that may come faster, so that new keys are known at once.
const FETCH_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
/// The timeout for a request to the issuer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of a response of the issuer.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// An external issuer and its cached keys.
pub struct ExternalIssuer {
    discovery: Arc<Discovery>,
    audience: String,
    /// The issuer's number in the database.
    number: OnceCell<i64>,
}

/// Fetches and caches the issuer's keys.
struct Discovery {
    url: Url,
    /// The URL as it was configured, which the tokens must have as `iss`.
    name: String,
    http: reqwest::Client,
    cached: RwLock<CachedKeys>,
    /// Locked while the keys are fetched.
    fetching: Arc<Mutex<()>>,
    fetch_limiter: DefaultDirectRateLimiter,
}

/// The keys, and when they were fetched.
type CachedKeys = Option<(Arc<KeySet>, Instant)>;

struct KeySet {
    keys: Vec<Key>,
    /// The set as the issuer sent it.
    source: Value,
    /// Unique among the sets of this process.
    number: u64,
}

struct Key {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl ExternalIssuer {
    /// Accepts tokens of the issuer with this URL, for this audience. Its keys are fetched when the first token is verified.
    ///
    /// # Errors
    /// If the URL is invalid, or is not https and not on loopback.
    pub fn new(issuer: &str, audience: &str) -> anyhow::Result<ExternalIssuer> {
        let url = Url::parse(issuer).context("it is not a URL")?;
        ensure!(url.query().is_none() && url.fragment().is_none(), "it must have no query and no fragment");
        ensure_secure(&url)?;
        let http = reqwest::Client::builder().timeout(FETCH_TIMEOUT).redirect(redirect::Policy::none()).build()?;
        let quota = Quota::with_period(FETCH_INTERVAL).context("the interval is zero")?.allow_burst(FETCH_BURST);
        let discovery = Discovery {
            url,
            name: issuer.to_owned(),
            http,
            cached: RwLock::default(),
            fetching: Arc::default(),
            fetch_limiter: RateLimiter::direct(quota),
        };
        Ok(ExternalIssuer { discovery: Arc::new(discovery), audience: audience.to_owned(), number: OnceCell::new() })
    }

    /// Verifies a token. Returns its claims and the number of the set of keys, or `None` if the token is not valid.
    ///
    /// # Errors
    /// [`ApiError::IssuerUnavailable`] if the keys cannot be fetched, and none are cached.
    pub async fn verify(&self, token: &str) -> Result<Option<(Verified, u64)>, ApiError> {
        let Some(header) = TokenHeader::parse(token) else { return Ok(None) };
        let set = self.keys_for(&header.key_id).await?;
        let name = &self.discovery.name;
        let verified = |key: &Key| verify(token, &header, &key.key, key.algorithm, name, &self.audience);
        Ok(set.with_id(&header.key_id).find_map(verified).map(|verified| (verified, set.number)))
    }

    /// The user id of a subject. For the first issuer of a database it is the subject, as in databases from before several
    /// issuers were supported. For others it is a digest, because equal subjects of two issuers are two users.
    ///
    /// # Errors
    /// [`ApiError::DatabaseUnavailable`] and [`ApiError::Internal`] if the database fails.
    pub async fn user(&self, store: &Store, subject: String) -> Result<String, ApiError> {
        let name = &self.discovery.name;
        let read = async || {
            let number = issuer_number(store, name).await?;
            if number > 1 {
                tracing::warn!(
                    issuer = name,
                    "the database has users of another issuer; users of this issuer do not get their vehicles"
                );
            }
            Ok::<_, ApiError>(number)
        };
        let number = *self.number.get_or_try_init(read).await?;
        Ok(if number == 1 { subject } else { user_of_other_issuer(name, &subject) })
    }

    /// The number of the cached set of keys. Fetches outdated keys in the background.
    pub fn key_set_number(&self) -> Option<u64> {
        self.discovery.cached().map(|(set, fetched_at)| {
            self.refresh_if_stale(fetched_at);
            set.number
        })
    }

    /// The cached keys. If none has this id, they are fetched first.
    async fn keys_for(&self, id: &str) -> Result<Arc<KeySet>, ApiError> {
        let has_key = |set: &KeySet| set.with_id(id).next().is_some();
        if let Some((set, fetched_at)) = self.discovery.cached().filter(|(set, _)| has_key(set)) {
            self.refresh_if_stale(fetched_at);
            return Ok(set);
        }
        let fetching = self.discovery.fetching.clone().lock_owned().await;
        // Another request may have fetched the keys while this one waited.
        if let Some((set, _)) = self.discovery.cached().filter(|(set, _)| has_key(set)) {
            return Ok(set);
        }
        // Spawned, so that a client that disconnects does not cancel one of the few allowed fetches.
        let discovery = self.discovery.clone();
        let fetched = tokio::spawn(async move {
            let _fetching = fetching;
            discovery.refresh().await;
        });
        let _ = fetched.await;
        self.discovery.cached().map(|(set, _)| set).ok_or(ApiError::IssuerUnavailable)
    }

    /// Fetches the keys in the background if they are outdated. The cached keys stay in use meanwhile.
    fn refresh_if_stale(&self, fetched_at: Instant) {
        if fetched_at.elapsed() <= REFRESH_AFTER {
            return;
        }
        if let Ok(fetching) = self.discovery.fetching.clone().try_lock_owned() {
            let discovery = self.discovery.clone();
            tokio::spawn(async move {
                let _fetching = fetching;
                discovery.refresh().await;
            });
        }
    }
}

impl KeySet {
    /// Omits unsupported keys, such as encryption keys.
    fn new(source: Value, number: u64) -> KeySet {
        let keys = source["keys"].as_array().into_iter().flatten();
        let keys = keys.filter_map(|key| signature_key(serde_json::from_value(key.clone()).ok()?)).collect();
        KeySet { keys, source, number }
    }

    /// The keys with this id. Keys of different types may share one.
    fn with_id(&self, id: &str) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.id == id)
    }
}

impl Discovery {
    fn cached(&self) -> CachedKeys {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys, unless they were fetched too often. After an error the cached keys stay in use.
    async fn refresh(&self) {
        if self.fetch_limiter.check().is_err() {
            return;
        }
        match self.fetch().await {
            Ok(source) => {
                let cached = self.cached().map(|(set, _)| set);
                let set = match cached {
                    Some(cached) if cached.source == source => cached,
                    cached => Arc::new(KeySet::new(source, cached.map_or(0, |cached| cached.number + 1))),
                };
                *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some((set, Instant::now()));
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the keys of the issuer cannot be fetched"),
        }
    }

    async fn fetch(&self) -> anyhow::Result<Value> {
        let address = format!("{}/.well-known/openid-configuration", self.url.as_str().trim_end_matches('/'));
        let configuration: Configuration = self.get(Url::parse(&address)?).await?;
        ensure!(configuration.issuer == self.name, "its configuration is of another issuer, {}", configuration.issuer);
        let jwks_uri = Url::parse(&configuration.jwks_uri).context("its jwks_uri is not a URL")?;
        ensure_secure(&jwks_uri)?;
        let set: Value = self.get(jwks_uri).await?;
        ensure!(set["keys"].is_array(), "its key set has no keys");
        Ok(set)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: Url) -> anyhow::Result<T> {
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_RESPONSE_BYTES {
                bail!("its response is larger than 1 MiB");
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Reads a key that verifies signatures. Its type determines the algorithm. Returns `None` for other keys.
fn signature_key(jwk: Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let is_for_other_algorithm =
        jwk.common.key_algorithm.is_some_and(|named| named.to_string() != format!("{algorithm:?}"));
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (!is_for_other_algorithm).then_some(Key { id: jwk.common.key_id?, algorithm, key })
}

/// The user id of a subject of any issuer but the first: a digest, because issuer and subject may be too long.
fn user_of_other_issuer(issuer: &str, subject: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{issuer}\0{subject}")))
}

/// Requires https, except on loopback: whoever can change the response can sign tokens for any user.
fn ensure_secure(url: &Url) -> anyhow::Result<()> {
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    ensure!(url.scheme() == "https" || (url.scheme() == "http" && is_loopback), "it must be https");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_must_use_https_except_on_loopback() {
        for good in
            ["https://id.example.org", "https://id.example.org/realms/x/", "http://127.0.0.1:9", "http://[::1]:9"]
        {
            assert!(ExternalIssuer::new(good, "garage").is_ok(), "{good}");
        }
        for bad in ["", "id.example.org", "http://id.example.org", "https://id.example.org?x=1", "ftp://127.0.0.1"] {
            assert!(ExternalIssuer::new(bad, "garage").is_err(), "{bad}");
        }
    }

    #[test]
    fn only_signature_keys_of_supported_algorithms_are_used() {
        let key = |text: &str| serde_json::from_str::<Jwk>(text).ok().and_then(signature_key).map(|key| key.algorithm);
        let ec = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        assert_eq!(key(&format!(r#"{{{ec},"kid":"1"}}"#)), Some(Algorithm::ES256));
        assert_eq!(key(&format!(r#"{{{ec},"kid":"1","use":"sig","alg":"ES256"}}"#)), Some(Algorithm::ES256));
        for bad in [r#""kid":"1","use":"enc""#, r#""kid":"1","alg":"ES384""#, r#""use":"sig""#] {
            assert_eq!(key(&format!("{{{ec},{bad}}}")), None, "{bad}");
        }
        assert_eq!(key(r#"{"kty":"oct","k":"c2VjcmV0","kid":"1","alg":"HS256"}"#), None);
    }
}
