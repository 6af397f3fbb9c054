//! A panic in a handler, or in its work on the database, is answered with 500. The server goes on.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;

/// Answers a panic with 500. The panic hook has logged it.
pub fn layer() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(|_| ApiError::Internal.into_response())
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, extract::Request, http::StatusCode, routing::get};
    use garage_sqlite::{Database, Error};
    use tower::ServiceExt;

    use super::*;
    use crate::store::{Location, Store};

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("a response").status()
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_or_in_its_database_work_is_answered_with_500() {
        async fn panic_in_handler() -> StatusCode {
            panic!("in a handler")
        }
        async fn panic_in_database(database: Database) -> StatusCode {
            let written = database.write::<(), Error>(|_| panic!("in a write")).await;
            written.map_or(StatusCode::SERVICE_UNAVAILABLE, |()| StatusCode::OK)
        }
        let folder = tempfile::tempdir().expect("a folder");
        let location = Location::Sqlite(folder.path().join("server.db"));
        let Store::Sqlite(database) = Store::open(&location).await.expect("open") else { panic!("SQLite") };
        let write = database.clone();
        let ping = database.clone();
        let router = Router::new()
            .route("/handler", get(panic_in_handler))
            .route("/database", get(async move || panic_in_database(write).await))
            .route("/health", get(async move || if ping.ping().await.is_ok() { "ok" } else { panic!("closed") }))
            .layer(layer());
        for _ in 0..4 {
            assert_eq!(status(&router, "/handler").await, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(status(&router, "/database").await, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(status(&router, "/health").await, StatusCode::OK);
        }
    }
}
