//! The contract (`docs/contract.md`) over HTTP: every route as a client sees it.
//!
//! Each test has a server of its own, on SQLite or on the PostgreSQL cluster that `GARAGE_TEST_POSTGRES` names; where
//! `GARAGE_TEST_BASE_URL` names a server that runs already, all but `own` and `store` work on that one.

mod auth;
mod decode;
mod own;
mod requests;
mod store;
mod support;
mod vehicles;
