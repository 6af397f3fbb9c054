//! Desktop: the app and the CLI use the same files in the user's data folder.

use garage_core::{GarageConfig, Program};
use tauri::{App, Runtime};

pub(crate) fn garage_config<R: Runtime>(_app: &App<R>) -> Result<GarageConfig, Box<dyn std::error::Error>> {
    Ok(GarageConfig::of_this_user(Program::App)?)
}
