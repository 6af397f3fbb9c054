//! The columns of vehicles, and the JSON beside them.

use std::fmt::Write;

use garage_domain::{Extra, VEHICLES};
use garage_protocol::sync::Change;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The columns of the fields, each after a comma.
pub fn field_columns() -> String {
    VEHICLES.fields.iter().fold(String::new(), |mut text, field| {
        // Writing to a String does not fail.
        let _ = write!(text, ", {}", field.column);
        text
    })
}

/// `, column = $N` for each field, from this parameter on.
pub fn assignments(first: usize) -> String {
    VEHICLES.fields.iter().zip(first..).fold(String::new(), |mut text, (field, number)| {
        let _ = write!(text, ", {} = ${number}", field.column);
        text
    })
}

/// `, $N` for each field, from this parameter on.
pub fn parameters(first: usize) -> String {
    VEHICLES.fields.iter().zip(first..).fold(String::new(), |mut text, (_, number)| {
        let _ = write!(text, ", ${number}");
        text
    })
}

/// The column `extra`: what a vehicle has beside its columns.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VehicleExtra {
    /// The fields without a column.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub fields: Extra,
    /// The origins of all fields.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub origins: Extra,
    /// The device that made the change of this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<(Uuid, Timestamp)>,
}

impl VehicleExtra {
    pub fn of(change: &Change) -> VehicleExtra {
        let has_no_column = |name: &String| VEHICLES.field(name).is_none();
        let fields = change.fields.iter().flatten().filter(|(name, _)| has_no_column(name));
        VehicleExtra {
            fields: fields.map(|(name, value)| (name.clone(), value.clone())).collect(),
            origins: change.origins.clone(),
            device: change.device_id.zip(change.updated_at),
        }
    }

    /// Reads the column. Text that an operator has put there counts as nothing.
    pub fn parse(text: Option<&str>) -> VehicleExtra {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The device of the last change: another backend's change has a later time.
    pub fn device_of(&self, updated_at: Timestamp) -> Option<Uuid> {
        self.device.filter(|(_, at)| at.as_microsecond() == updated_at.as_microsecond()).map(|(device, _)| device)
    }

    pub fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|json| json != "{}")
    }
}
