//! The error responses of docs/contract.md.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use garage_domain::{FieldError, Invalid};
use garage_protocol::{ErrorBody, WireVehicle};

use crate::store::StoreError;

/// The value of `Retry-After` in responses with the status 503.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request failed. Each variant is an error response.
#[derive(Debug)]
pub enum ApiError {
    /// 400: fields break rules. Never empty.
    Fields(Vec<FieldError>),
    /// 400 with this message.
    BadRequest(String),
    /// 401: the token is missing or invalid.
    Unauthorized,
    /// 401: the email address or the password of a login is wrong.
    WrongCredentials,
    /// 403 with this message.
    Forbidden(&'static str),
    /// 403: the account has reached its quota of vehicles.
    QuotaReached(i64),
    /// 404 with this message.
    NotFound(&'static str),
    /// 405: the route has no such method.
    MethodNotAllowed,
    /// 409 with this message.
    Conflict(&'static str),
    /// 412: the vehicle has another version than the request names. Contains its current state.
    Changed(Box<WireVehicle>),
    /// 413: the body is larger than 1 MiB.
    BodyTooLarge,
    /// 415: the `Content-Type` is not JSON.
    UnsupportedMediaType,
    /// 429: the client can retry after this time.
    TooManyRequests(Duration),
    /// 503: there is no vPIC data to decode with.
    NoDecoder,
    /// 503: the database is unavailable.
    DatabaseUnavailable,
    /// 503: the keys of the external issuer cannot be fetched, and none are cached.
    IssuerUnavailable,
    /// 503: the request timed out.
    TooSlow,
    /// 503: too many requests are handled, or too many large responses are not read yet.
    Busy,
    /// 500: a bug, or a damaged database. The reason is only in the log.
    Internal,
}

impl ApiError {
    /// The vehicle does not exist, or belongs to another user. The response must not reveal which.
    pub const VEHICLE_NOT_FOUND: ApiError = ApiError::NotFound("Vehicle not found");
    pub const DUPLICATE_VIN: ApiError = ApiError::Conflict("Vehicle with this VIN already exists");
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
            StoreError::Unavailable => ApiError::DatabaseUnavailable,
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
            ApiError::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB".to_owned()),
            ApiError::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json".to_owned())
            }
            ApiError::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many requests".to_owned()),
            ApiError::NoDecoder => (StatusCode::SERVICE_UNAVAILABLE, "Decoder unavailable".to_owned()),
            ApiError::DatabaseUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Database unavailable".to_owned()),
            ApiError::IssuerUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Issuer unavailable".to_owned()),
            ApiError::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "Request took too long".to_owned()),
            ApiError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "Server is busy".to_owned()),
            ApiError::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error".to_owned()),
        };
        let retry_after = match &self {
            ApiError::TooManyRequests(time) => Some(*time),
            ApiError::DatabaseUnavailable | ApiError::IssuerUnavailable | ApiError::TooSlow | ApiError::Busy => {
                Some(RETRY_AFTER)
            }
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
        if let Some(time) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(time.as_secs().max(1)));
        }
        if is_unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
