//! Opening the garage.

use std::path::PathBuf;

use garage_core::{ChangeListener, Garage, GarageConfig, Program};

use crate::failure::Failure;

/// The configuration of the garage in this file, or of the app's own. Background requests to vPIC are off, since a
/// command ends before vPIC answers.
pub fn config(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    Ok(GarageConfig { vpic_url: None, ..config_with_vpic(garage_file)? })
}

/// Same as [`config`], for a command that waits for vPIC's answer.
pub fn config_with_vpic(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    let mut config = GarageConfig::of_this_user(Program::Cli)?;
    if let Some(garage_file) = garage_file {
        config.garage_file = garage_file;
    }
    Ok(config)
}

/// What to do if the named garage does not exist. The app's own is created at first use by any command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Create it, for a command that writes records.
    IsMade,
    /// Fail, for a command that only reads.
    IsRefused,
}

/// Opens the garage, does the work, and closes the garage, so that SQLite leaves no log beside the file.
pub async fn with_garage<T>(
    garage_file: Option<PathBuf>,
    missing: Missing,
    work: impl AsyncFnOnce(&Garage) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(path) = garage_file.as_ref().filter(|path| missing == Missing::IsRefused && !path.exists()) {
        return Err(Failure::NoGarage(path.clone()));
    }
    let garage = Garage::open(config(garage_file)?, ChangeListener::none()).await?;
    let done = work(&garage).await;
    garage.close().await;
    done
}
