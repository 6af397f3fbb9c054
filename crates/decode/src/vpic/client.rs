//! Asking vPIC over HTTP.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use garage_domain::Vin;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use super::{VpicAnswer, breaker::Breaker};

/// VINs in one batch request.
pub const LARGEST_BATCH: usize = 50;
/// vPIC answers in 0.3 to 10 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// vPIC responds 429 above about five requests a second.
const REQUEST_INTERVAL: Duration = Duration::from_millis(200);
/// Retries after the first attempt.
const RETRIES: usize = 2;
/// Delay before the first retry; doubled for the next, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// A request is not retried if `Retry-After` is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A batch of 50 has about 300 kB.
const LARGEST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Why there is no answer of vPIC's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VpicError {
    /// Requests are switched off.
    #[error("vPIC is switched off")]
    SwitchedOff,
    /// The circuit breaker is open: vPIC kept failing, or sent `Retry-After`.
    #[error("vPIC kept failing, or asked for a pause, and is not contacted for a while")]
    Resting,
    /// No connection, or it was closed early.
    #[error("vPIC cannot be reached")]
    Unreachable,
    /// The timeout elapsed.
    #[error("vPIC did not answer in time")]
    TimedOut,
    /// Status 429, with the time of `Retry-After`.
    #[error("vPIC is asked too often")]
    RateLimited(Option<Duration>),
    /// Another HTTP status that is not a success.
    #[error("vPIC answered with status {0}")]
    Status(u16),
    /// The response is not the expected JSON, or too large.
    #[error("vPIC's answer cannot be read")]
    Malformed,
}

impl VpicError {
    fn is_worth_a_retry(&self) -> bool {
        match self {
            VpicError::Unreachable | VpicError::TimedOut | VpicError::Malformed => true,
            VpicError::RateLimited(wait) => wait.is_none_or(|wait| wait <= LONGEST_WAIT),
            VpicError::Status(status) => *status >= 500,
            VpicError::Resting | VpicError::SwitchedOff => false,
        }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "Results")]
    results: Vec<BTreeMap<String, serde_json::Value>>,
}

/// HTTP client of vPIC. Clones share the rate limit and the breaker.
#[derive(Clone)]
pub struct VpicClient {
    http: reqwest::Client,
    base_url: Arc<str>,
    limiter: Arc<DefaultDirectRateLimiter>,
    breaker: Arc<Breaker>,
}

impl VpicClient {
    /// NHTSA's base URL.
    const BASE_URL: &str = "https://vpic.nhtsa.dot.gov/api/vehicles";

    /// The base URL: `GARAGE_VPIC_URL` (such as a mirror), or NHTSA's.
    #[must_use]
    pub fn base_url() -> String {
        std::env::var("GARAGE_VPIC_URL").ok().filter(|url| !url.is_empty()).unwrap_or_else(|| Self::BASE_URL.to_owned())
    }

    /// A client of the API at `base_url`.
    ///
    /// # Errors
    /// [`VpicError::Unreachable`] if TLS cannot be set up.
    pub fn new(base_url: &str) -> Result<VpicClient, VpicError> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("MotoVault/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| VpicError::Unreachable)?;
        let quota = Quota::with_period(REQUEST_INTERVAL).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        Ok(VpicClient {
            http,
            base_url: base_url.trim_end_matches('/').into(),
            limiter: Arc::new(RateLimiter::direct(quota.allow_burst(NonZeroU32::MIN))),
            breaker: Arc::default(),
        })
    }

    /// Requests vPIC's values for one VIN.
    ///
    /// # Errors
    /// Any [`VpicError`] except `SwitchedOff`, after retries.
    pub async fn decode(&self, vin: &Vin, model_year: Option<i32>) -> Result<VpicAnswer, VpicError> {
        let url = format!("{}/DecodeVinValues/{vin}", self.base_url);
        let year = model_year.map(|year| ("modelyear", year.to_string()));
        let request = || {
            let query: Vec<(&str, String)> = [("format", "json".to_owned())].into_iter().chain(year.clone()).collect();
            self.http.get(&url).query(&query)
        };
        let mut answers = self.ask(request, 1).await?;
        answers.pop().filter(|answer| answer.is_about(vin)).ok_or(VpicError::Malformed)
    }

    /// Requests vPIC's values for up to 50 VINs, in their order.
    ///
    /// # Errors
    /// Same as [`VpicClient::decode`]; [`VpicError::Malformed`] if the answers do not match the VINs.
    ///
    /// # Panics
    /// More than [`LARGEST_BATCH`] VINs.
    pub async fn decode_batch(&self, vins: &[(Vin, Option<i32>)]) -> Result<Vec<VpicAnswer>, VpicError> {
        assert!(vins.len() <= LARGEST_BATCH, "vPIC takes {LARGEST_BATCH} VINs at once");
        let url = format!("{}/DecodeVINValuesBatch/", self.base_url);
        let one = |(vin, year): &(Vin, Option<i32>)| match year {
            Some(year) => format!("{vin},{year}"),
            None => vin.to_string(),
        };
        let data = vins.iter().map(one).collect::<Vec<_>>().join(";");
        let answers =
            self.ask(|| self.http.post(&url).form(&[("format", "json"), ("data", &data)]), vins.len()).await?;
        // Never assign the answer for one VIN to another.
        let is_in_order = vins.iter().zip(&answers).all(|((vin, _), answer)| answer.is_about(vin));
        if is_in_order { Ok(answers) } else { Err(VpicError::Malformed) }
    }

    async fn ask(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
        expected: usize,
    ) -> Result<Vec<VpicAnswer>, VpicError> {
        if !self.breaker.permits() {
            return Err(VpicError::Resting);
        }
        let attempt = || async {
            self.limiter.until_ready().await;
            let answers = read(request().send().await.map_err(network_error)?).await?;
            if answers.len() == expected { Ok(answers) } else { Err(VpicError::Malformed) }
        };
        let answered = attempt
            .retry(ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_jitter().with_max_times(RETRIES))
            .when(VpicError::is_worth_a_retry)
            .adjust(|error, wait| match error {
                VpicError::RateLimited(Some(asked_for)) => wait.map(|wait| wait.max(*asked_for)),
                _ => wait,
            })
            .await;
        match &answered {
            Ok(_) => self.breaker.succeeded(),
            Err(error) => {
                if let VpicError::RateLimited(Some(wait)) = error {
                    self.breaker.asked_to_rest(*wait);
                }
                self.breaker.failed();
            }
        }
        answered
    }
}

async fn read(mut response: Response) -> Result<Vec<VpicAnswer>, VpicError> {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        return Err(VpicError::RateLimited(wait));
    }
    if !response.status().is_success() {
        return Err(VpicError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network_error)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_BODY_BYTES {
            return Err(VpicError::Malformed);
        }
    }
    let body: Body = serde_json::from_slice(&body).map_err(|_| VpicError::Malformed)?;
    Ok(body.results.into_iter().map(VpicAnswer::from_results).collect())
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let of_date =
        || jiff::fmt::rfc2822::parse(value).ok()?.timestamp().duration_since(Timestamp::now()).try_into().ok();
    value.trim().parse().ok().map(Duration::from_secs).or_else(of_date)
}

fn network_error(error: reqwest::Error) -> VpicError {
    if error.is_timeout() { VpicError::TimedOut } else { VpicError::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        let date = |seconds: i64| {
            let time = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a date")
        };
        let wait = retry_after(&date(3_600)).expect("a wait");
        assert!(wait > Duration::from_secs(3_500) && wait <= Duration::from_secs(3_600), "{wait:?}");
        assert_eq!(retry_after(&date(-60)), None, "a date in the past");
        assert_eq!(retry_after("soon"), None);
    }
}
