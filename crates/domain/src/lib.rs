//! The domain model: collections of records, VINs, and the rules for saved values.
//!
//! Pure values and functions, by module:
//! - `collections`: the known collections, which `vehicle` and `service_entry` declare with the macro in `declare`
//! - `collection`, `field`, `rule`: the types of a declaration
//! - `record`, `value`, `id`, `origin`: records of any collection
//! - `access`, `view`: fields of records and of typed views
//! - `replica`, `conflict`, `merge`: a record with its conflicts, and merging it after changes in two places
//! - `rules`: the rules of sync, which a simulation can switch off
//! - `patch`, `validate`, `invalid`, `separators`: untrusted input to a validated change, or to error messages
//! - `vin`, `unit`, `amount`: values with rules of their own
//! - `change`: history; `query`: lists of vehicles
//!
//! Invariants: no I/O, no clock, no randomness (callers pass the current time). A [`Patch`] has always been validated.
//! A [`Record`] can hold any value, because another version may have written it. All messages for broken rules are
//! created here and match `docs/contract.md`.

mod access;
mod amount;
mod change;
mod collection;
mod collections;
pub mod conflict;
mod declare;
mod field;
mod id;
mod invalid;
pub mod merge;
mod origin;
mod patch;
mod query;
mod record;
pub mod replica;
mod rule;
pub mod rules;
mod separators;
pub mod service_entry;
mod unit;
mod validate;
mod value;
pub mod vehicle;
mod view;
pub mod vin;

#[cfg(test)]
mod tests;

pub use access::FieldAccess;
pub use change::{ChangeId, ChangeKind, FieldChange, HistoryEntry, differences};
pub use collection::Collection;
pub use collections::{COLLECTIONS, UNKNOWN};
pub use field::{DefaultValue, Field};
pub use id::RecordId;
pub use invalid::{FieldError, Invalid};
pub use origin::Origin;
pub use patch::Patch;
pub use query::{FilterChoices, LONGEST_PAGE, PageEnd, Sort, VehiclePage, VehicleQuery, VehicleSummary};
pub use record::{Extra, Origins, Record};
pub use rule::{ColumnKind, Rule};
pub use service_entry::{SERVICE_ENTRIES, ServiceEntry, ServiceEntryDraft, ServiceEntryFields, ServiceEntryId};
pub use unit::OdometerUnit;
pub use validate::json_integer;
pub use value::{FieldValue, Json};
pub use vehicle::{VEHICLES, Vehicle, VehicleDraft, VehicleFields, VehicleId};
pub use vin::{Vin, VinError};
