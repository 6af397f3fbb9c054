//! The time that a request may take, from its head to the head of its response. This also limits the time in which a
//! client sends its body.

use std::time::Duration;

use axum::response::Response;

use crate::error::ApiError;

/// # Errors
/// [`ApiError::TooSlow`] if the time is over.
pub async fn within(
    limit: Duration,
    handling: impl Future<Output = Result<Response, ApiError>>,
) -> Result<Response, ApiError> {
    tokio::time::timeout(limit, handling).await.unwrap_or(Err(ApiError::TooSlow))
}
