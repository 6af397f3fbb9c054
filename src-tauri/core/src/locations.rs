//! The paths of the app's files. The CLI uses the same ones, so both open one garage.

use std::path::{Path, PathBuf};

use garage_decode::pinned::APP_IDENTIFIER;

use crate::GarageError;

/// The file name of a garage.
pub const GARAGE_FILE_NAME: &str = "garage.db";

/// The path of the app's own garage, in the user's data folder.
///
/// # Errors
/// [`GarageError::NoDataFolder`] (`GarageReadOnly`), for example if `HOME` is not set.
pub fn garage_file() -> Result<PathBuf, GarageError> {
    let folder = dirs::data_dir().ok_or(GarageError::NoDataFolder)?;
    Ok(folder.join(APP_IDENTIFIER).join(GARAGE_FILE_NAME))
}

/// The cache file of vPIC's answers: the value of `GARAGE_VPIC_ANSWERS`, or a file beside the vPIC data.
#[must_use]
pub fn vpic_answers_file(snapshot_file: &Path) -> PathBuf {
    let named = std::env::var_os("GARAGE_VPIC_ANSWERS").filter(|path| !path.is_empty());
    named.map_or_else(|| snapshot_file.with_file_name("vpic-answers.db"), PathBuf::from)
}
