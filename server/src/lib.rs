//! The REST server that devices sync with, one capsule a feature. The contract it serves is `docs/contract.md`.
//!
//! - `vehicles`, `decode`, `auth`: the features, each with its routes and what they need; none knows another, but all know
//!   `auth::User`, by which a request says who asks
//! - `store`: the database, SQLite or PostgreSQL
//! - `app`: what every request works with
//! - `http`, `error`: bodies, conditions and refusals, the same for all
//! - `config`, `serve`: starting, from flags and environment, and stopping
//!
//! Invariants: no state that another process would have to see; no SQL put together from what came in; a refusal says
//! what the contract says and no more.

mod app;
pub mod auth;
pub mod config;
mod decode;
mod error;
mod http;
pub mod serve;
pub mod store;
mod vehicles;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::get,
};
use serde_json::{Value, json};

pub use app::App;

use crate::{app::BACKEND, error::ApiError};

/// All routes, on this app.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/api/health", get(health))
        .merge(vehicles::routes())
        .merge(decode::routes())
        .merge(auth::routes())
        .fallback(async || ApiError::NotFound("Not Found"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(http::LARGEST_BODY_BYTES))
        .with_state(app)
}

async fn health(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    app.store.ping().await?;
    Ok(Json(json!({
        "status": "ok",
        "backend": BACKEND,
        "version": env!("CARGO_PKG_VERSION"),
        "database": "ok",
        "capabilities": ["vehicles", "decode", "auth", "dropdown"],
    })))
}
