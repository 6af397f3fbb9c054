//! The routes of accounts, sessions and public keys.

use axum::{Json, extract::State, http::StatusCode};
use garage_domain::FieldError;
use garage_protocol::{Account, Credentials, ErrorBody, RefreshToken, Tokens};
use jiff::Timestamp;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    User,
    account::{Registration, clean_email},
    accounts::{self, EMAIL_TAKEN},
    keys::ACCESS_TOKEN_LIFETIME,
    passwords, sessions, store,
};
use crate::{app::App, error::ApiError, http::JsonObject, middleware::forwarded::Client};

const REGISTRATION_CLOSED: ApiError = ApiError::Forbidden("Registration is closed");

/// The routes of accounts, sessions and public keys.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(me))
        .routes(routes!(public_keys))
}

/// A JWK set (RFC 7517).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
struct KeySet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// Registers an account. The first account can always be registered, others only if registration is open.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    tag = "auth",
    operation_id = "register",
    security(()),
    request_body = Credentials,
    responses(
        (status = CREATED, description = "The account", body = Account),
        (status = FORBIDDEN, description = "Registration is closed", body = ErrorBody),
        (status = CONFLICT, description = "There is an account with this email", body = ErrorBody)
    )
)]
async fn register(
    State(app): State<App>,
    Client(client): Client,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let own = app.auth.accounts()?;
    let (email, password) = credentials(&body)?;
    let cleaned = clean_email(&email);
    let checked = passwords::check(&password, cleaned.as_deref().unwrap_or_default());
    let email = match (cleaned, checked) {
        (Ok(email), Ok(())) => email,
        (email, checked) => {
            let errors = [("email", email.err()), ("password", checked.err())];
            let errors = errors.into_iter().filter_map(|(field, message)| Some(field_error(field, message?)));
            return Err(ApiError::Fields(errors.collect()));
        }
    };
    own.limits.attempt(Some(&email), client)?;
    // Checked before the password is hashed, which is expensive. The store checks again when it adds the account.
    if !own.open_registration && store::has_accounts(&app.store).await? {
        return Err(REGISTRATION_CLOSED);
    }
    let hash = own.passwords.hash(password).await?;
    let account = match accounts::register(&app.store, email, hash, own.open_registration).await? {
        (account, Registration::Added) => account,
        (_, Registration::Taken) => return Err(ApiError::Conflict(EMAIL_TAKEN)),
        (_, Registration::Closed) => return Err(REGISTRATION_CLOSED),
    };
    Ok((StatusCode::CREATED, Json(account)))
}

/// Logs in and returns tokens.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    tag = "auth",
    operation_id = "logIn",
    security(()),
    request_body = Credentials,
    responses(
        (status = OK, description = "Tokens", body = Tokens),
        (status = UNAUTHORIZED, description = "Wrong email or password", body = ErrorBody)
    )
)]
async fn log_in(
    State(app): State<App>,
    Client(client): Client,
    JsonObject(body): JsonObject,
) -> Result<Json<Tokens>, ApiError> {
    let own = app.auth.accounts()?;
    let (email, password) = credentials(&body)?;
    // An invalid email address takes as long as a wrong password, and is not looked up.
    let email = clean_email(&email).ok();
    own.limits.attempt(email.as_deref(), client)?;
    let found = match &email {
        Some(email) => store::credentials(&app.store, email.clone()).await?,
        None => None,
    };
    let is_right = own.passwords.verify(password, found.as_ref().map(|(_, hash)| hash.as_str())).await?;
    let ((account, hash), email) = found.zip(email).filter(|_| is_right).ok_or(ApiError::WrongCredentials)?;
    let started = sessions::start(&app.store, account.id.clone(), hash).await?;
    let refresh_token = started.ok_or(ApiError::WrongCredentials)?;
    own.limits.succeeded(&email, client);
    issue_tokens(&app, &account.id, refresh_token).await
}

/// Exchanges a refresh token for new tokens. It stays valid until a successor is used; using it later ends the session.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = "auth",
    operation_id = "refreshTokens",
    security(()),
    request_body = RefreshToken,
    responses(
        (status = OK, description = "Tokens", body = Tokens),
        (status = UNAUTHORIZED, description = "The refresh token is not valid", body = ErrorBody)
    )
)]
async fn refresh(State(app): State<App>, JsonObject(body): JsonObject) -> Result<Json<Tokens>, ApiError> {
    let next = sessions::refresh(&app.store, refresh_token(&body)?).await?;
    let (refresh_token, account) = next.ok_or(ApiError::Unauthorized)?;
    issue_tokens(&app, &account, refresh_token).await
}

/// Ends the session of a refresh token.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "auth",
    operation_id = "logOut",
    security(()),
    request_body = RefreshToken,
    responses((status = NO_CONTENT, description = "The session is ended, or did not exist"))
)]
async fn log_out(State(app): State<App>, JsonObject(body): JsonObject) -> Result<StatusCode, ApiError> {
    sessions::end(&app.store, refresh_token(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The account of the access token.
#[utoipa::path(
    get,
    path = "/api/auth/me",
    tag = "auth",
    operation_id = "getAccount",
    responses((status = OK, description = "The account", body = Account))
)]
async fn me(State(app): State<App>, user: User) -> Result<Json<Account>, ApiError> {
    store::by_id(&app.store, user.0).await?.map(Json).ok_or(ApiError::Unauthorized)
}

/// The public keys that verify this server's tokens.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "auth",
    operation_id = "getKeys",
    security(()),
    responses((status = OK, description = "All valid keys", body = KeySet))
)]
async fn public_keys(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.auth.accounts()?.tokens.public_keys().await))
}

async fn issue_tokens(app: &App, user: &str, refresh_token: String) -> Result<Json<Tokens>, ApiError> {
    let issued = app.auth.accounts()?.tokens.issue(user, Timestamp::now()).await;
    let access_token = issued.map_err(|error| {
        tracing::error!(%error, "a token cannot be signed");
        ApiError::Internal
    })?;
    let token_type = "Bearer".to_owned();
    Ok(Json(Tokens { access_token, refresh_token, token_type, expires_in: ACCESS_TOKEN_LIFETIME.as_secs() }))
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
