//! NHTSA's web API, which knows what was registered since the snapshot was made.
//!
//! Slow, rate-limited and often away, so the client is patient with nothing: five seconds for an answer, five
//! questions a second, a few retries with jitter, and silence for a while once it keeps failing. Whoever calls it does
//! so in the background. What comes back is not trusted: bounded in size, and only text values are taken.

mod breaker;
mod client;
mod merge;

use std::collections::BTreeMap;

use garage_domain::Vin;
use serde::{Deserialize, Serialize};

pub use client::{LARGEST_BATCH, VpicClient, VpicError};

/// What vPIC knows about one VIN: its values by vPIC's code, without those that say there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VpicAnswer(BTreeMap<String, String>);

impl VpicAnswer {
    /// Takes the values of one object of vPIC's `Results`.
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

    /// Whether it is about this VIN, as far as it says.
    fn is_about(&self, vin: &Vin) -> bool {
        self.get("VIN").is_none_or(|answered| answered.eq_ignore_ascii_case(vin.as_str()))
    }

    /// Whether vPIC knows the vehicle at all, and not only that the VIN is wrong.
    #[must_use]
    pub fn knows_the_vehicle(&self) -> bool {
        self.get("Make").is_some()
    }
}

/// The longest value that is taken; vPIC's notes have some hundred characters.
const LONGEST_VALUE: usize = 2_000;
