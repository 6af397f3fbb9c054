//! The time that a request may take, from its head to the head of its response. This also limits the time in which a
//! client sends its body.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use crate::error::ApiError;

/// Answers 503 if the time is over.
pub async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(limit, next.run(request)).await.map_err(|_| ApiError::TooSlow)
}
