//! A model of devices and a server around the planner: one record, few fields, few values.
//!
//! - `world`: devices, a server, and what they exchange, compared with what they must show
//! - `writes`: the reference, which says what must be shown
//! - `copies`: small copies of a record, and the replicas that they stand for
//! - `planner`: the calls of `plan` and `wire` on copies
//! - `column`: one field in every copy, and what a person does with it
//! - `names`: renames ids and values, so that states and inputs that differ only in them are equal
//! - `exhaustive`: explores every history of two devices
//! - `random`: runs longer histories of three devices
//!
//! Devices and the server meet only in an exchange: one request with what the device has to send, and its response. Three
//! kinds of events need no place in the model, because they lead to states that it has:
//! - A response that is lost, and asked for again: an operation that was applied has set the base that the device learns
//!   later, and one that was not is computed from the device's state again.
//! - Edits while a request is on its way: the response does not change them, so that they could follow it.
//! - Requests of two devices at the same time: the server puts them in an order.

mod column;
mod copies;
#[cfg(test)]
mod exhaustive;
mod names;
mod planner;
mod random;
mod world;
mod writes;

pub use self::random::Cases;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);
