//! Returns 500 if a handler or its work on the database panics.

use std::panic::AssertUnwindSafe;

use axum::response::Response;
use futures_util::FutureExt;

use crate::error::ApiError;

/// Turns a panic into 500. The panic hook has logged it.
pub async fn caught(handling: impl Future<Output = Response>) -> Result<Response, ApiError> {
    // What a panic leaves behind is not used again, except by locks, which are released.
    AssertUnwindSafe(handling).catch_unwind().await.map_err(|_| ApiError::Internal)
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        extract::Request,
        http::StatusCode,
        middleware::{Next, from_fn},
        routing::get,
    };
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
            .layer(from_fn(async |request, next: Next| caught(next.run(request)).await));
        for _ in 0..4 {
            assert_eq!(status(&router, "/handler").await, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(status(&router, "/database").await, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(status(&router, "/health").await, StatusCode::OK);
        }
    }
}
