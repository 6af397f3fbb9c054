//! Client of NHTSA's web API, which has vehicles registered after the snapshot was made.
//!
//! The API is slow, rate-limited and often unavailable. The client has a timeout of 5 seconds, sends 5 requests a second,
//! retries twice with jitter, and stops for a while after repeated failures. Call it in the background. Responses are
//! not trusted: their size is limited, and only text and numbers are read.

mod breaker;
mod client;
mod merge;

use std::collections::BTreeMap;

use garage_domain::Vin;
use serde::{Deserialize, Serialize};

pub use client::{LARGEST_BATCH, VpicClient, VpicError};

/// vPIC's values for one VIN by vPIC's code, without empty ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VpicAnswer(BTreeMap<String, String>);

impl VpicAnswer {
    /// Reads one object of vPIC's `Results`.
    fn from_results(values: BTreeMap<String, serde_json::Value>) -> VpicAnswer {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => Some(text.trim().to_owned()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let is_value = |value: &String| !value.is_empty() && value != "Not Applicable" && value.len() <= LONGEST_VALUE;
        VpicAnswer(values.into_iter().filter_map(|(code, value)| Some((code, text(value).filter(is_value)?))).collect())
    }

    fn get(&self, code: &str) -> Option<&str> {
        self.0.get(code).map(String::as_str)
    }

    /// Whether the answer is about this VIN, or names none.
    fn is_about(&self, vin: &Vin) -> bool {
        self.get("VIN").is_none_or(|answered| answered.eq_ignore_ascii_case(vin.as_str()))
    }

    /// Whether the answer describes a vehicle, and not only errors of the VIN.
    #[must_use]
    pub fn knows_the_vehicle(&self) -> bool {
        self.get("Make").is_some()
    }
}

/// Longer values are dropped; vPIC's notes have a few hundred characters.
const LONGEST_VALUE: usize = 2_000;
