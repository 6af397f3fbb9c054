//! The sources of time and ids, which tests replace.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

/// The sources of the current time and of new ids.
#[derive(Clone)]
pub struct Environment {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    new_uuid: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Environment {
    /// The system's clock and random UUIDs (version 7).
    #[must_use]
    pub fn system() -> Environment {
        Environment::new(Timestamp::now, Uuid::now_v7)
    }

    /// A clock and an id source that the caller provides.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        new_uuid: impl Fn() -> Uuid + Send + Sync + 'static,
    ) -> Environment {
        Environment { now: Arc::new(now), new_uuid: Arc::new(new_uuid) }
    }

    /// The current time, truncated to the microseconds that the store keeps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = (self.now)();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    pub(crate) fn new_uuid(&self) -> Uuid {
        (self.new_uuid)()
    }
}

/// The program that writes; recorded in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The app.
    App,
    /// The command line.
    Cli,
}

impl Program {
    /// The name that history records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::App => "app",
            Program::Cli => "cli",
        }
    }
}
