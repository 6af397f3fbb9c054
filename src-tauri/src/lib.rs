//! The app: a window on the garage.
//!
//! The shell around `garage-core`: commands that hand over to the core, the one event that tells the page what
//! changed, and what differs between desktop and phone (`platform`). Invariants: no rule about vehicles lives here;
//! a command takes the state, calls the core and maps the error, nothing else; the page can call only what
//! `src-tauri/capabilities` allows.

pub mod bindings;
mod commands;
mod error;
mod events;
mod platform;
pub mod preferences;
pub mod start;
mod state;

use garage_core::GarageConfig;
use tauri::{App, Runtime};

pub use crate::{
    error::CommandError,
    events::{GarageChanged, TaskProgressed},
};

/// The app's compiled-in configuration, capabilities and page.
#[must_use]
pub fn context<R: Runtime>() -> tauri::Context<R> {
    tauri::generate_context!()
}

/// Puts the garage's commands and events on a builder; tests put them on a mock one.
pub fn with_garage<R: Runtime>(
    builder: tauri::Builder<R>,
    config: impl FnOnce(&App<R>) -> Result<GarageConfig, Box<dyn std::error::Error>> + Send + 'static,
) -> tauri::Builder<R> {
    let bindings = bindings::builder::<R>();
    let builder = builder.plugin(tauri_plugin_store::Builder::new().build()).plugin(tauri_plugin_dialog::init());
    builder.invoke_handler(bindings.invoke_handler()).setup(move |app| {
        bindings.mount_events(app);
        state::manage(app, config(app)?)?;
        start::create_window(app)?;
        Ok(())
    })
}

/// Starts the app and returns when its last window closes.
///
/// # Panics
/// The system cannot show a window, or names no folder for the user's data: there is nowhere to say so but the log.
#[cfg_attr(mobile, tauri::mobile_entry_point)]
pub fn run() {
    with_garage(tauri::Builder::default(), platform::garage_config)
        .run(context())
        .unwrap_or_else(|error| panic!("MotoVault cannot start: {error}"));
}
