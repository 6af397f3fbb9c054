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

/// The route of the server's health.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    /// Which backend this is.
    backend: &'static str,
    /// Its version.
    version: &'static str,
    /// `ok`.
    database: &'static str,
    /// What it can do beyond the basics.
    capabilities: Vec<&'static str>,
}

/// Whether the server and its database answer, and what it can do.
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "health",
    operation_id = "getHealth",
    security(()),
    responses((status = OK, description = "Both answer", body = Health))
)]
async fn health(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    let ping = tokio::time::timeout(DATABASE_TIMEOUT, app.store.ping());
    ping.await.map_err(|_| ApiError::DatabaseAway)??;
    let mut capabilities = vec!["vehicles", "decode", "dropdown"];
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
