//! The garage's vocabulary: vehicles, VINs, and the rules that saved values obey.
//!
//! Pure values and functions. Invariants: no I/O, no clock, no randomness (whoever needs "now" passes it in);
//! a [`Vin`] or a [`VehiclePatch`] that exists has been validated; every message a person can be shown for a
//! broken rule is made here, word for word as `docs/contract.md` states it.

pub mod field;
mod origin;
pub mod patch;
pub mod vehicle;
pub mod vin;

pub use field::{Field, FieldRule, FieldValue};
pub use origin::Origin;
pub use patch::{FieldError, Invalid, VehicleDraft, VehiclePatch};
pub use vehicle::{OdometerUnit, Vehicle, VehicleFields, VehicleId};
pub use vin::{Vin, VinError};
