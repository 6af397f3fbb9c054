//! Opening the garage that is meant.

use std::path::PathBuf;

use garage_core::{ChangeListener, Garage, GarageConfig, Program};

use crate::failure::Failure;

/// The garage in this file, or the app's own. vPIC is not asked in the background: a command has ended before it
/// answers.
pub fn config(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    Ok(GarageConfig { vpic_url: None, ..config_with_vpic(garage_file)? })
}

/// The same, for a command that asks vPIC and waits.
pub fn config_with_vpic(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    let mut config = GarageConfig::of_this_user(Program::Cli)?;
    if let Some(garage_file) = garage_file {
        config.garage_file = garage_file;
    }
    Ok(config)
}

/// What becomes of a garage that was named and is not there. The app's own is made at first use, whatever that is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made, by a command that puts something into it.
    IsMade,
    /// It is a mistake: there is nothing to see in it.
    IsRefused,
}

/// Opens the garage, does the work, and closes it, so that the file is whole when the program ends.
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
