//! Sync: `POST /api/sync`, by which devices exchange changes of all collections, and `GET /api/sync/changes`, by which they
//! wait for some (`docs/sync.md`).
//!
//! - `routes`: requests and responses, and their limits
//! - `wait`: the route for waiting
//! - `device`: what the server remembers of a device, and what a request means by it
//! - `decide`: what operations do, as a pure function of facts
//! - `steps`: the order of a request's steps
//! - `store`: the steps, on SQLite and on PostgreSQL
//!
//! Invariants: a request is one transaction, whose first statement locks the user's row in `feeds`; the server never merges:
//! it stores exactly what was sent, or rejects it; a result is stored with its effect; page, cursor and digest are of one
//! moment; only the database assigns versions.

mod decide;
mod device;
mod routes;
mod steps;
mod store;
mod wait;

pub use routes::routes;
