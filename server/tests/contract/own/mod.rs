//! Tests of this repository's server alone: its options, keys, log, start and exit.

mod accounts;
mod backend;
mod database;
mod epochs;
mod health;
mod issuer;
mod keys;
mod kill;
mod limits;
mod metrics;
mod serving;
