//! An external OpenID Connect issuer: its keys are found by discovery (OpenID Connect Discovery 1.0), kept, and looked up
//! again where a token names one that is not known.

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

/// How long keys are good before they are looked up again; an issuer that does not answer then leaves them good.
const FRESHNESS: Duration = Duration::from_secs(10 * 60);
/// How often, on average, the issuer is asked: whoever invents ids of keys must not make this server a burden to it.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it may be asked in a row, so that keys that change are known at once.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
/// How long the issuer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document that is read.
const LARGEST_BYTES: usize = 1024 * 1024;

/// The issuer, and what is known of its keys.
pub struct ExternalIssuer {
    discovery: Arc<Discovery>,
    audience: String,
    /// The issuer's number in the database.
    number: OnceCell<i64>,
}

/// How keys are found.
struct Discovery {
    url: Url,
    /// As it was given, and as its tokens have it.
    name: String,
    http: reqwest::Client,
    known: RwLock<Known>,
    /// Held by whoever asks the issuer: one at a time.
    asking: Arc<Mutex<()>>,
    questions: DefaultDirectRateLimiter,
}

/// The keys, and when they were told.
type Known = Option<(Arc<KeySet>, Instant)>;

struct KeySet {
    keys: Vec<Key>,
    /// The issuer's own words.
    source: Value,
    /// Differs between all sets of a process.
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
    /// The issuer of this URL, whose tokens are for this audience. It is not asked before a token comes.
    ///
    /// # Errors
    /// It is no URL, or not one by which keys come unchanged.
    pub fn new(issuer: &str, audience: &str) -> anyhow::Result<ExternalIssuer> {
        let url = Url::parse(issuer).context("it is no URL")?;
        ensure!(url.query().is_none() && url.fragment().is_none(), "it must have no query and no fragment");
        ensure_safe(&url)?;
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build()?;
        let quota = Quota::with_period(PAUSE).context("a pause")?.allow_burst(BURST);
        let discovery = Discovery {
            url,
            name: issuer.to_owned(),
            http,
            known: RwLock::default(),
            asking: Arc::default(),
            questions: RateLimiter::direct(quota),
        };
        Ok(ExternalIssuer { discovery: Arc::new(discovery), audience: audience.to_owned(), number: OnceCell::new() })
    }

    /// Returns what a token of the issuer says, with the number of the set of keys that it was verified by; `None` if
    /// anything is wrong with it.
    ///
    /// # Errors
    /// [`ApiError::IssuerAway`] if the issuer has never told its keys, and does not now.
    pub async fn verified(&self, token: &str) -> Result<Option<(Verified, u64)>, ApiError> {
        let Some(header) = TokenHeader::of(token) else { return Ok(None) };
        let set = self.keys(&header.key_id).await?;
        let name = &self.discovery.name;
        let verified = |key: &Key| verify(token, &header, &key.key, key.algorithm, name, &self.audience);
        Ok(set.of(&header.key_id).find_map(verified).map(|verified| (verified, set.number)))
    }

    /// The stored user of a subject. A database's first issuer has its subjects as users, as it was when there was only
    /// one; the same subject of another issuer is somebody else.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn user(&self, store: &Store, subject: String) -> Result<String, ApiError> {
        let name = &self.discovery.name;
        let ask = async || {
            let number = issuer_number(store, name).await?;
            if number > 1 {
                tracing::warn!(issuer = name, "the database has users of another issuer; those of this one are others");
            }
            Ok::<_, ApiError>(number)
        };
        let number = *self.number.get_or_try_init(ask).await?;
        Ok(if number == 1 { subject } else { user_of_other_issuer(name, &subject) })
    }

    /// The number of the set of keys that tokens are verified by now, which is refreshed in the background.
    pub fn key_set(&self) -> Option<u64> {
        self.discovery.known().map(|(set, told_at)| {
            self.refresh_if_stale(told_at);
            set.number
        })
    }

    /// The set in which the key of this id is, unless the issuer has none of it.
    async fn keys(&self, id: &str) -> Result<Arc<KeySet>, ApiError> {
        let has_key = |set: &KeySet| set.of(id).next().is_some();
        if let Some((set, told_at)) = self.discovery.known().filter(|(set, _)| has_key(set)) {
            self.refresh_if_stale(told_at);
            return Ok(set);
        }
        let asking = self.discovery.asking.clone().lock_owned().await;
        // Another request may have asked while this one waited.
        if let Some((set, _)) = self.discovery.known().filter(|(set, _)| has_key(set)) {
            return Ok(set);
        }
        // Spawned, so that a client that goes away does not waste one of the few questions.
        let discovery = self.discovery.clone();
        let asked = tokio::spawn(async move {
            let _asking = asking;
            discovery.ask().await;
        });
        let _ = asked.await;
        self.discovery.known().map(|(set, _)| set).ok_or(ApiError::IssuerAway)
    }

    /// Asks for the keys in the background if they are old. They stay valid as long as the issuer says nothing else.
    fn refresh_if_stale(&self, told_at: Instant) {
        if told_at.elapsed() <= FRESHNESS {
            return;
        }
        if let Ok(asking) = self.discovery.asking.clone().try_lock_owned() {
            let discovery = self.discovery.clone();
            tokio::spawn(async move {
                let _asking = asking;
                discovery.ask().await;
            });
        }
    }
}

impl KeySet {
    /// Keys that are of no use here, such as encryption keys, are left out.
    fn new(source: Value, number: u64) -> KeySet {
        let keys = source["keys"].as_array().into_iter().flatten();
        let keys = keys.filter_map(|key| key_of(serde_json::from_value(key.clone()).ok()?)).collect();
        KeySet { keys, source, number }
    }

    /// The keys of an id: different kinds of keys may have the same.
    fn of(&self, id: &str) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.id == id)
    }
}

impl Discovery {
    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the issuer for its keys, unless it was asked too often. Those that are known stay where it does not answer.
    async fn ask(&self) {
        if self.questions.check().is_err() {
            return;
        }
        match self.fetch().await {
            Ok(source) => {
                let known = self.known().map(|(set, _)| set);
                let set = match known {
                    Some(known) if known.source == source => known,
                    known => Arc::new(KeySet::new(source, known.map_or(0, |known| known.number + 1))),
                };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((set, Instant::now()));
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the issuer does not tell its keys"),
        }
    }

    async fn fetch(&self) -> anyhow::Result<Value> {
        let place = format!("{}/.well-known/openid-configuration", self.url.as_str().trim_end_matches('/'));
        let configuration: Configuration = self.get(Url::parse(&place)?).await?;
        ensure!(configuration.issuer == self.name, "it says of itself that it is {}", configuration.issuer);
        let jwks_uri = Url::parse(&configuration.jwks_uri).context("the address of its keys is no URL")?;
        ensure_safe(&jwks_uri)?;
        let set: Value = self.get(jwks_uri).await?;
        ensure!(set["keys"].is_array(), "its key set has no keys");
        Ok(set)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: Url) -> anyhow::Result<T> {
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_BYTES {
                bail!("its answer is larger than 1 MiB");
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// A key by which tokens can be checked. Its kind decides on the algorithm.
fn key_of(jwk: Jwk) -> Option<Key> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let is_other = jwk.common.key_algorithm.is_some_and(|said| said.to_string() != format!("{algorithm:?}"));
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (!is_other).then_some(Key { id: jwk.common.key_id?, algorithm, key })
}

/// The stored user of a subject of any issuer but the first: a digest, which fits whatever the lengths are.
fn user_of_other_issuer(issuer: &str, subject: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{issuer}\0{subject}")))
}

/// Whoever could change what comes by this URL could sign for anybody.
fn ensure_safe(url: &Url) -> anyhow::Result<()> {
    let host = url.host_str().unwrap_or_default();
    let is_here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    ensure!(url.scheme() == "https" || (url.scheme() == "http" && is_here), "it must be https");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_by_https_or_is_here() {
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
    fn only_keys_for_signatures_of_a_known_kind_are_taken() {
        let key = |text: &str| serde_json::from_str::<Jwk>(text).ok().and_then(key_of).map(|key| key.algorithm);
        let ec = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        assert_eq!(key(&format!(r#"{{{ec},"kid":"1"}}"#)), Some(Algorithm::ES256));
        assert_eq!(key(&format!(r#"{{{ec},"kid":"1","use":"sig","alg":"ES256"}}"#)), Some(Algorithm::ES256));
        for bad in [r#""kid":"1","use":"enc""#, r#""kid":"1","alg":"ES384""#, r#""use":"sig""#] {
            assert_eq!(key(&format!("{{{ec},{bad}}}")), None, "{bad}");
        }
        assert_eq!(key(r#"{"kty":"oct","k":"c2VjcmV0","kid":"1","alg":"HS256"}"#), None);
    }
}
