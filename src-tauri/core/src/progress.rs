//! How far a long operation is, and stopping it.

use std::{ops::ControlFlow, sync::Arc};

use crate::GarageError;

/// Hears how far a long operation is: how much is done, of how much. Called often and from other threads, so it must
/// be quick. Where it breaks, the operation stops, and what it had begun to write is taken back.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64, u64) -> ControlFlow<()> + Send + Sync>);

impl Progress {
    /// Calls `hear` with what is done and with the whole.
    pub fn new(hear: impl Fn(u64, u64) -> ControlFlow<()> + Send + Sync + 'static) -> Progress {
        Progress(Arc::new(hear))
    }

    /// For callers that do not look.
    #[must_use]
    pub fn none() -> Progress {
        Progress::new(|_, _| ControlFlow::Continue(()))
    }

    /// Tells how far it is.
    ///
    /// # Errors
    /// [`GarageError::Canceled`] where whoever hears it wants no more.
    pub(crate) fn at(&self, done: u64, total: u64) -> Result<(), GarageError> {
        match (self.0)(done, total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(GarageError::Canceled),
        }
    }
}
