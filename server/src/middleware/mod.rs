//! What happens to every request before and after its handler, one file for each step.
//!
//! [`handle`] performs the steps in one function: as a layer each, they would allocate and box futures, services and
//! bodies for every request.

mod catch_panic;
pub mod cors;
pub mod forwarded;
mod request_id;
mod request_limit;
pub mod response_memory;
mod security_headers;
mod time_limit;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::HeaderValue,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;

use self::{request_limit::RequestLimit, response_memory::ResponseMemory};
use crate::{
    config::LimitArgs,
    error::ApiError,
    log::request::{RequestContext, log_response, scope},
    metrics::Metrics,
};

/// The largest request body that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The state of [`handle`].
struct Middleware {
    request_limit: RequestLimit,
    request_timeout: Duration,
    response_memory: ResponseMemory,
    metrics: Option<Arc<Metrics>>,
}

/// Adds the middleware to all routes. With an origin, cross-origin requests are allowed from it.
pub fn add(router: Router, cors_origins: &[HeaderValue], limits: &LimitArgs, metrics: Option<Arc<Metrics>>) -> Router {
    let middleware = Middleware {
        request_limit: RequestLimit::new(limits.max_requests),
        request_timeout: limits.request_timeout,
        response_memory: ResponseMemory::new(limits.response_memory, limits.write_timeout),
        metrics,
    };
    // A single call of `layer`: each of them boxes every request's future.
    let layers = ServiceBuilder::new()
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::new(middleware), handle))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let router = router.layer(layers);
    if cors_origins.is_empty() { router } else { router.layer(cors::layer(cors_origins)) }
}

/// Handles a request within the limits, logs and counts it, and completes the headers of the response.
async fn handle(State(middleware): State<Arc<Middleware>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext {
        id: request_id::of(request.headers()),
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
    };
    let handled = async {
        let handled = middleware.handle_within_limits(request, next).await;
        let response = handled.unwrap_or_else(IntoResponse::into_response);
        log_response(response.status(), started.elapsed());
        response
    };
    let mut response = scope(context.clone(), handled).await;
    if let Some(metrics) = &middleware.metrics {
        metrics.count_request(&context.method, context.pattern(), response.status(), started.elapsed());
    }
    security_headers::add(response.headers_mut());
    response.headers_mut().insert(request_id::HEADER, context.id);
    response
}

impl Middleware {
    async fn handle_within_limits(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        let response = {
            let _permit = self.request_limit.try_acquire()?;
            time_limit::within(self.request_timeout, catch_panic::caught(next.run(request))).await?
        };
        self.response_memory.limit(response).await
    }
}
