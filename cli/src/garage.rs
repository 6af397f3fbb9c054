//! Opening the garage.

use std::path::PathBuf;

use garage_core::{ChangeListener, Garage, GarageConfig, GivenSession, Program, Unencrypted};

use crate::failure::Failure;

/// The configuration of the garage in this file, or of the app's own. Background requests to vPIC are off, since a
/// command ends before vPIC answers.
pub fn config(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    Ok(GarageConfig { vpic_url: None, ..config_with_vpic(garage_file)? })
}

/// Same as [`config`], for a command that waits for vPIC's answer.
pub fn config_with_vpic(garage_file: Option<PathBuf>) -> Result<GarageConfig, Failure> {
    let mut config = GarageConfig::of_this_user(Program::Cli)?;
    if let Some(garage_file) = garage_file {
        config.garage_file = garage_file;
    }
    config.session.given = given_session();
    Ok(config)
}

/// The session of `GARAGE_SERVER` and `GARAGE_TOKEN`, if the token is set. Without a server, its URL is empty, which the
/// core refuses if the session is used.
fn given_session() -> Option<GivenSession> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let token = variable("GARAGE_TOKEN")?;
    let is_allowed = variable("GARAGE_ALLOW_UNENCRYPTED").is_some_and(|value| value == "true" || value == "1");
    Some(GivenSession {
        server: variable("GARAGE_SERVER").unwrap_or_default(),
        token: token.into(),
        unencrypted: if is_allowed { Unencrypted::Allow } else { Unencrypted::Refuse },
    })
}

/// What to do if the named garage does not exist. The app's own is created at first use by any command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Create it, for a command that writes records.
    IsMade,
    /// Fail, for a command that only reads.
    IsRefused,
}

/// Opens the garage, does the work, and closes the garage, so that SQLite leaves no log beside the file.
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
