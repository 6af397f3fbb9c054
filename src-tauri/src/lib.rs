//! The Tauri app: a window on the garage.
//!
//! A shell around `garage-core`: commands that call the core, events that report changes to the page, and the
//! differences between desktop and phone (`platform`). Invariants: this crate has no rule about vehicles; a command
//! only takes the state, calls the core and maps the error; the page can call only the commands that
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
use tauri::{App, Manager, Runtime, WindowEvent};

use crate::state::AppGarage;

pub use crate::{
    error::CommandError,
    events::{GarageChanged, TaskProgressed},
};

/// The app's configuration, capabilities and page, compiled in.
#[must_use]
pub fn context<R: Runtime>() -> tauri::Context<R> {
    tauri::generate_context!()
}

/// Adds the garage's commands, events and state to a builder. Tests use a builder with the mock runtime.
pub fn with_garage<R: Runtime>(
    builder: tauri::Builder<R>,
    config: impl FnOnce(&App<R>) -> Result<GarageConfig, Box<dyn std::error::Error>> + Send + 'static,
) -> tauri::Builder<R> {
    let bindings = bindings::builder::<R>();
    let builder = builder.plugin(tauri_plugin_store::Builder::new().build()).plugin(tauri_plugin_dialog::init());
    let builder = builder.on_window_event(|window, event| {
        if let (WindowEvent::Focused(true), Some(garage)) = (event, window.try_state::<AppGarage>()) {
            garage.sync_now();
        }
    });
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
/// Panics if the system cannot show a window or has no folder for the user's data.
#[cfg_attr(mobile, tauri::mobile_entry_point)]
pub fn run() {
    with_garage(tauri::Builder::default(), platform::garage_config)
        .run(context())
        .unwrap_or_else(|error| panic!("MotoVault cannot start: {error}"));
}
