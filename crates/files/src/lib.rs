//! Files as the system sees them, for the device and the server.
//!
//! - `partial`: writing a file completely before it gets its name
//! - `lock`: locks between processes
//! - `compare`: comparing the content of two files
//! - `folder`: making and syncing folders, and names of files
//! - `error`: [`Error`]

mod compare;
mod error;
mod folder;
mod lock;
mod partial;

pub use compare::have_equal_content;
pub use error::Error;
pub use folder::{folder_of, make_folder_of, sync_folder, with_suffix};
pub use lock::FileLock;
pub use partial::{Existing, PARTIAL_PREFIX, PartialFile, move_into_place, write};
