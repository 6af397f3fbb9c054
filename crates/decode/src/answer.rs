//! The result of a decode, as specified in `docs/contract.md`.

use std::borrow::Cow;

use garage_domain::{Field, FieldValue, vehicle};
use jiff::Timestamp;
use serde::Serialize;

use crate::year::YearPolicy;

/// How much of vPIC's data a decode includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// The fields of a vehicle.
    #[default]
    Fields,
    /// The fields, and all facts from vPIC.
    Full,
}

/// The source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The vPIC data on this device.
    Snapshot,
    /// A cached response of the vPIC API.
    Cache,
    /// A new response of the vPIC API.
    Vpic,
    /// The country codes of ISO 3780 for the first two characters.
    Iso3780,
}

impl Source {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Snapshot => "snapshot",
            Source::Cache => "cache",
            Source::Vpic => "vpic",
            Source::Iso3780 => "iso3780",
        }
    }
}

/// A decoded value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodedValue<T> {
    /// The value.
    pub value: T,
    /// The source of the value.
    pub source: Source,
    /// The release of the snapshot, such as `2026-10`; absent for other sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub month: Option<&'static str>,
}

/// A decoded text.
pub type DecodedText<'a> = DecodedValue<Cow<'a, str>>;

impl DecodedText<'_> {
    /// Clones borrowed data.
    #[must_use]
    pub fn into_owned(self) -> DecodedText<'static> {
        DecodedValue { value: owned(self.value), source: self.source, month: self.month }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// The fields of a vehicle that decoding can fill; a field without a value is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are documented in the contract")]
pub struct DecodedFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub make: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub model: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<DecodedValue<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub trim_level: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub engine: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub transmission: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub drive_type: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub fuel_type: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub body_class: Option<DecodedText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<DecodedValue<String>>))]
    pub vehicle_type: Option<DecodedText<'a>>,
}

impl DecodedFields<'_> {
    /// Clones data borrowed from the snapshot.
    #[must_use]
    pub fn into_owned(self) -> DecodedFields<'static> {
        let text = |it: Option<DecodedText<'_>>| it.map(DecodedText::into_owned);
        DecodedFields {
            make: text(self.make),
            model: text(self.model),
            year: self.year,
            trim_level: text(self.trim_level),
            engine: text(self.engine),
            transmission: text(self.transmission),
            drive_type: text(self.drive_type),
            fuel_type: text(self.fuel_type),
            body_class: text(self.body_class),
            vehicle_type: text(self.vehicle_type),
        }
    }

    /// Returns the values by field, each adapted to the rule of its field.
    pub fn into_values(self, now: Timestamp) -> impl Iterator<Item = (&'static Field, DecodedValue<FieldValue>)> {
        fn valued<T>(
            decoded: Option<DecodedValue<T>>,
            value: impl FnOnce(T) -> FieldValue,
        ) -> Option<DecodedValue<FieldValue>> {
            decoded.map(|it| DecodedValue { value: value(it.value), source: it.source, month: it.month })
        }
        let text = |decoded| valued(decoded, |text: Cow<'_, str>| FieldValue::Text(text.into_owned()));
        let year = valued(self.year, |year: i32| FieldValue::Integer(year.into()));
        let values: [(&'static Field, _); 10] = [
            (&vehicle::YEAR, year),
            (&vehicle::MAKE, text(self.make)),
            (&vehicle::MODEL, text(self.model)),
            (&vehicle::TRIM_LEVEL, text(self.trim_level)),
            (&vehicle::ENGINE, text(self.engine)),
            (&vehicle::TRANSMISSION, text(self.transmission)),
            (&vehicle::DRIVE_TYPE, text(self.drive_type)),
            (&vehicle::FUEL_TYPE, text(self.fuel_type)),
            (&vehicle::BODY_CLASS, text(self.body_class)),
            (&vehicle::VEHICLE_TYPE, text(self.vehicle_type)),
        ];
        values.into_iter().filter_map(move |(field, decoded)| {
            let DecodedValue { value, source, month } = decoded?;
            Some((field, DecodedValue { value: field.fitted(value, now)?, source, month }))
        })
    }

    /// Whether a value comes from the vPIC API, and not only from the snapshot.
    #[must_use]
    pub fn is_refined(&self) -> bool {
        let texts = [
            &self.make,
            &self.model,
            &self.trim_level,
            &self.engine,
            &self.transmission,
            &self.drive_type,
            &self.fuel_type,
            &self.body_class,
            &self.vehicle_type,
        ];
        let sources = texts.into_iter().flatten().map(|it| it.source).chain(self.year.as_ref().map(|it| it.source));
        sources.into_iter().any(|source| matches!(source, Source::Cache | Source::Vpic))
    }
}

/// A fact from vPIC, with vPIC's name and group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fact<'a> {
    /// The group, such as `Engine`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub group: Cow<'a, str>,
    /// The name of the variable, such as `Displacement (L)`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Cow<'a, str>,
    /// The code of the variable, such as `DisplacementL`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: Cow<'a, str>,
    /// The value in vPIC's notation.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub value: Cow<'a, str>,
    /// The source of the value.
    pub source: Source,
}

impl Fact<'_> {
    fn into_owned(self) -> Fact<'static> {
        Fact {
            group: owned(self.group),
            name: owned(self.name),
            code: owned(self.code),
            value: owned(self.value),
            source: self.source,
        }
    }
}

/// An error or notice from vPIC about the VIN; code 0 is a decode without errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodeError<'a> {
    /// vPIC's error code.
    pub code: i32,
    /// The message.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub message: Cow<'a, str>,
}

/// The result of verifying the check digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckDigit {
    /// Whether the check digit is correct.
    pub valid: bool,
    /// The correct check digit, if the other characters are correct.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub expected: char,
}

/// An invalid character, and valid replacements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PossibleCharacters {
    /// The position in the VIN, from 1.
    pub position: u32,
    /// The valid characters, as one string.
    pub characters: String,
}

/// The decode of a full or partial VIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Decode<'a> {
    /// The input, unchanged.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub input: Cow<'a, str>,
    /// The VIN; `None` if the input is a partial VIN or not a VIN.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub vin: Option<Cow<'a, str>>,
    /// The model year, if position 10 encodes it and the manufacturer is registered.
    pub model_year: Option<i32>,
    /// The fields of a vehicle.
    pub fields: DecodedFields<'a>,
    /// All facts from vPIC; only with [`Detail::Full`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Vec<Fact<'a>>>,
    /// Errors and notices from vPIC about the VIN.
    pub errors: Vec<DecodeError<'a>>,
    /// The check digit; `None` for a partial VIN.
    pub check_digit: Option<CheckDigit>,
    /// The corrected VIN, if there is exactly one candidate.
    pub suggested_vin: Option<String>,
    /// The invalid characters, by position.
    pub possible: Vec<PossibleCharacters>,
    /// The possible model years, the decoded one first.
    pub years: Vec<i32>,
    /// Why the input is not a VIN; absent for a full or partial VIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Checks the model years of later vPIC responses for the same VIN.
    #[serde(skip)]
    pub(crate) year_policy: YearPolicy,
}

impl<'a> Decode<'a> {
    /// Creates the result for input that is not a VIN, for callers that return a result for each line.
    #[must_use]
    pub fn refused(input: &'a str, error: garage_domain::VinError) -> Decode<'a> {
        Decode {
            input: Cow::Borrowed(input),
            vin: None,
            model_year: None,
            fields: DecodedFields::default(),
            facts: None,
            errors: Vec::new(),
            check_digit: None,
            suggested_vin: None,
            possible: Vec::new(),
            years: Vec::new(),
            error: Some(error.to_string()),
            year_policy: YearPolicy::default(),
        }
    }

    /// Clones data borrowed from the snapshot and the input.
    #[must_use]
    pub fn into_owned(self) -> Decode<'static> {
        let error = |error: DecodeError<'_>| DecodeError { code: error.code, message: owned(error.message) };
        Decode {
            input: owned(self.input),
            vin: self.vin.map(owned),
            model_year: self.model_year,
            fields: self.fields.into_owned(),
            facts: self.facts.map(|facts| facts.into_iter().map(Fact::into_owned).collect()),
            errors: self.errors.into_iter().map(error).collect(),
            check_digit: self.check_digit,
            suggested_vin: self.suggested_vin,
            possible: self.possible,
            years: self.years,
            error: self.error,
            year_policy: self.year_policy,
        }
    }
}
