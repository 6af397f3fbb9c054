//! The Tauri commands and events of the app, and their generated TypeScript types.

use std::path::Path;

use specta_typescript::Typescript;
use tauri::Runtime;
use tauri_specta::{Builder, collect_commands, collect_events};

use crate::{
    commands,
    events::{GarageChanged, TaskProgressed},
    start::Start,
};

/// The generated file, relative to the repository's root.
pub const FILE: &str = "ui/src/lib/platform/bindings.ts";

/// Every command and event. A test compares this list with `COMMANDS` in the build script.
#[must_use]
pub fn builder<R: Runtime>() -> Builder<R> {
    Builder::<R>::new()
        .disable_serde_phases()
        .commands(collect_commands![
            commands::about::about,
            commands::catalog::list_makes,
            commands::catalog::list_model_years,
            commands::catalog::list_models,
            commands::decode::decode_vin,
            commands::files::back_up_garage,
            commands::files::export_garage,
            commands::files::list_backups,
            commands::files::repair_garage,
            commands::files::restore_garage,
            commands::files::stop_task,
            commands::files::take_repair,
            commands::preferences::preferences,
            commands::preferences::set_preferences,
            commands::sync::sync_now,
            commands::vehicles::accept_offers,
            commands::vehicles::add_vehicle,
            commands::vehicles::change_count,
            commands::vehicles::count_vehicles,
            commands::vehicles::decode_offers,
            commands::vehicles::edit_vehicle,
            commands::vehicles::filter_choices,
            commands::vehicles::get_vehicle,
            commands::vehicles::list_vehicles,
            commands::vehicles::remove_vehicle,
            commands::vehicles::restore_vehicle,
            commands::vehicles::undo_change,
            commands::vehicles::vehicle_history,
        ])
        .typ::<Start>()
        .events(collect_events![GarageChanged, TaskProgressed])
}

/// Writes the TypeScript types into a file.
///
/// # Errors
/// The file cannot be written, or a type has no TypeScript form, such as a 64-bit integer.
pub fn export(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    Ok(builder::<tauri::Wry>().export(Typescript::default(), path)?)
}
