//! NHTSA's web API, which knows what was registered since the snapshot was made.
//!
//! Slow, rate-limited and often away, so the client is patient with nothing: five seconds for an answer, five
//! questions a second, a few retries with jitter, and silence for a while once it keeps failing. Whoever calls it does
//! so in the background. What comes back is not trusted: bounded in size, and only text values are taken.

mod breaker;
mod client;

use std::collections::BTreeMap;

use garage_domain::Vin;
use serde::{Deserialize, Serialize};

pub use client::{LARGEST_BATCH, VpicClient, VpicError};

use crate::{Decode, DecodedFields, DecodedValue, Fact, Source, engine};

/// What vPIC knows about one VIN: its values by vPIC's code, without those that say there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VpicAnswer(BTreeMap<String, String>);

/// Keys of vPIC's answer that are about the request and not about the vehicle.
const ABOUT_THE_REQUEST: &[&str] = &[
    "VIN",
    "ErrorCode",
    "ErrorText",
    "AdditionalErrorText",
    "SuggestedVIN",
    "PossibleValues",
    "VehicleDescriptor",
    "MakeID",
    "ModelID",
    "ManufacturerId",
];

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

    /// The values as a vehicle's fields.
    fn fields(&self, source: Source) -> DecodedFields {
        let decoded =
            |code: &str| self.get(code).map(|value| DecodedValue { value: value.to_owned(), source, month: None });
        let is_year = |year: &i32| (FIRST_YEAR..=LAST_YEAR).contains(year);
        let engine = engine::label(&engine::EngineFacts {
            displacement_l: self.get("DisplacementL"),
            displacement_cc: self.get("DisplacementCC"),
            configuration: self.get("EngineConfiguration"),
            cylinders: self.get("EngineCylinders"),
        });
        DecodedFields {
            make: decoded("Make"),
            model: decoded("Model"),
            year: self.get("ModelYear").and_then(|year| year.parse().ok()).filter(is_year).map(|value| DecodedValue {
                value,
                source,
                month: None,
            }),
            trim_level: decoded("Trim"),
            engine: engine.map(|value| DecodedValue { value, source, month: None }),
            transmission: decoded("TransmissionStyle"),
            drive_type: decoded("DriveType"),
            fuel_type: decoded("FuelTypePrimary"),
            body_class: decoded("BodyClass"),
            vehicle_type: decoded("VehicleType"),
        }
    }
}

/// Years of vehicles that there can be.
const FIRST_YEAR: i32 = 1886;
const LAST_YEAR: i32 = 2100;
/// The longest value that is taken; vPIC's notes have some hundred characters.
const LONGEST_VALUE: usize = 2_000;

impl Decode {
    /// Lays vPIC's answer over the snapshot's: where vPIC has a value it counts, with its source; where it agrees, the
    /// snapshot's stays. An answer that does not know the vehicle changes nothing.
    #[must_use]
    pub fn refined(mut self, answer: &VpicAnswer, source: Source) -> Decode {
        fn refine<T: PartialEq>(ours: &mut Option<DecodedValue<T>>, theirs: Option<DecodedValue<T>>) {
            if let Some(theirs) = theirs
                && ours.as_ref().is_none_or(|ours| ours.value != theirs.value)
            {
                *ours = Some(theirs);
            }
        }
        if !answer.knows_the_vehicle() {
            return self;
        }
        let theirs = answer.fields(source);
        let fields = &mut self.fields;
        refine(&mut fields.make, theirs.make);
        refine(&mut fields.model, theirs.model);
        refine(&mut fields.year, theirs.year);
        refine(&mut fields.trim_level, theirs.trim_level);
        refine(&mut fields.engine, theirs.engine);
        refine(&mut fields.transmission, theirs.transmission);
        refine(&mut fields.drive_type, theirs.drive_type);
        refine(&mut fields.fuel_type, theirs.fuel_type);
        refine(&mut fields.body_class, theirs.body_class);
        refine(&mut fields.vehicle_type, theirs.vehicle_type);
        if let Some(facts) = &mut self.facts {
            refine_facts(facts, answer, source);
        }
        self
    }
}

fn refine_facts(facts: &mut Vec<Fact>, answer: &VpicAnswer, source: Source) {
    for (code, value) in &answer.0 {
        if ABOUT_THE_REQUEST.contains(&code.as_str()) {
            continue;
        }
        match facts.iter_mut().find(|fact| fact.code == *code) {
            Some(fact) if fact.value == *value => {}
            Some(fact) => {
                fact.value.clone_from(value);
                fact.source = source;
            }
            // vPIC's flat answer has no names and groups; the code is at least readable.
            None => facts.push(Fact {
                group: "Other".to_owned(),
                name: code.clone(),
                code: code.clone(),
                value: value.clone(),
                source,
            }),
        }
    }
}
