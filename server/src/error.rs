//! Refusals, in the contract's words.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use garage_domain::{FieldError, Invalid};
use garage_protocol::{ErrorBody, WireVehicle};

use crate::store::StoreError;

/// How long a client waits before it asks again where the database or the issuer is away.
const PAUSE: Duration = Duration::from_secs(5);

/// Why a request was not done.
#[derive(Debug)]
pub enum ApiError {
    /// Fields break rules; never empty.
    Fields(Vec<FieldError>),
    /// 400 with this message.
    BadRequest(String),
    /// No token, or not a good one.
    Unauthorized,
    /// 401 with this message, for who is about to get a token.
    WrongCredentials,
    /// 403 with this message.
    Forbidden(&'static str),
    /// 403: the account has as many vehicles, removed ones included, as it may have.
    QuotaReached(i64),
    /// 404 with this message.
    NotFound(&'static str),
    /// 405; these methods are allowed.
    MethodNotAllowed,
    /// 409 with this message.
    Conflict(&'static str),
    /// The vehicle is at another version by now.
    Changed(Box<WireVehicle>),
    /// More than the contract's 1 MiB.
    TooLarge,
    /// The body is no JSON by its own account.
    NotJson,
    /// Ask again after this time.
    TooMany(Duration),
    /// There is no vPIC data to decode with.
    NoDecoder,
    /// The database does not answer.
    DatabaseAway,
    /// The external issuer has never told its keys.
    IssuerAway,
    /// The request took longer than a client waits.
    TooSlow,
    /// The server handles as many requests as it may, or keeps as many large responses.
    Busy,
    /// A mistake of ours; its reason is in the log only.
    Internal,
}

impl ApiError {
    /// The vehicle is not there, or is somebody else's: nobody can tell which.
    pub const NO_VEHICLE: ApiError = ApiError::NotFound("Vehicle not found");
    /// Another live vehicle of the user has the VIN.
    pub const DUPLICATE_VIN: ApiError = ApiError::Conflict("Vehicle with this VIN already exists");
    /// The id is taken.
    pub const USED_ID: ApiError = ApiError::Conflict("This id is already used by another vehicle");
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> ApiError {
        match invalid {
            Invalid::Fields(errors) => ApiError::Fields(errors),
            Invalid::Incomplete(message) => ApiError::BadRequest(message.to_owned()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        match error {
            StoreError::Unavailable => ApiError::DatabaseAway,
            StoreError::Failed => ApiError::Internal,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match &self {
            ApiError::Fields(errors) => {
                (StatusCode::BAD_REQUEST, errors.first().map_or_else(String::new, |error| error.message.clone()))
            }
            ApiError::BadRequest(message) => (StatusCode::BAD_REQUEST, message.clone()),
            ApiError::Unauthorized => (StatusCode::UNAUTHORIZED, "Missing or invalid token".to_owned()),
            ApiError::WrongCredentials => (StatusCode::UNAUTHORIZED, "Wrong email or password".to_owned()),
            ApiError::Forbidden(message) => (StatusCode::FORBIDDEN, (*message).to_owned()),
            ApiError::QuotaReached(quota) => {
                (StatusCode::FORBIDDEN, format!("An account can have at most {quota} vehicles, removed ones included"))
            }
            ApiError::NotFound(message) => (StatusCode::NOT_FOUND, (*message).to_owned()),
            ApiError::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".to_owned()),
            ApiError::Conflict(message) => (StatusCode::CONFLICT, (*message).to_owned()),
            ApiError::Changed(_) => (StatusCode::PRECONDITION_FAILED, "The vehicle has changed".to_owned()),
            ApiError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB".to_owned()),
            ApiError::NotJson => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json".to_owned())
            }
            ApiError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many requests".to_owned()),
            ApiError::NoDecoder => (StatusCode::SERVICE_UNAVAILABLE, "Decoder unavailable".to_owned()),
            ApiError::DatabaseAway => (StatusCode::SERVICE_UNAVAILABLE, "Database unavailable".to_owned()),
            ApiError::IssuerAway => (StatusCode::SERVICE_UNAVAILABLE, "Issuer unavailable".to_owned()),
            ApiError::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "Request took too long".to_owned()),
            ApiError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Server is busy".to_owned()),
            ApiError::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error".to_owned()),
        };
        let wait = match &self {
            ApiError::TooMany(wait) => Some(*wait),
            ApiError::DatabaseAway | ApiError::IssuerAway | ApiError::TooSlow | ApiError::Busy => Some(PAUSE),
            _ => None,
        };
        let is_unauthorized = matches!(self, ApiError::Unauthorized);
        let (details, current) = match self {
            ApiError::Fields(errors) => (Some(errors), None),
            ApiError::Changed(vehicle) => (None, Some(vehicle)),
            _ => (None, None),
        };
        let error = status.canonical_reason().unwrap_or_default().to_owned();
        let body = ErrorBody { status_code: status.as_u16(), error, message, details, current };
        let mut response = (status, Json(body)).into_response();
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if is_unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
