//! The limit of requests that are handled at the same time.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// One permit for each request that may be handled at the same time.
#[derive(Clone)]
pub struct RequestLimit(Arc<Semaphore>);

impl RequestLimit {
    /// Allows this many requests at the same time.
    pub fn new(requests: usize) -> RequestLimit {
        RequestLimit(Arc::new(Semaphore::new(requests)))
    }
}

/// Answers 503 at once if the limit is reached. A request counts until its response begins; its body is limited by
/// `response_memory`.
pub async fn limit_requests(
    State(RequestLimit(permits)): State<RequestLimit>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let _permit = permits.try_acquire().map_err(|_| ApiError::Busy)?;
    Ok(next.run(request).await)
}
