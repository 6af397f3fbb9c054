//! The commands a page can call: take the state, call the core, map the error.

pub mod about;
pub mod catalog;
pub mod decode;
pub mod files;
pub mod preferences;
pub mod vehicles;

use crate::{error::CommandError, state::AppGarage};

/// The garage as commands receive it.
type Garage<'a> = tauri::State<'a, AppGarage>;
/// What commands answer.
type Answer<T> = Result<T, CommandError>;
