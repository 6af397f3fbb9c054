//! What is logged of a request and of a panic: never an address, a body, a token or a value, because those name VINs,
//! plates and people.

use std::{panic::PanicHookInfo, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use tracing::Span;

use super::request_id;

/// The span of a request: its id, method and route, which are in every line that is logged about it.
pub fn span(request: &Request) -> Span {
    let id = request.headers().get(request_id::HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    tracing::info_span!("request", id, method = %request.method(), route)
}

/// Logs one line for each response.
pub fn log_response<B>(response: &Response<B>, time: Duration, _: &Span) {
    tracing::info!(status = response.status().as_u16(), microseconds = time.as_micros(), "answered");
}

/// Logs a panic with its place. Its message is logged only if it is a constant: a formatted one may contain values.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(has values)");
    tracing::error!(location, message, "panicked");
}
