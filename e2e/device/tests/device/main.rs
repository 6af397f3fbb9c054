//! Devices, a server and a key store, as the real programs.

#![cfg(target_os = "linux")]

mod plain_rest;
mod proxy;
mod session;
mod support;
mod sync;
