//! The decoder's answer, in the shape of `docs/contract.md`.

use std::borrow::Cow;

use garage_domain::{Field, FieldValue, vehicle};
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

/// One decoded text.
pub type DecodedText<'a> = DecodedValue<Cow<'a, str>>;

impl DecodedText<'_> {
    /// The same text, independent of what it was borrowed from.
    #[must_use]
    pub fn into_owned(self) -> DecodedText<'static> {
        DecodedValue { value: owned(self.value), source: self.source, month: self.month }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// The fields of a vehicle that decoding can fill; those it cannot are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the vehicle's")]
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
    /// The same values, independent of the snapshot.
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

    /// The values by the field they fill, each within that field's rule.
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
pub struct Fact<'a> {
    /// vPIC's group, such as `Engine`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub group: Cow<'a, str>,
    /// vPIC's name of the variable, such as `Displacement (L)`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Cow<'a, str>,
    /// vPIC's code of the variable, such as `DisplacementL`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: Cow<'a, str>,
    /// The value as vPIC writes it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub value: Cow<'a, str>,
    /// Where it comes from.
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

/// What vPIC says about the VIN itself; code 0 is a clean decode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodeError<'a> {
    /// vPIC's error code.
    pub code: i32,
    /// vPIC's text for it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub message: Cow<'a, str>,
}

/// Whether the ninth character fits the other sixteen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckDigit {
    /// Whether it does.
    pub valid: bool,
    /// The character that would, if the rest is right.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub expected: char,
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
pub struct Decode<'a> {
    /// The text that was asked about, untouched.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub input: Cow<'a, str>,
    /// The VIN, `None` where the input is a part of one or no VIN.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub vin: Option<Cow<'a, str>>,
    /// The model year, where position 10 and a registered manufacturer back it.
    pub model_year: Option<i32>,
    /// The fields of a vehicle.
    pub fields: DecodedFields<'a>,
    /// Every fact of vPIC's, only with [`Detail::Full`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Vec<Fact<'a>>>,
    /// What vPIC says about the VIN itself.
    pub errors: Vec<DecodeError<'a>>,
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

impl<'a> Decode<'a> {
    /// The answer for text that is no VIN, not even in part, for callers that answer every line.
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

    /// The same answer, independent of the snapshot and of the text that was asked about.
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
