//! Vehicles: `/api/vehicles` and below, except decoding.
//!
//! - `routes`: requests and responses
//! - `decide`: what a write does, as a pure function of facts
//! - `list`: a cache of encoded and compressed lists
//! - `store`: reading facts and applying decisions, on SQLite and on PostgreSQL
//!
//! Invariants: every statement is scoped by the user; an operation is one transaction; a request for
//! another user's vehicle is answered like one that does not exist; only the database assigns versions.

mod decide;
mod list;
mod routes;
mod store;

pub use list::{EncodedLists, RememberedLists};
pub use routes::routes;
