//! Vehicles: `/api/vehicles` and below, except decoding.
//!
//! - `routes`: requests and answers
//! - `decide`: what a write does, from facts alone
//! - `list`: lists as they are sent, cached until they change
//! - `store`: reading facts and applying decisions, on SQLite and on PostgreSQL
//!
//! Invariants: every statement is scoped by the user; an operation is one transaction; a vehicle of another user is
//! answered as one that does not exist; versions are given by the database, never here.

mod decide;
mod list;
mod routes;
mod store;

pub use list::EncodedLists;
pub use routes::routes;
