//! The contract (`docs/contract.md`) over HTTP: every route as a client sees it, on a server of its own.

mod auth;
mod own;
mod store;
mod support;
mod vehicles;
