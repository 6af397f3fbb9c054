//! Units of odometers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an odometer counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OdometerUnit {
    /// Miles.
    #[default]
    Mi,
    /// Kilometers.
    Km,
    /// Hours of operation, as on tractors and boats.
    H,
    /// A unit that another version wrote.
    Other(String),
}

/// The units that this version knows, as they are written.
#[cfg(any(feature = "specta", feature = "openapi"))]
mod known {
    /// What an odometer counts.
    #[derive(serde::Serialize)]
    #[cfg_attr(feature = "specta", derive(specta::Type))]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its form is used")]
    pub enum OdometerUnit {
        /// Miles.
        Mi,
        /// Kilometers.
        Km,
        /// Hours of operation, as on tractors and boats.
        H,
    }
}

#[cfg(feature = "specta")]
impl specta::Type for OdometerUnit {
    fn definition(types: &mut specta::Types) -> specta::datatype::DataType {
        known::OdometerUnit::definition(types)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for OdometerUnit {
    fn name() -> std::borrow::Cow<'static, str> {
        known::OdometerUnit::name()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for OdometerUnit {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        known::OdometerUnit::schema()
    }
}

impl OdometerUnit {
    /// The names of the units that this version knows.
    pub const NAMES: [&str; 3] = ["mi", "km", "h"];

    /// The unit as the wire and the store write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            OdometerUnit::Mi => "mi",
            OdometerUnit::Km => "km",
            OdometerUnit::H => "h",
            OdometerUnit::Other(name) => name,
        }
    }
}

impl From<String> for OdometerUnit {
    fn from(name: String) -> OdometerUnit {
        match name.as_str() {
            "mi" => OdometerUnit::Mi,
            "km" => OdometerUnit::Km,
            "h" => OdometerUnit::H,
            _ => OdometerUnit::Other(name),
        }
    }
}

impl fmt::Display for OdometerUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for OdometerUnit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OdometerUnit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OdometerUnit, D::Error> {
        String::deserialize(deserializer).map(OdometerUnit::from)
    }
}
