//! Opening the garage that is meant.

use std::path::PathBuf;

use garage_core::{ChangeListener, Garage, GarageConfig, Program};

use crate::failure::Failure;

/// The garage in this file, or the app's own.
pub fn config(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    let mut config = GarageConfig::of_this_user(Program::Cli)?;
    if let Some(garage_file) = garage_file {
        config.garage_file = garage_file;
    }
    Ok(config)
}

/// Opens it.
pub async fn open(garage_file: Option<PathBuf>) -> Result<Garage, Failure> {
    Ok(Garage::open(config(garage_file)?, ChangeListener::none()).await?)
}
