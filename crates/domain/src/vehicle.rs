//! The collection `vehicles`.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    DefaultValue, Extra, FieldAccess, Invalid, OdometerUnit, Origins, Record, RecordId, Rule, Vin, declare::collection,
};

/// The id of a vehicle.
pub type VehicleId = RecordId;

collection! {
    /// The vehicles of a garage.
    VEHICLES {
        name: "vehicles",
        table: "vehicles",
        noun: "Vehicle",
        unique: Some(&VIN),
        units: &[(&ODOMETER_READING, &ODOMETER_UNIT)],
        check: refuse_unidentifiable,
    }

    /// The editable fields of a vehicle, as stored in columns. A value that its column cannot hold is in the record's
    /// `extra`.
    view VehicleFields, draft VehicleDraft, typed as VehicleDraftFields in draft;

    VIN vin: Option<Vin> = "vin", "VIN", "17 characters, or 5 to 16 for vehicles before 1981", Rule::Vin;
    LICENSE_PLATE license_plate: Option<String> = "licensePlate", "License plate", "Up to 20 characters", Rule::line(20);
    COLOR color: Option<String> = "color", "Color", "Up to 50 characters", Rule::line(50);
    NICKNAME nickname: Option<String> = "nickname", "Nickname", "What you call it", Rule::line(100);
    MAKE make: Option<String> = "make", "Make", "Such as HONDA", Rule::line(100);
    MODEL model: Option<String> = "model", "Model", "Such as Accord", Rule::line(100);
    TRIM_LEVEL trim_level: Option<String> = "trimLevel", "Trim", "Such as EX-V6", Rule::line(100);
    ENGINE engine: Option<String> = "engine", "Engine", "Such as 3.0L V6", Rule::line(100);
    TRANSMISSION transmission: Option<String> = "transmission", "Transmission", "Such as Automatic", Rule::line(100);
    DRIVE_TYPE drive_type: Option<String> = "driveType", "Drive", "Such as AWD", Rule::line(100);
    FUEL_TYPE fuel_type: Option<String> = "fuelType", "Fuel", "Such as Gasoline", Rule::line(100);
    BODY_CLASS body_class: Option<String> = "bodyClass", "Body", "Such as Coupe", Rule::line(100);
    VEHICLE_TYPE vehicle_type: Option<String> = "vehicleType", "Type", "Such as PASSENGER CAR", Rule::line(100);
    NOTES notes: Option<String> = "notes", "Notes", "Up to 10 000 characters, with line breaks",
        Rule::Text { longest: 10_000, line_breaks: true };
    YEAR year: Option<i32> = "year", "Year", "Model year", Rule::Year;
    ODOMETER_READING odometer_reading: Option<i32> = "odometerReading", "Odometer", "0 to 9999999",
        Rule::Integer { least: 0, greatest: 9_999_999 };
    ODOMETER_UNIT odometer_unit: OdometerUnit = "odometerUnit", "Odometer unit", "mi, km or h",
        Rule::Choice(&OdometerUnit::NAMES), default DefaultValue::Text("mi");
    IS_ACTIVE is_active: bool = "isActive", "In use", "false for a vehicle that is kept but not in use (sold, stored)",
        Rule::Boolean, default DefaultValue::Boolean(true);
}

/// Requires at least one field that identifies the vehicle.
fn refuse_unidentifiable(fields: &mut dyn FieldAccess) -> Result<(), Invalid> {
    let has = |field| fields.get(field).is_some();
    match [&VIN, &LICENSE_PLATE, &NICKNAME, &MAKE].into_iter().any(has) {
        true => Ok(()),
        false => Err(Invalid::Incomplete("A vehicle needs a VIN, a license plate, a nickname or a make")),
    }
}

/// A vehicle. Its fields are flattened in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are documented in the contract")]
pub struct Vehicle {
    pub id: VehicleId,
    #[serde(flatten)]
    pub fields: VehicleFields,
    /// Origins by field name. A field without an entry was typed or is empty.
    pub origins: Origins,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub created_at: Timestamp,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub updated_at: Timestamp,
    /// When the vehicle was removed; null if it is not. It can be restored.
    #[cfg_attr(feature = "specta", specta(type = Option<String>))]
    pub deleted_at: Option<Timestamp>,
    /// Values written by another version: unknown fields, and values that take precedence over the field above.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    #[cfg_attr(feature = "specta", specta(type = std::collections::BTreeMap<String, crate::FieldValue>, optional))]
    pub extra: Extra,
}

impl From<Record> for Vehicle {
    fn from(record: Record) -> Vehicle {
        let fields = VehicleFields::of(&record);
        let Record { id, origins, created_at, updated_at, deleted_at, extra, .. } = record;
        Vehicle { id, fields, origins, created_at, updated_at, deleted_at, extra }
    }
}
