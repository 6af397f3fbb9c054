//! Export and import: JSON is complete, CSV is for spreadsheets.
//!
//! - `export`: writes the garage as JSON
//! - `csv`: writes the vehicles as CSV
//! - `file`: parses the outer structure of a JSON file
//! - `plan`: validates the file's records; pure
//! - `import`: writes the valid records in batches

mod csv;
mod export;
mod file;
mod import;
mod plan;

use serde::{Deserialize, Serialize};

pub use self::{
    export::Export,
    import::{ImportMode, ImportReport},
    plan::ImportProblem,
};

/// The value of `format` in an export of this program.
const FORMAT: &str = "motovault-garage";
/// The version of the export format; increased when older versions cannot read a new file.
const VERSION: u32 = 2;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Everything; can be imported.
    Json,
    /// The vehicles, for a spreadsheet.
    Csv,
}
