//! Where the app keeps its files; the CLI uses the same, so both see one garage.

use std::path::PathBuf;

use garage_decode::pinned::APP_IDENTIFIER;

use crate::GarageError;

/// The garage's file in whichever folder holds it.
pub const GARAGE_FILE_NAME: &str = "garage.db";

/// The app's own garage file, in the user's data folder.
///
/// # Errors
/// The system names no such folder (`HOME` is not set, say).
pub fn garage_file() -> Result<PathBuf, GarageError> {
    let folder = dirs::data_dir().ok_or(GarageError::NoDataFolder)?;
    Ok(folder.join(APP_IDENTIFIER).join(GARAGE_FILE_NAME))
}
