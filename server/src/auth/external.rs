//! An external OpenID Connect issuer: its keys are found by discovery (OpenID Connect Discovery 1.0), kept, and looked up
//! again where a token names one that is not known.

use std::{
    num::NonZeroU32,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use reqwest::{Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::tokens::{Verified, key_id, verify};
use crate::error::ApiError;

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
}

/// How keys are found.
struct Discovery {
    url: Url,
    /// As it was given, and as its tokens have it.
    name: String,
    http: reqwest::Client,
    known: RwLock<Known>,
    /// Held by whoever asks the issuer: one at a time.
    asking: Mutex<()>,
    questions: DefaultDirectRateLimiter,
}

/// The keys, and when they were told.
type Known = Option<(Arc<Vec<Key>>, Instant)>;

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
            asking: Mutex::default(),
            questions: RateLimiter::direct(quota),
        };
        Ok(ExternalIssuer { discovery: Arc::new(discovery), audience: audience.to_owned() })
    }

    /// What a token of the issuer's says; nothing where anything is wrong with it.
    ///
    /// # Errors
    /// The issuer has never told its keys, and does not now.
    pub async fn verified(&self, token: &str) -> Result<Option<Verified>, ApiError> {
        let Some(id) = key_id(token) else { return Ok(None) };
        let keys = self.keys(&id).await?;
        let name = &self.discovery.name;
        let verified = |key: &Key| verify(token, &key.key, key.algorithm, name, &self.audience);
        Ok(keys.iter().filter(|key| key.id == id).find_map(verified))
    }

    /// The keys, in which the one of this id is unless the issuer has none of it.
    async fn keys(&self, id: &str) -> Result<Arc<Vec<Key>>, ApiError> {
        let is_known = |keys: &Arc<Vec<Key>>| keys.iter().any(|key| key.id == id);
        if let Some((keys, told_at)) = self.discovery.known().filter(|(keys, _)| is_known(keys)) {
            if told_at.elapsed() > FRESHNESS {
                // Nobody waits for that: the keys are good as long as the issuer says nothing else.
                let discovery = self.discovery.clone();
                tokio::spawn(async move {
                    if let Ok(_alone) = discovery.asking.try_lock() {
                        discovery.ask().await;
                    }
                });
            }
            return Ok(keys);
        }
        let _alone = self.discovery.asking.lock().await;
        // Somebody else may have asked while this one waited.
        if let Some((keys, _)) = self.discovery.known().filter(|(keys, _)| is_known(keys)) {
            return Ok(keys);
        }
        self.discovery.ask().await;
        self.discovery.known().map(|(keys, _)| keys).ok_or(ApiError::IssuerAway)
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
            Ok(keys) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(keys), Instant::now()));
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the issuer does not tell its keys"),
        }
    }

    async fn fetch(&self) -> anyhow::Result<Vec<Key>> {
        let place = format!("{}/.well-known/openid-configuration", self.url.as_str().trim_end_matches('/'));
        let configuration: Configuration = self.get(Url::parse(&place)?).await?;
        ensure!(configuration.issuer == self.name, "it says of itself that it is {}", configuration.issuer);
        let jwks_uri = Url::parse(&configuration.jwks_uri).context("the address of its keys is no URL")?;
        ensure_safe(&jwks_uri)?;
        let set: Value = self.get(jwks_uri).await?;
        let keys = set["keys"].as_array().context("its key set has no keys")?;
        // What is of no use here is nothing to worry about: encryption keys, algorithms of tomorrow.
        Ok(keys.iter().filter_map(|key| key_of(serde_json::from_value(key.clone()).ok()?)).collect())
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
