//! The REST server that devices sync with. It implements `docs/contract.md`.
//!
//! - `vehicles`, `decode`, `auth`, `sync`: a module for each feature, with its routes. They do not import each other, but all use
//!   `auth::User`, the authenticated user of a request
//! - `health`: `GET /api/health`
//! - `store`: the database, SQLite or PostgreSQL
//! - `app`: state shared by all request handlers; `changes`: requests that wait for changes
//! - `http`, `error`: request bodies, conditional requests and error responses of all features
//! - `middleware`: what happens to every request before and after its handler: CORS, request ids, the log, limits, panics,
//!   and the client's address behind a proxy
//! - `connections`: the limit of connections, and clients that do not read
//! - `log`: lines of JSON, written without delaying requests
//! - `metrics`: metrics for operators, on a listener of their own
//! - `openapi`: the document of all routes, and the page to browse it
//! - `config`: command line and environment
//! - `serve`: binds the address, serves, and stops
//!
//! Invariants: several processes can serve one database, because state in a process is only a cache; no SQL is built from
//! input; error responses contain what the contract says and no more.

mod app;
pub mod auth;
mod changes;
pub mod config;
mod connections;
mod decode;
mod error;
mod health;
mod http;
pub mod log;
mod metrics;
mod middleware;
mod openapi;
pub mod serve;
pub mod store;
mod sync;
mod vehicles;

use std::sync::LazyLock;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

pub use app::App;

use crate::error::ApiError;

/// The router with all routes.
pub fn router(app: App) -> Router {
    // The routes and their document are built once: a simulation starts thousands of servers.
    static WITH_ACCOUNTS: LazyLock<Router<App>> = LazyLock::new(|| routes(true));
    static WITH_ISSUER: LazyLock<Router<App>> = LazyLock::new(|| routes(false));
    let routes = if app.auth.is_own() { &WITH_ACCOUNTS } else { &WITH_ISSUER };
    Router::clone(routes).with_state(app)
}

fn routes(has_own_accounts: bool) -> Router<App> {
    let (router, mut document) = documented(has_own_accounts).split_for_parts();
    openapi::complete(&mut document);
    router
        .merge(openapi::routes(document))
        .fallback(async || ApiError::NotFound("Not Found"))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
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
        .merge(health::routes())
        .merge(vehicles::routes())
        .merge(decode::routes())
        .merge(sync::routes());
    if has_own_accounts { router.merge(auth::routes()) } else { router }
}
