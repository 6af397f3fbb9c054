//! The REST server that devices sync with, one capsule a feature. The contract it serves is `docs/contract.md`.
//!
//! - `vehicles`, `decode`, `auth`: the features, each with its routes and what they need; none knows another, but all know
//!   `auth::User`, by which a request says who asks
//! - `store`: the database, SQLite or PostgreSQL
//! - `app`: what every request works with
//! - `http`, `client`, `error`: bodies, conditions, addresses and refusals, the same for all
//! - `openapi`: the document of all routes, and the page to browse it
//! - `config`, `serve`: starting, from flags and environment, and stopping
//!
//! Invariants: no state that another process would have to see; no SQL put together from what came in; a refusal says
//! what the contract says and no more.

mod app;
pub mod auth;
mod client;
pub mod config;
mod decode;
mod error;
mod http;
mod openapi;
pub mod serve;
pub mod store;
mod vehicles;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use app::App;

use crate::{app::BACKEND, error::ApiError};

/// All routes, on this app.
pub fn router(app: App) -> Router {
    let (router, mut document) = documented(app.auth.is_own()).split_for_parts();
    openapi::complete(&mut document);
    router
        .with_state(app)
        .merge(openapi::routes(document))
        .fallback(async || ApiError::NotFound("Not Found"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(http::LARGEST_BODY_BYTES))
}

/// The OpenAPI document of all routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = documented(true).into_openapi();
    openapi::complete(&mut document);
    document
}

fn documented(has_own_accounts: bool) -> OpenApiRouter<App> {
    let router = OpenApiRouter::with_openapi(openapi::beginning())
        .routes(routes!(health))
        .merge(vehicles::routes())
        .merge(decode::routes());
    if has_own_accounts { router.merge(auth::routes()) } else { router }
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
    app.store.ping().await?;
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
