//! The garage's vocabulary: collections of records, VINs, and the rules that saved values obey.
//!
//! Pure values and functions. The map:
//! - `collections`: which collections there are; `vehicle` and `service_entry` declare them by the macro of `declare`
//! - `collection`, `field`, `rule`: what is declared
//! - `record`, `value`, `id`, `origin`: what every record holds, whatever its collection
//! - `access`, `view`: fields of records and of typed views by their declaration
//! - `patch`, `validate`, `invalid`: from untrusted input to a validated change, or to messages
//! - `vin`, `unit`, `amount`: values with rules of their own
//! - `change`: history; `query`: lists of vehicles
//!
//! Invariants: no I/O, no clock, no randomness (callers pass "now" in). A [`Patch`] that exists has been validated; a
//! [`Record`] carries any value, since another version may have written it. Every message for a broken rule is made
//! here, word for word as `docs/contract.md` states it.

mod access;
mod amount;
mod change;
mod collection;
mod collections;
mod declare;
mod field;
mod id;
mod invalid;
mod origin;
mod patch;
mod query;
mod record;
mod rule;
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
pub use collections::COLLECTIONS;
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
pub use value::{FieldValue, Json};
pub use vehicle::{VEHICLES, Vehicle, VehicleDraft, VehicleFields, VehicleId};
pub use vin::{Vin, VinError};
