//! Who set a value.

use serde::{Deserialize, Serialize};

/// Who set a field's value. A person's own typing outranks the others: decoding never replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Origin {
    /// A person.
    #[default]
    Typed,
    /// A decode of the VIN.
    Decoded {
        /// What decoded it, as in a decode's `source`, such as `snapshot`.
        from: String,
        /// The release of the data, such as `2026-10`, where it has one.
        month: Option<String>,
    },
    /// A file that was imported.
    Imported,
}
