//! Requests about accounts, and their answers.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::StatusCode,
    routing::{get, post},
};
use garage_domain::FieldError;
use garage_protocol::Tokens;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Account, User, accounts, tokens::LIFETIME};
use crate::{app::App, error::ApiError, http::JsonObject};

/// The routes of this feature.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/auth/register", post(register))
        .route("/api/auth/login", post(log_in))
        .route("/api/auth/refresh", post(refresh))
        .route("/api/auth/logout", post(log_out))
        .route("/api/auth/me", get(me))
        .route("/.well-known/jwks.json", get(public_keys))
}

async fn register(
    State(app): State<App>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let (email, password) = credentials(&body)?;
    let checked =
        [("email", accounts::clean_email(&email).map(drop)), ("password", accounts::check_password(&password))];
    let errors: Vec<FieldError> =
        checked.into_iter().filter_map(|(field, checked)| Some(field_error(field, checked.err()?))).collect();
    if !errors.is_empty() {
        return Err(ApiError::Fields(errors));
    }
    let email = accounts::clean_email(&email).unwrap_or_default();
    app.auth.limits.attempt(&email, client.ip())?;
    let hash = app.auth.passwords.hash(password).await?;
    let account = accounts::register(&app.store, email, hash, app.auth.open_registration).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

async fn log_in(
    State(app): State<App>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    JsonObject(body): JsonObject,
) -> Result<Json<Tokens>, ApiError> {
    let (email, password) = credentials(&body)?;
    let email = accounts::clean_email(&email).unwrap_or(email);
    app.auth.limits.attempt(&email, client.ip())?;
    let (account, hash) = accounts::credentials(&app.store, email).await?.unzip();
    if !app.auth.passwords.verify(password, hash).await? {
        return Err(ApiError::WrongCredentials);
    }
    let account = account.ok_or(ApiError::WrongCredentials)?;
    let refresh_token = accounts::begin_family(&app.store, account.id.clone()).await?;
    tokens(&app, &account.id, refresh_token)
}

async fn refresh(State(app): State<App>, JsonObject(body): JsonObject) -> Result<Json<Tokens>, ApiError> {
    let next = accounts::next_in_family(&app.store, refresh_token(&body)?).await?;
    let (refresh_token, account) = next.ok_or(ApiError::Unauthorized)?;
    tokens(&app, &account, refresh_token)
}

async fn log_out(State(app): State<App>, JsonObject(body): JsonObject) -> Result<StatusCode, ApiError> {
    accounts::end_family(&app.store, refresh_token(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(State(app): State<App>, user: User) -> Result<Json<Account>, ApiError> {
    accounts::by_id(&app.store, user.0).await?.map(Json).ok_or(ApiError::Unauthorized)
}

async fn public_keys(State(app): State<App>) -> Json<Value> {
    Json(app.auth.tokens.public_keys().clone())
}

fn tokens(app: &App, user: &str, refresh_token: String) -> Result<Json<Tokens>, ApiError> {
    let access_token = app.auth.tokens.issue(user, Timestamp::now()).map_err(|error| {
        tracing::error!(%error, "a token cannot be signed");
        ApiError::Internal
    })?;
    let token_type = "Bearer".to_owned();
    Ok(Json(Tokens { access_token, refresh_token, token_type, expires_in: LIFETIME.as_secs() }))
}

fn credentials(body: &Map<String, Value>) -> Result<(String, String), ApiError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("email"), text("password")) {
        (Some(email), Some(password)) => Ok((email, password)),
        (email, password) => {
            let missing = [("email", email), ("password", password)].into_iter().filter(|(_, text)| text.is_none());
            Err(ApiError::Fields(
                missing.map(|(name, _)| field_error(name, &format!("{name} must be a string"))).collect(),
            ))
        }
    }
}

fn refresh_token(body: &Map<String, Value>) -> Result<&str, ApiError> {
    let missing = || ApiError::Fields(vec![field_error("refreshToken", "refreshToken must be a string")]);
    body.get("refreshToken").and_then(Value::as_str).ok_or_else(missing)
}

fn field_error(field: &str, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: message.to_owned() }
}
