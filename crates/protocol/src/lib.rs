//! Types of requests and responses between device and server, as specified in `docs/contract.md`.
//!
//! Validation is in `garage-domain`, behavior in the server.

pub mod auth;
pub mod sync;

pub use auth::{Account, Credentials, RefreshToken, Tokens};
use garage_domain::{FieldError, VehicleFields, VehicleId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A vehicle in a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WireVehicle {
    /// The id of the vehicle.
    pub id: VehicleId,
    /// The id of the user who owns the vehicle.
    pub user_id: String,
    /// The editable fields.
    #[serde(flatten)]
    pub fields: VehicleFields,
    /// Always null; reserved for photos.
    pub image_url: Option<String>,
    /// When the vehicle was added.
    pub created_at: Timestamp,
    /// When the vehicle was last changed.
    pub updated_at: Timestamp,
    /// When the vehicle was removed; null if it is not.
    pub deleted_at: Option<Timestamp>,
    /// The version: the position of its last change among the user's changes, from 1; also its `ETag`.
    pub version: i64,
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status.
    pub status_code: u16,
    /// The standard name of the status, such as `Bad Request`.
    pub error: String,
    /// The message for people; the first of `details` if there are any.
    pub message: String,
    /// The broken fields, in the contract's order; only for validation errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<FieldError>>,
    /// The current state of the vehicle; only for version conflicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<WireVehicle>))]
    pub current: Option<Box<WireVehicle>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vehicle_serializes_as_in_the_contract() {
        let time: Timestamp = "2026-11-24T00:00:00Z".parse().expect("a time");
        let vehicle = WireVehicle {
            id: "018f0000-0000-7000-8000-000000000001".parse().expect("an id"),
            user_id: "u".to_owned(),
            fields: VehicleFields { make: Some("HONDA".to_owned()), year: Some(2003), ..VehicleFields::default() },
            image_url: None,
            created_at: time,
            updated_at: time,
            deleted_at: None,
            version: 7,
        };
        insta::assert_json_snapshot!(vehicle);
        let text = serde_json::to_string(&vehicle).expect("JSON");
        assert_eq!(serde_json::from_str::<WireVehicle>(&text).expect("a vehicle"), vehicle);
    }
}
