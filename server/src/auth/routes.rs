//! Requests about accounts, and their answers.

use axum::{Json, extract::State, http::StatusCode};
use garage_domain::FieldError;
use garage_protocol::{ErrorBody, Tokens};
use jiff::Timestamp;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Account, User,
    account::{Registration, clean_email},
    accounts::{self, EMAIL_TAKEN},
    keys::LIFETIME,
    passwords, sessions, store,
};
use crate::{app::App, error::ApiError, http::JsonObject, middleware::forwarded::Client};

const CLOSED: ApiError = ApiError::Forbidden("Registration is closed");

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(me))
        .routes(routes!(public_keys))
}

/// Who somebody is, by their own account.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "for the document: bodies are read field by field, so that every one that is wrong is told"
)]
struct Credentials {
    /// Its spaces are trimmed, its letters made lower case
    #[schema(max_length = 254, format = Email)]
    email: String,
    #[schema(min_length = 10, max_length = 1000)]
    password: String,
}

/// What keeps a log-in going.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "for the document")]
struct RefreshToken {
    refresh_token: String,
}

/// A JWK set (RFC 7517).
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document")]
struct KeySet {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Value>,
}

/// Makes an account. The first always may be made; others where registration is open.
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
    // Looked up before the password is hashed, which is expensive; the store looks again when it adds the account.
    if !own.open_registration && store::has_accounts(&app.store).await? {
        return Err(CLOSED);
    }
    let hash = own.passwords.hash(password).await?;
    let account = match accounts::register(&app.store, email, hash, own.open_registration).await? {
        (account, Registration::Added) => account,
        (_, Registration::Taken) => return Err(ApiError::Conflict(EMAIL_TAKEN)),
        (_, Registration::Closed) => return Err(CLOSED),
    };
    Ok((StatusCode::CREATED, Json(account)))
}

/// Tokens for an email address and its password.
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
    tokens(&app, &account.id, refresh_token).await
}

/// New tokens for a refresh token. It is valid until one of its successors was used; after that it ends the session.
#[utoipa::path(
    post,
    path = "/api/auth/refresh",
    tag = "auth",
    operation_id = "refreshTokens",
    security(()),
    request_body = RefreshToken,
    responses(
        (status = OK, description = "Tokens", body = Tokens),
        (status = UNAUTHORIZED, description = "It is not valid, or no longer", body = ErrorBody)
    )
)]
async fn refresh(State(app): State<App>, JsonObject(body): JsonObject) -> Result<Json<Tokens>, ApiError> {
    let next = sessions::refresh(&app.store, refresh_token(&body)?).await?;
    let (refresh_token, account) = next.ok_or(ApiError::Unauthorized)?;
    tokens(&app, &account, refresh_token).await
}

/// Ends what a log-in led to.
#[utoipa::path(
    post,
    path = "/api/auth/logout",
    tag = "auth",
    operation_id = "logOut",
    security(()),
    request_body = RefreshToken,
    responses((status = NO_CONTENT, description = "It is ended, or was"))
)]
async fn log_out(State(app): State<App>, JsonObject(body): JsonObject) -> Result<StatusCode, ApiError> {
    sessions::end(&app.store, refresh_token(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose token this is.
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

/// The public keys, by which anybody can check this server's tokens.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "auth",
    operation_id = "getKeys",
    security(()),
    responses((status = OK, description = "All keys that are good", body = KeySet))
)]
async fn public_keys(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(app.auth.accounts()?.tokens.public_keys().await))
}

async fn tokens(app: &App, user: &str, refresh_token: String) -> Result<Json<Tokens>, ApiError> {
    let issued = app.auth.accounts()?.tokens.issue(user, Timestamp::now()).await;
    let access_token = issued.map_err(|error| {
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
