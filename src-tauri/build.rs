//! Compiles the app's configuration and capabilities.

/// The commands for which permissions are generated; a capability must also allow each of them.
/// A test compares this list with the registered commands.
const COMMANDS: &[&str] = &[
    "about",
    "accept_offers",
    "add_vehicle",
    "back_up_garage",
    "change_count",
    "count_vehicles",
    "decode_offers",
    "decode_vin",
    "edit_vehicle",
    "export_garage",
    "filter_choices",
    "get_vehicle",
    "list_backups",
    "list_makes",
    "list_model_years",
    "list_models",
    "list_vehicles",
    "preferences",
    "remove_vehicle",
    "repair_garage",
    "restore_garage",
    "restore_vehicle",
    "set_preferences",
    "stop_task",
    "sync_now",
    "take_repair",
    "undo_change",
    "vehicle_history",
];

fn main() {
    let attributes = tauri_build::Attributes::new()
        .app_manifest(tauri_build::AppManifest::new().commands(COMMANDS))
        .capabilities_path_pattern("./src-tauri/capabilities/**/*");
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error={error:#}");
    }
}
