//! Devices, a server and a key store, as the real programs.

#![cfg(target_os = "linux")]

mod proxy;
mod session;
mod support;
mod sync;
