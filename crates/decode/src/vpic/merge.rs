//! Merges a vPIC response into the snapshot's result.

use std::borrow::Cow;

use super::VpicAnswer;
use crate::{
    Decode, DecodedFields, DecodedValue, Fact, Source,
    decode::{error_code, fact_value},
    engine::{self, EngineFacts, number},
};

/// Keys of a response that describe the request and not the vehicle.
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

/// Facts about a variant of a model, valid only together with the model from the same source.
const ABOUT_THE_MODEL: &[&str] = &[
    "Model",
    "Series",
    "Series2",
    "Trim",
    "Trim2",
    "DisplacementCC",
    "DisplacementCI",
    "DisplacementL",
    "EngineConfiguration",
    "EngineCylinders",
    "EngineModel",
];

const MODEL_YEAR: &str = "ModelYear";

impl<'a> Decode<'a> {
    /// Merges a vPIC response. A value from vPIC replaces a different one from the snapshot.
    ///
    /// - Numbers are compared as numbers: `3` does not replace `3.0`.
    /// - vPIC's model year passes the same [`YearPolicy`](crate::year::YearPolicy) as the snapshot's.
    /// - If make, model or model year differ, model, trim and engine all come from vPIC, because a trim belongs to its
    ///   model.
    /// - A response without a vehicle, or for another year than the requested one, is ignored.
    #[must_use]
    pub fn refined(mut self, answer: &VpicAnswer, source: Source) -> Decode<'a> {
        if !answer.knows_the_vehicle() {
            return self;
        }
        let policy = self.year_policy.with_light_vehicle(answer.is_light_vehicle());
        let answered = policy.judge(answer.model_year(), answer.is_registered());
        if policy.requested_instead_of(&answered).is_some() {
            return self;
        }
        let years = policy.judge(answered.year.or(self.model_year), true);
        let is_other_model = merge_fields(&mut self.fields, answer.fields(answered.year, source));
        if let Some(facts) = &mut self.facts {
            merge_facts(facts, answer, years.year, is_other_model, source);
        }
        self.errors.retain(|error| match error.code {
            error_code::UNREGISTERED => !answer.is_registered(),
            error_code::YEAR_CONTRADICTS => !policy.fits_request(&years),
            _ => true,
        });
        self.model_year = years.year;
        self.years = years.candidates;
        self
    }
}

/// Merges the fields. Returns true if make, model or year differ, so that the model group comes from vPIC.
fn merge_fields<'a>(ours: &mut DecodedFields<'a>, theirs: DecodedFields<'a>) -> bool {
    fn differ<T>(
        ours: &Option<DecodedValue<T>>,
        theirs: &Option<DecodedValue<T>>,
        is_same: impl FnOnce(&T, &T) -> bool,
    ) -> bool {
        matches!((ours, theirs), (Some(ours), Some(theirs)) if !is_same(&ours.value, &theirs.value))
    }
    fn merge<T>(
        ours: &mut Option<DecodedValue<T>>,
        theirs: Option<DecodedValue<T>>,
        is_same: impl FnOnce(&T, &T) -> bool,
    ) {
        if theirs.is_some() && (ours.is_none() || differ(ours, &theirs, is_same)) {
            *ours = theirs;
        }
    }
    let text = |ours: &Cow<'_, str>, theirs: &Cow<'_, str>| is_same(ours, theirs);
    let is_other_model = differ(&ours.make, &theirs.make, text)
        || differ(&ours.model, &theirs.model, text)
        || differ(&ours.year, &theirs.year, i32::eq);
    if is_other_model {
        (ours.model, ours.trim_level, ours.engine) = (None, None, None);
    }
    merge(&mut ours.make, theirs.make, text);
    merge(&mut ours.model, theirs.model, text);
    merge(&mut ours.year, theirs.year, i32::eq);
    merge(&mut ours.trim_level, theirs.trim_level, text);
    merge(&mut ours.engine, theirs.engine, text);
    merge(&mut ours.transmission, theirs.transmission, text);
    merge(&mut ours.drive_type, theirs.drive_type, text);
    merge(&mut ours.fuel_type, theirs.fuel_type, text);
    merge(&mut ours.body_class, theirs.body_class, text);
    merge(&mut ours.vehicle_type, theirs.vehicle_type, text);
    is_other_model
}

fn merge_facts(
    facts: &mut Vec<Fact<'_>>,
    answer: &VpicAnswer,
    model_year: Option<i32>,
    is_other_model: bool,
    source: Source,
) {
    if is_other_model {
        facts.retain(|fact| !ABOUT_THE_MODEL.contains(&fact.code.as_ref()) || answer.get(&fact.code).is_some());
    }
    for (code, value) in &answer.0 {
        let is_other_year = code == MODEL_YEAR && answer.model_year() != model_year;
        if is_other_year || ABOUT_THE_REQUEST.contains(&code.as_str()) {
            continue;
        }
        let value = fact_value(code, Cow::Owned(value.clone()));
        match facts.iter_mut().find(|fact| fact.code == *code) {
            Some(fact) if is_same(&fact.value, &value) => {}
            Some(fact) => {
                fact.value = value;
                fact.source = source;
            }
            // vPIC's flat response has no names and groups.
            None => facts.push(Fact {
                group: Cow::Borrowed("Other"),
                name: Cow::Owned(code.clone()),
                code: Cow::Owned(code.clone()),
                value,
                source,
            }),
        }
    }
}

/// Whether two values are equal as text or as numbers, such as `3` and `3.0`. vPIC rounds computed numbers to 14
/// digits; the snapshot does not.
fn is_same(ours: &str, theirs: &str) -> bool {
    const TOLERANCE: f64 = 1e-12;
    let is_same_number = |ours: f64, theirs: f64| (ours - theirs).abs() <= TOLERANCE * ours.abs();
    ours == theirs
        || matches!((number(ours), number(theirs)), (Some(ours), Some(theirs)) if is_same_number(ours, theirs))
}

impl VpicAnswer {
    fn model_year(&self) -> Option<i32> {
        let year = number(self.get(MODEL_YEAR)?)?;
        (year.fract() == 0.0).then_some(year as i32)
    }

    fn is_registered(&self) -> bool {
        let codes = self.get("ErrorCode").unwrap_or_default();
        !codes.split(',').any(|code| code.trim().parse() == Ok(error_code::UNREGISTERED))
    }

    /// Whether position 7 determines the year for this type of vehicle. `None` for trucks, where it depends on weight.
    fn is_light_vehicle(&self) -> Option<bool> {
        match self.get("VehicleType")? {
            "PASSENGER CAR" | "MULTIPURPOSE PASSENGER VEHICLE (MPV)" => Some(true),
            "TRUCK" => None,
            _ => Some(false),
        }
    }

    /// Converts the values to fields, with the year checked by the policy.
    fn fields(&self, year: Option<i32>, source: Source) -> DecodedFields<'static> {
        let decoded = |value: String| DecodedValue { value: Cow::Owned(value), source, month: None };
        let text = |code: &str| self.get(code).map(str::to_owned).map(decoded);
        let engine = engine::label(&EngineFacts {
            displacement_l: self.get("DisplacementL"),
            displacement_cc: self.get("DisplacementCC"),
            configuration: self.get("EngineConfiguration"),
            cylinders: self.get("EngineCylinders"),
        });
        DecodedFields {
            make: text("Make"),
            model: text("Model"),
            year: year.map(|value| DecodedValue { value, source, month: None }),
            trim_level: text("Trim"),
            engine: engine.map(decoded),
            transmission: text("TransmissionStyle"),
            drive_type: text("DriveType"),
            fuel_type: text("FuelTypePrimary"),
            body_class: text("BodyClass"),
            vehicle_type: text("VehicleType"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_numbers_are_compared_as_numbers() {
        for (ours, theirs, same) in [
            ("3", "3.0", true),
            ("2003", "2003.0", true),
            ("0649", "649", true),
            ("213.5831043315629938", "213.58310433156", true),
            ("3.5", "3.6", false),
            ("0", "1", false),
            ("1e3", "1000", false),
            ("inf", "infinity", false),
            ("EX", "EX", true),
            ("EX", "ex", false),
        ] {
            assert_eq!(is_same(ours, theirs), same, "{ours} {theirs}");
        }
    }
}
