//! Where the app keeps its files; the CLI uses the same, so both see one garage.

use std::path::{Path, PathBuf};

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

/// The file of vPIC's answers: the one that `GARAGE_VPIC_ANSWERS` names, or the one beside the vPIC data.
#[must_use]
pub fn vpic_answers_file(snapshot_file: &Path) -> PathBuf {
    let named = std::env::var_os("GARAGE_VPIC_ANSWERS").filter(|path| !path.is_empty());
    named.map_or_else(|| snapshot_file.with_file_name("vpic-answers.db"), PathBuf::from)
}
