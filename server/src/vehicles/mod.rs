//! Vehicles: `/api/vehicles` and below, but for decoding.
//!
//! - `routes`: requests and answers
//! - `store`: the operations on the database, for SQLite and for PostgreSQL
//!
//! Invariants: every statement is scoped by the user; an operation is one transaction; a vehicle that is somebody else's
//! is answered as one that is not there; versions are given by the database, never here.

mod routes;
mod store;

use garage_domain::{Field, FieldAccess, FieldValue, Patch, VehicleFields, VehicleId};
use garage_protocol::WireVehicle;
use jiff::Timestamp;

pub use routes::routes;

use crate::{error::ApiError, http::IfMatch};

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
    patch: Patch,
    /// What the new VIN says, for the fields that are empty after the change.
    decoded: Vec<(&'static Field, FieldValue)>,
    if_match: IfMatch,
    at: Timestamp,
}

impl Update {
    /// The fields after the change; nothing where it changes nothing.
    fn changed(&self, before: &VehicleFields) -> Result<Option<VehicleFields>, ApiError> {
        let mut fields = self.patch.apply(before.clone())?;
        if fields.vin != before.vin {
            for (field, value) in &self.decoded {
                fields.fill(field, value.clone());
            }
        }
        Ok((fields != *before).then_some(fields))
    }
}
