//! Metrics for operators, in Prometheus' text format on a listener of its own (`--metrics`). Labels are methods, routes,
//! statuses and the database's kind: nothing that belongs to a user.

use std::{
    fmt::{self, Write},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use axum::{
    Router,
    http::{Method, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::net::TcpListener;

use crate::store::{Store, Usage};

/// The upper bounds of the histogram of latencies, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const LOGIN: &str = "/api/auth/login";

/// What is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    refused_logins: Counter,
    feed_writes: Counter,
    usage: UsageGauges,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: MethodLabel,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: MethodLabel,
    route: String,
}

/// One of the standard methods, or `other`: a client can make up any number of methods.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct MethodLabel(&'static str);

impl MethodLabel {
    fn of(method: &Method) -> MethodLabel {
        let known =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
        let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        MethodLabel(known.iter().position(|known| known == method).map_or("other", |index| names[index]))
    }
}

impl EncodeLabelValue for MethodLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.0)
    }
}

/// How busy the database is, read when the metrics are.
#[derive(Default)]
struct UsageGauges {
    connections: Gauge,
    idle: Gauge,
    waiting: Gauge,
    log_bytes: Gauge<u64, AtomicU64>,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("garage");
        let requests = Family::default();
        registry.register("requests", "Requests by method, route and status", requests.clone());
        let latency: Family<Route, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let help = "Time from a request's head to its answer's head";
        registry.register_with_unit("request_duration", help, Unit::Seconds, latency.clone());
        let (refused_logins, feed_writes) = (Counter::default(), Counter::default());
        registry.register(
            "refused_logins",
            "Log-ins with a wrong password or too many of them",
            refused_logins.clone(),
        );
        registry.register("feed_writes", "Changes of records that entered a feed", feed_writes.clone());
        let usage = UsageGauges::default();
        let database = registry.sub_registry_with_prefix("database");
        database.register("connections", "Open connections", usage.connections.clone());
        database.register("idle_connections", "Connections that nobody uses", usage.idle.clone());
        database.register(
            "waiting",
            "Requests that wait for a connection or for their turn to write",
            usage.waiting.clone(),
        );
        let help = "Size of SQLite's write-ahead log; 0 for PostgreSQL";
        database.register_with_unit("log", help, Unit::Bytes, usage.log_bytes.clone());
        Metrics { registry, requests, latency, refused_logins, feed_writes, usage }
    }

    /// Counts changes of records.
    pub fn count_feed_writes(&self, count: usize) {
        self.feed_writes.inc_by(count as u64);
    }

    /// Counts a request by its method, the pattern of its route, and the status of its response.
    pub fn count_request(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let status = status.as_u16();
        if route == LOGIN && (status == 401 || status == 429) {
            self.refused_logins.inc();
        }
        let (method, route) = (MethodLabel::of(method), route.to_owned());
        self.requests.get_or_create(&Answered { method: method.clone(), route: route.clone(), status }).inc();
        self.latency.get_or_create(&Route { method, route }).observe(duration.as_secs_f64());
    }

    /// The metrics as text.
    fn encoded(&self, usage: &Usage) -> Result<String, fmt::Error> {
        self.usage.connections.set(usage.connections);
        self.usage.idle.set(usage.idle);
        self.usage.waiting.set(usage.waiting);
        self.usage.log_bytes.set(usage.log_bytes);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Serves the metrics on their own address until the process ends.
///
/// # Errors
/// The address is taken or cannot be served.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>, store: Store) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let text = async move || match metrics.encoded(&store.usage()) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let router = Router::new().route("/metrics", get(text));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_route_and_status_only() {
        let metrics = Metrics::new();
        let duration = Duration::from_micros(300);
        metrics.count_request(&Method::GET, "/api/vehicles/{id}", StatusCode::OK, duration);
        metrics.count_request(&Method::GET, "/api/vehicles/{id}", StatusCode::OK, duration);
        metrics.count_request(&"MADE-UP".parse().expect("a method"), "none", StatusCode::NOT_FOUND, duration);
        metrics.count_request(&Method::POST, LOGIN, StatusCode::UNAUTHORIZED, duration);
        metrics.count_request(&Method::POST, LOGIN, StatusCode::TOO_MANY_REQUESTS, duration);
        metrics.count_request(&Method::POST, LOGIN, StatusCode::OK, duration);
        metrics.count_feed_writes(1);
        let usage = Usage { connections: 3, idle: 2, waiting: 1, log_bytes: 4096 };
        let text = metrics.encoded(&usage).expect("text");
        for line in [
            r#"garage_requests_total{method="GET",route="/api/vehicles/{id}",status="200"} 2"#,
            r#"garage_requests_total{method="other",route="none",status="404"} 1"#,
            r#"garage_request_duration_seconds_bucket{le="0.0005",method="GET",route="/api/vehicles/{id}"} 2"#,
            "garage_refused_logins_total 2",
            "garage_feed_writes_total 1",
            "garage_database_connections 3",
            "garage_database_idle_connections 2",
            "garage_database_waiting 1",
            "garage_database_log_bytes 4096",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is missing from\n{text}");
        }
    }
}
