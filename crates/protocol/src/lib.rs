//! The wire: what goes between device and server, in the shape of `docs/contract.md`.
//!
//! Types only, no behavior: the rules about fields are `garage-domain`'s, and what a route does is the server's.

use garage_domain::{FieldError, VehicleFields, VehicleId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A vehicle as the server answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WireVehicle {
    /// The vehicle.
    pub id: VehicleId,
    /// Whose it is.
    pub user_id: String,
    /// What a person can edit.
    #[serde(flatten)]
    pub fields: VehicleFields,
    /// Null until photos exist.
    pub image_url: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was removed; null while it is there.
    pub deleted_at: Option<Timestamp>,
    /// Its place in the order of the user's changes, from 1; also its `ETag`.
    pub version: i64,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status.
    pub status_code: u16,
    /// Its standard name, such as `Bad Request`.
    pub error: String,
    /// A sentence; with `details`, the first of them.
    pub message: String,
    /// Every broken field, in the contract's order; only where fields are to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<FieldError>>,
    /// The vehicle as it is; only where a change was based on another version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<WireVehicle>))]
    pub current: Option<Box<WireVehicle>>,
}

/// What `POST /api/auth/login` and `/refresh` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The bearer token of every other request.
    pub access_token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds for which the access token is good.
    pub expires_in: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vehicle_is_as_the_contract_shows_it() {
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
