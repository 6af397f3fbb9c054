//! Tests that start servers themselves: options, keys, log, start and exit of this repository's server, and the other
//! backends.

mod accounts;
mod backend;
mod database;
mod epochs;
mod health;
mod issuer;
mod keys;
mod kill;
mod limits;
mod list_cache;
mod metrics;
mod peers;
mod serving;
mod waits;
