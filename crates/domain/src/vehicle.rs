//! A saved vehicle.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Field, FieldValue, Origin, Vin};

/// A vehicle's identity: a UUID made on the device that added it (version 7, so ids sort by time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VehicleId(#[cfg_attr(feature = "specta", specta(type = String))] pub Uuid);

impl fmt::Display for VehicleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for VehicleId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<VehicleId, uuid::Error> {
        Uuid::parse_str(text).map(VehicleId)
    }
}

/// What an odometer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OdometerUnit {
    /// Miles.
    #[default]
    Mi,
    /// Kilometers.
    Km,
    /// Hours of operation, as on tractors and boats.
    H,
}

impl OdometerUnit {
    /// The unit as the wire and the store write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OdometerUnit::Mi => "mi",
            OdometerUnit::Km => "km",
            OdometerUnit::H => "h",
        }
    }

    /// The unit written as `text`, exactly.
    #[must_use]
    pub fn by_name(text: &str) -> Option<OdometerUnit> {
        [OdometerUnit::Mi, OdometerUnit::Km, OdometerUnit::H].into_iter().find(|unit| unit.as_str() == text)
    }
}

/// Everything a person can edit. Each field holds a value its rule allows, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contract's; its table says what each means")]
pub struct VehicleFields {
    pub vin: Option<Vin>,
    pub license_plate: Option<String>,
    pub nickname: Option<String>,
    pub year: Option<i32>,
    pub make: Option<String>,
    pub model: Option<String>,
    pub trim_level: Option<String>,
    pub engine: Option<String>,
    pub transmission: Option<String>,
    pub drive_type: Option<String>,
    pub fuel_type: Option<String>,
    pub body_class: Option<String>,
    pub vehicle_type: Option<String>,
    pub color: Option<String>,
    pub odometer_reading: Option<i32>,
    pub odometer_unit: OdometerUnit,
    pub notes: Option<String>,
    /// False for a vehicle that is kept but not in use (sold, stored).
    pub is_active: bool,
}

impl Default for VehicleFields {
    fn default() -> VehicleFields {
        VehicleFields {
            vin: None,
            license_plate: None,
            nickname: None,
            year: None,
            make: None,
            model: None,
            trim_level: None,
            engine: None,
            transmission: None,
            drive_type: None,
            fuel_type: None,
            body_class: None,
            vehicle_type: None,
            color: None,
            odometer_reading: None,
            odometer_unit: OdometerUnit::default(),
            notes: None,
            is_active: true,
        }
    }
}

impl VehicleFields {
    /// The value of `field`, `None` where it is empty.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<FieldValue> {
        let text = |value: &Option<String>| value.clone().map(FieldValue::Text);
        let integer = |value: Option<i32>| value.map(|value| FieldValue::Integer(value.into()));
        match field {
            Field::Vin => self.vin.clone().map(|vin| FieldValue::Text(vin.into())),
            Field::LicensePlate => text(&self.license_plate),
            Field::Color => text(&self.color),
            Field::Nickname => text(&self.nickname),
            Field::Make => text(&self.make),
            Field::Model => text(&self.model),
            Field::TrimLevel => text(&self.trim_level),
            Field::Engine => text(&self.engine),
            Field::Transmission => text(&self.transmission),
            Field::DriveType => text(&self.drive_type),
            Field::FuelType => text(&self.fuel_type),
            Field::BodyClass => text(&self.body_class),
            Field::VehicleType => text(&self.vehicle_type),
            Field::Notes => text(&self.notes),
            Field::Year => integer(self.year),
            Field::OdometerReading => integer(self.odometer_reading),
            Field::OdometerUnit => Some(FieldValue::Text(self.odometer_unit.as_str().to_owned())),
            Field::IsActive => Some(FieldValue::Boolean(self.is_active)),
        }
    }

    /// Sets `field` to a value that was validated before, such as one from history; `None` empties it, or sets the
    /// default of a field that is never empty. A value of another kind empties it, too.
    pub fn set(&mut self, field: Field, value: Option<FieldValue>) {
        fn text(value: Option<FieldValue>) -> Option<String> {
            match value {
                Some(FieldValue::Text(text)) => Some(text),
                _ => None,
            }
        }
        fn integer(value: Option<FieldValue>) -> Option<i32> {
            match value {
                Some(FieldValue::Integer(integer)) => i32::try_from(integer).ok(),
                _ => None,
            }
        }
        match field {
            Field::Vin => self.vin = text(value).and_then(|vin| Vin::parse(&vin).ok()),
            Field::LicensePlate => self.license_plate = text(value),
            Field::Color => self.color = text(value),
            Field::Nickname => self.nickname = text(value),
            Field::Make => self.make = text(value),
            Field::Model => self.model = text(value),
            Field::TrimLevel => self.trim_level = text(value),
            Field::Engine => self.engine = text(value),
            Field::Transmission => self.transmission = text(value),
            Field::DriveType => self.drive_type = text(value),
            Field::FuelType => self.fuel_type = text(value),
            Field::BodyClass => self.body_class = text(value),
            Field::VehicleType => self.vehicle_type = text(value),
            Field::Notes => self.notes = text(value),
            Field::Year => self.year = integer(value),
            Field::OdometerReading => self.odometer_reading = integer(value),
            Field::OdometerUnit => {
                self.odometer_unit = text(value).and_then(|unit| OdometerUnit::by_name(&unit)).unwrap_or_default();
            }
            Field::IsActive => self.is_active = !matches!(value, Some(FieldValue::Boolean(false))),
        }
    }

    /// Sets `field`, as [`VehicleFields::set`] does, where it is empty; says whether it was.
    pub fn fill(&mut self, field: Field, value: FieldValue) -> bool {
        let is_empty = self.get(field).is_none();
        if is_empty {
            self.set(field, Some(value));
        }
        is_empty
    }

    /// The fields in which `self` and `after` differ, in the contract's order.
    pub fn differences<'a>(&'a self, after: &'a VehicleFields) -> impl Iterator<Item = Field> + 'a {
        Field::ALL.into_iter().filter(|field| self.get(*field) != after.get(*field))
    }

    /// Whether there is enough to tell this vehicle from another: a VIN, a plate, a nickname or a make.
    #[must_use]
    pub fn is_identifiable(&self) -> bool {
        self.vin.is_some() || self.license_plate.is_some() || self.nickname.is_some() || self.make.is_some()
    }
}

/// A vehicle of the garage, on the wire flat: id, fields, times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contract's; its table says what each means")]
pub struct Vehicle {
    pub id: VehicleId,
    #[serde(flatten)]
    pub fields: VehicleFields,
    /// Who set each value; a field that is not in it was typed, or is empty.
    pub origins: BTreeMap<Field, Origin>,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub created_at: Timestamp,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub updated_at: Timestamp,
    /// Set once the vehicle is in the trash, from where it can be restored.
    #[cfg_attr(feature = "specta", specta(type = Option<String>))]
    pub deleted_at: Option<Timestamp>,
}
