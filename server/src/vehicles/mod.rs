//! Vehicles: `/api/vehicles` and below, except decoding.
//!
//! - `routes`: requests and answers
//! - `decide`: what a write does, from facts alone
//! - `encoded`: lists as they are sent, kept until they change
//! - `store`: reading facts and applying decisions, on SQLite and on PostgreSQL
//!
//! Invariants: every statement is scoped by the user; an operation is one transaction; a vehicle of another user is
//! answered as one that does not exist; versions are given by the database, never here.

mod decide;
mod encoded;
mod routes;
mod store;

pub use encoded::EncodedLists;
pub use routes::routes;
