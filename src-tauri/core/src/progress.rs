//! Progress and cancellation of long operations.

use std::{ops::ControlFlow, sync::Arc};

use crate::GarageError;

/// Called with the completed and the total amount of a long operation. It is called often and from other threads, so it
/// must return quickly. Returning [`ControlFlow::Break`] cancels the operation, which is then rolled back.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64, u64) -> ControlFlow<()> + Send + Sync>);

impl Progress {
    /// Calls `hear(done, total)`.
    pub fn new(hear: impl Fn(u64, u64) -> ControlFlow<()> + Send + Sync + 'static) -> Progress {
        Progress(Arc::new(hear))
    }

    /// Ignores progress and never cancels.
    #[must_use]
    pub fn none() -> Progress {
        Progress::new(|_, _| ControlFlow::Continue(()))
    }

    /// Reports progress.
    ///
    /// # Errors
    /// [`GarageError::Canceled`] if the callback returns [`ControlFlow::Break`].
    pub(crate) fn at(&self, done: u64, total: u64) -> Result<(), GarageError> {
        match (self.0)(done, total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(GarageError::Canceled),
        }
    }
}
