//! The context of the current request, which is added to its log lines: `request` with `id`, `method` and `route`. The line
//! for its response has the fields `status` and `microseconds`.

use std::time::Duration;

use axum::{
    extract::MatchedPath,
    http::{HeaderValue, Method, StatusCode},
};
use serde::{Serialize, Serializer};

/// The pattern of a request that no route matches.
const NO_ROUTE: &str = "none";

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// What is logged of a request. Its path may contain values; the pattern of its route does not.
#[derive(Clone, Serialize)]
pub struct RequestContext {
    /// The value of `x-request-id`.
    #[serde(serialize_with = "as_text")]
    pub id: HeaderValue,
    /// The method.
    #[serde(serialize_with = "as_name")]
    pub method: Method,
    /// The route that matches, if one does.
    #[serde(serialize_with = "as_pattern")]
    pub route: Option<MatchedPath>,
}

impl RequestContext {
    /// The pattern of the route, such as `/api/vehicles/{id}`.
    pub fn pattern(&self) -> &str {
        pattern_of(&self.route)
    }
}

fn pattern_of(route: &Option<MatchedPath>) -> &str {
    route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str)
}

/// Everything that is logged while the future runs is logged with the request.
pub async fn scope<F: Future>(request: RequestContext, handling: F) -> F::Output {
    CURRENT.scope(request, handling).await
}

/// The request that the current task is handling.
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(RequestContext::clone).ok()
}

/// Logs one line for each response.
pub fn log_response(status: StatusCode, duration: Duration) {
    let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(status = status.as_u16(), microseconds, "answered");
}

fn as_text<S: Serializer>(id: &HeaderValue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.to_str().unwrap_or_default())
}

fn as_name<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

fn as_pattern<S: Serializer>(route: &Option<MatchedPath>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(pattern_of(route))
}
