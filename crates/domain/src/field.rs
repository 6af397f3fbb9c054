//! The editable fields of a vehicle, one row of the contract's table each.

use serde::{Deserialize, Serialize};

/// An editable field, in the order in which the contract lists (and errors report) them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contract's; its table says what each means")]
pub enum Field {
    Vin,
    LicensePlate,
    Color,
    Nickname,
    Make,
    Model,
    TrimLevel,
    Engine,
    Transmission,
    DriveType,
    FuelType,
    BodyClass,
    VehicleType,
    Notes,
    Year,
    OdometerReading,
    OdometerUnit,
    IsActive,
}

/// What a field holds, and within which bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRule {
    /// A VIN or a number from before 1981; see [`crate::Vin`].
    Vin,
    /// At most this many characters (Unicode code points); line breaks only where `line_breaks`.
    Text {
        /// Characters at most.
        longest: usize,
        /// Whether it may have CR and LF.
        line_breaks: bool,
    },
    /// 1886 (the first automobile) to two years after the current one.
    Year,
    /// Between these two.
    Integer {
        /// The least.
        least: i64,
        /// The greatest.
        greatest: i64,
    },
    /// Of [`crate::OdometerUnit`].
    OdometerUnit,
    /// True or false.
    Boolean,
}

impl Field {
    /// Every field, in the contract's order.
    pub const ALL: [Field; 18] = [
        Field::Vin,
        Field::LicensePlate,
        Field::Color,
        Field::Nickname,
        Field::Make,
        Field::Model,
        Field::TrimLevel,
        Field::Engine,
        Field::Transmission,
        Field::DriveType,
        Field::FuelType,
        Field::BodyClass,
        Field::VehicleType,
        Field::Notes,
        Field::Year,
        Field::OdometerReading,
        Field::OdometerUnit,
        Field::IsActive,
    ];

    /// The name on the wire and in messages, camel case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Field::Vin => "vin",
            Field::LicensePlate => "licensePlate",
            Field::Color => "color",
            Field::Nickname => "nickname",
            Field::Make => "make",
            Field::Model => "model",
            Field::TrimLevel => "trimLevel",
            Field::Engine => "engine",
            Field::Transmission => "transmission",
            Field::DriveType => "driveType",
            Field::FuelType => "fuelType",
            Field::BodyClass => "bodyClass",
            Field::VehicleType => "vehicleType",
            Field::Notes => "notes",
            Field::Year => "year",
            Field::OdometerReading => "odometerReading",
            Field::OdometerUnit => "odometerUnit",
            Field::IsActive => "isActive",
        }
    }

    /// The field of this wire name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }

    /// What it may hold.
    #[must_use]
    pub fn rule(self) -> FieldRule {
        const fn text(longest: usize) -> FieldRule {
            FieldRule::Text { longest, line_breaks: false }
        }
        match self {
            Field::Vin => FieldRule::Vin,
            Field::LicensePlate => text(20),
            Field::Color => text(50),
            Field::Nickname
            | Field::Make
            | Field::Model
            | Field::TrimLevel
            | Field::Engine
            | Field::Transmission
            | Field::DriveType
            | Field::FuelType
            | Field::BodyClass
            | Field::VehicleType => text(100),
            Field::Notes => FieldRule::Text { longest: 10_000, line_breaks: true },
            Field::Year => FieldRule::Year,
            Field::OdometerReading => FieldRule::Integer { least: 0, greatest: 9_999_999 },
            Field::OdometerUnit => FieldRule::OdometerUnit,
            Field::IsActive => FieldRule::Boolean,
        }
    }
}

/// A validated value of any field; an empty field is `None` of this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(untagged)]
pub enum FieldValue {
    /// Flags, such as `isActive`.
    Boolean(bool),
    /// Years and odometer readings.
    Integer(#[cfg_attr(feature = "specta", specta(type = i32))] i64),
    /// Everything else, the VIN and the unit included.
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_name_is_the_serialized_one() {
        for field in Field::ALL {
            assert_eq!(serde_json::to_value(field).expect("JSON"), field.name());
            assert_eq!(Field::by_name(field.name()), Some(field));
        }
        assert_eq!(Field::by_name("userId"), None);
    }
}
