//! Everything a garage holds as a file, and back: JSON loses nothing, CSV is for spreadsheets.
//!
//! - `export`: writing the garage as JSON
//! - `csv`: writing the vehicles for a spreadsheet
//! - `file`: reading a JSON file as far as its form
//! - `plan`: judging what the file holds; pure
//! - `import`: writing what was judged, in batches

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

/// Marks a file as an export of this program.
const FORMAT: &str = "motovault-garage";
/// Raised when an older version cannot read a file of the new form.
const VERSION: u32 = 2;

/// In which form a garage is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Everything, to be read again.
    Json,
    /// The vehicles, for a spreadsheet.
    Csv,
}
