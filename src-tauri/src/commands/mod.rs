//! The commands that the page can call. Each takes the state, calls the core and maps the error.

pub mod about;
pub mod catalog;
pub mod decode;
pub mod files;
pub mod preferences;
pub mod sync;
pub mod vehicles;

use crate::{error::CommandError, state::AppGarage};

type Garage<'a> = tauri::State<'a, AppGarage>;
type Answer<T> = Result<T, CommandError>;
