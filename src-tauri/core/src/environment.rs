//! Time and ids, handed in so that tests can fix them.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

/// Where the garage takes the time and new ids from.
#[derive(Clone)]
pub struct Environment {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    new_uuid: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Environment {
    /// The system's clock and random ids.
    #[must_use]
    pub fn system() -> Environment {
        Environment::new(Timestamp::now, Uuid::now_v7)
    }

    /// A clock and a source of ids of the caller's.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        new_uuid: impl Fn() -> Uuid + Send + Sync + 'static,
    ) -> Environment {
        Environment { now: Arc::new(now), new_uuid: Arc::new(new_uuid) }
    }

    /// The time, in the microseconds that the store keeps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = (self.now)();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    pub(crate) fn new_uuid(&self) -> Uuid {
        (self.new_uuid)()
    }
}

/// The program that writes, for history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The app.
    App,
    /// The command line.
    Cli,
}

impl Program {
    /// The name in history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::App => "app",
            Program::Cli => "cli",
        }
    }
}
