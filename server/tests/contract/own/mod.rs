//! What needs a server of the test's own, with its settings, its keys, its start and its end.

mod accounts;
mod database;
mod epochs;
mod health;
mod issuer;
mod keys;
mod kill;
mod limits;
mod metrics;
mod serving;
