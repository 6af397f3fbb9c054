//! Phones: each app has its own folders, which only the system's API knows.

use garage_core::{
    Environment, GarageConfig, Program, SessionConfig,
    decoding::{self, pinned},
    locations,
};
use tauri::{App, Manager, Runtime};

pub(crate) fn garage_config<R: Runtime>(app: &App<R>) -> Result<GarageConfig, Box<dyn std::error::Error>> {
    let snapshot_file = app.path().app_cache_dir()?.join(pinned::FILE_NAME);
    Ok(GarageConfig {
        garage_file: app.path().app_data_dir()?.join(locations::GARAGE_FILE_NAME),
        vpic_answers_file: locations::vpic_answers_file(&snapshot_file),
        snapshot_file,
        // A file on iOS. On Android, resources are inside the APK and have no path.
        packed_snapshots: vec![app.path().resource_dir()?.join(pinned::PACKED_FILE_NAME)],
        vpic_url: Some(decoding::vpic::VpicClient::base_url()),
        environment: Environment::system(),
        program: Program::App,
        session: SessionConfig::default(),
    })
}
