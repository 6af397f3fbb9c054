//! Odometer units.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The unit of an odometer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OdometerUnit {
    /// Miles.
    #[default]
    Mi,
    /// Kilometers.
    Km,
    /// Hours of operation, as for tractors and boats.
    H,
    /// A unit written by another version.
    Other(String),
}

/// The known units, for generated types.
#[cfg(any(feature = "specta", feature = "openapi"))]
mod known {
    /// The unit of an odometer.
    #[derive(serde::Serialize)]
    #[cfg_attr(feature = "specta", derive(specta::Type))]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub enum OdometerUnit {
        /// Miles.
        Mi,
        /// Kilometers.
        Km,
        /// Hours of operation, as for tractors and boats.
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
    /// Returns the names of the known units.
    pub const NAMES: [&str; 3] = ["mi", "km", "h"];

    /// Returns the unit's name on the wire and in the store.
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
