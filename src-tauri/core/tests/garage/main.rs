//! Integration tests on real files with the complete vPIC data, one module per area.

mod backup;
mod bad_input;
mod exchanges;
mod fake_server;
mod history;
mod keep;
mod list;
mod other_versions;
mod plain_rest;
mod plain_server;
mod refine;
mod repair;
mod service;
mod session;
mod support;
mod transfer;
mod vehicles;
mod vpic_cache;
