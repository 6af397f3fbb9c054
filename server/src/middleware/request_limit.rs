//! The limit of requests that are handled at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::ApiError;

/// One permit for each request that may be handled at the same time. A request counts until its response begins; its body
/// is limited by `response_memory`.
pub struct RequestLimit(Semaphore);

impl RequestLimit {
    /// Allows this many requests at the same time.
    pub fn new(requests: usize) -> RequestLimit {
        RequestLimit(Semaphore::new(requests))
    }

    /// # Errors
    /// [`ApiError::Busy`] if the limit is reached.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.0.try_acquire().map_err(|_| ApiError::Busy)
    }
}
