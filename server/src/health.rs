//! Handles the `GET /api/health` route.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{App, BACKEND},
    error::ApiError,
};

/// A database that takes longer than this to answer is unavailable.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health))
}

/// The state of the server.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
    /// The name of the backend.
    backend: &'static str,
    /// The version of the backend.
    version: &'static str,
    /// Always `ok`.
    database: &'static str,
    /// The groups of routes that the backend has.
    capabilities: Vec<&'static str>,
}

/// Whether the server and its database respond, and which groups of routes there are.
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "health",
    operation_id = "getHealth",
    security(()),
    responses((status = OK, description = "Both respond", body = Health))
)]
async fn health(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    let ping = tokio::time::timeout(DATABASE_TIMEOUT, app.store.ping());
    ping.await.map_err(|_| ApiError::DatabaseUnavailable)??;
    let mut capabilities = vec!["vehicles", "decode", "dropdown", "sync.v1", "sync.wait"];
    if app.auth.is_own() {
        capabilities.insert(2, "auth");
    }
    Ok(Json(Health {
        status: "ok",
        backend: BACKEND,
        version: env!("CARGO_PKG_VERSION"),
        database: "ok",
        capabilities,
    }))
}
