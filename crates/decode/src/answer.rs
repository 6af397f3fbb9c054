//! The decoder's answer, in the shape of `docs/contract.md`.

use garage_domain::{Field, FieldValue};
use jiff::Timestamp;
use serde::Serialize;

use crate::year::YearPolicy;

/// How much of vPIC's data an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// The vehicle's own fields.
    #[default]
    Fields,
    /// The fields and every fact vPIC knows.
    Full,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The vPIC data on this device.
    Snapshot,
    /// vPIC's own answer, kept from an earlier day.
    Cache,
    /// vPIC's own answer, just now.
    Vpic,
    /// The table of ISO 3780 that assigns the first two characters to countries.
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

/// One decoded value of a vehicle's field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodedValue<T> {
    /// The value, as the field stores it.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
    /// The release of the snapshot, such as `2026-10`; absent for the other sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub month: Option<&'static str>,
}

/// The fields of a vehicle that decoding can fill; those it cannot are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the vehicle's")]
pub struct DecodedFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<DecodedValue<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trim_level: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmission: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drive_type: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_type: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_class: Option<DecodedValue<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vehicle_type: Option<DecodedValue<String>>,
}

impl DecodedFields {
    /// The values by the field they fill, each within that field's rule.
    pub fn into_values(self, now: Timestamp) -> impl Iterator<Item = (Field, DecodedValue<FieldValue>)> {
        fn valued<T>(
            decoded: Option<DecodedValue<T>>,
            value: impl FnOnce(T) -> FieldValue,
        ) -> Option<DecodedValue<FieldValue>> {
            decoded.map(|it| DecodedValue { value: value(it.value), source: it.source, month: it.month })
        }
        let text = |decoded| valued(decoded, FieldValue::Text);
        let year = valued(self.year, |year: i32| FieldValue::Integer(year.into()));
        let values = [
            (Field::Year, year),
            (Field::Make, text(self.make)),
            (Field::Model, text(self.model)),
            (Field::TrimLevel, text(self.trim_level)),
            (Field::Engine, text(self.engine)),
            (Field::Transmission, text(self.transmission)),
            (Field::DriveType, text(self.drive_type)),
            (Field::FuelType, text(self.fuel_type)),
            (Field::BodyClass, text(self.body_class)),
            (Field::VehicleType, text(self.vehicle_type)),
        ];
        values.into_iter().filter_map(move |(field, decoded)| {
            let DecodedValue { value, source, month } = decoded?;
            Some((field, DecodedValue { value: field.fitted(value, now)?, source, month }))
        })
    }

    /// Whether vPIC itself has said anything of it, and not the snapshot alone.
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

/// One fact of vPIC's, named and grouped as vPIC does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fact {
    /// vPIC's group, such as `Engine`.
    pub group: String,
    /// vPIC's name of the variable, such as `Displacement (L)`.
    pub name: String,
    /// vPIC's code of the variable, such as `DisplacementL`.
    pub code: String,
    /// The value as vPIC writes it.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// What vPIC says about the VIN itself; code 0 is a clean decode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodeError {
    /// vPIC's error code.
    pub code: i32,
    /// vPIC's text for it.
    pub message: String,
}

/// Whether the ninth character fits the other sixteen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckDigit {
    /// Whether it does.
    pub valid: bool,
    /// The character that would, if the rest is right.
    pub expected: String,
}

/// A character that does not fit, and those that would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PossibleCharacters {
    /// Its place in the VIN, from 1.
    pub position: u32,
    /// The characters that would fit, one after another.
    pub characters: String,
}

/// What a VIN, or a part of one, says about a vehicle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Decode {
    /// The text that was asked about, untouched.
    pub input: String,
    /// The VIN, `None` where the input is a part of one or no VIN.
    pub vin: Option<String>,
    /// The model year, where position 10 and a registered manufacturer back it.
    pub model_year: Option<i32>,
    /// The fields of a vehicle.
    pub fields: DecodedFields,
    /// Every fact of vPIC's, only with [`Detail::Full`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Vec<Fact>>,
    /// What vPIC says about the VIN itself.
    pub errors: Vec<DecodeError>,
    /// `None` while characters are missing.
    pub check_digit: Option<CheckDigit>,
    /// A VIN that would be right, where exactly one is known.
    pub suggested_vin: Option<String>,
    /// The characters that do not fit, by position.
    pub possible: Vec<PossibleCharacters>,
    /// The model year first; a second one where the VIN fits two.
    pub years: Vec<i32>,
    /// Why the input is no VIN; absent where it is one, or a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Judges the years of later answers about the same VIN.
    #[serde(skip)]
    pub(crate) year_policy: YearPolicy,
}

impl Decode {
    /// The answer for text that is no VIN, not even in part, for callers that answer every line.
    #[must_use]
    pub fn refused(input: &str, error: garage_domain::VinError) -> Decode {
        Decode {
            input: input.to_owned(),
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
}
