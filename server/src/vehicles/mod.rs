//! Vehicles: `/api/vehicles` and below, but for decoding.
//!
//! - `routes`: requests and answers
//! - `sqlite`: the operations on the store
//!
//! Invariants: every statement is scoped by the user; an operation is one transaction; a vehicle that is somebody else's
//! is answered as one that is not there; versions are given by the database, never here.

mod routes;
mod sqlite;

use garage_domain::{Field, FieldValue, VehicleFields, VehicleId, VehiclePatch};
use garage_protocol::WireVehicle;
use jiff::Timestamp;

pub use routes::routes;

use crate::http::IfMatch;

/// A vehicle that is to be added.
#[derive(Debug, Clone)]
struct Creation {
    id: VehicleId,
    fields: VehicleFields,
    /// A digest of what was sent: the same again is the same request, whose answer was lost.
    sent: String,
    at: Timestamp,
}

/// What became of it.
#[derive(Debug)]
enum Created {
    /// It was added.
    New(WireVehicle),
    /// The same request had added it before.
    Before(WireVehicle),
}

/// A change of a vehicle.
#[derive(Debug, Clone)]
struct Update {
    id: VehicleId,
    patch: VehiclePatch,
    /// What the new VIN says, for the fields that are empty after the change.
    decoded: Vec<(Field, FieldValue)>,
    if_match: IfMatch,
    at: Timestamp,
}
