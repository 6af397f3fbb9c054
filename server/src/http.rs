//! Parts of requests and responses that several routes share: JSON bodies, query strings, ids, and conditional requests.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use garage_domain::VehicleId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use crate::error::ApiError;

/// A request body that is a JSON object.
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<JsonObject, ApiError> {
        check_json(request.headers())?;
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge,
                _ => ApiError::BadRequest("Request body is not valid JSON".to_owned()),
            }
        })?;
        match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => Ok(JsonObject(object)),
            Ok(_) => Err(ApiError::BadRequest("Request body must be an object".to_owned())),
            Err(_) => Err(ApiError::BadRequest("Request body is not valid JSON".to_owned())),
        }
    }
}

/// Checks that the body is said to be JSON.
pub fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(ApiError::UnsupportedMediaType) }
}

/// The parameters in the query string.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Parameters<T>, ApiError> {
        let parsed = Query::try_from_uri(&parts.uri);
        let Query(parameters) = parsed.map_err(|_| ApiError::BadRequest("Query string is not valid".to_owned()))?;
        Ok(Parameters(parameters))
    }
}

/// The id of the vehicle in the path. A malformed id is answered like an unknown one.
pub struct PathId(pub VehicleId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathId, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await.map_err(|_| ApiError::VEHICLE_NOT_FOUND)?;
        path.parse().map(PathId).map_err(|_| ApiError::VEHICLE_NOT_FOUND)
    }
}

/// The header `If-None-Match`, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
pub struct IfNoneMatch {
    /// The `ETag` that the client has; 304 if it is current
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// The header `If-Match`, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
pub struct IfMatchHeader {
    /// The version that the change is based on, in quotes; 412 if the vehicle has another version
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// The `ETag` of a version.
pub fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The condition `If-Match`, by strong comparison (RFC 9110, 13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// There is no condition.
    Any,
    /// The vehicle must have one of these versions.
    Versions(Vec<i64>),
}

impl IfMatch {
    pub fn from_headers(headers: &HeaderMap) -> IfMatch {
        let tags = tags(headers, &header::IF_MATCH);
        if tags.is_empty() || tags.contains(&"*") {
            return IfMatch::Any;
        }
        let version = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        IfMatch::Versions(tags.iter().filter_map(version).collect())
    }
}

/// Whether `If-None-Match` has this tag, by weak comparison (RFC 9110, 13.1.2).
pub fn is_not_modified(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    tags(headers, &header::IF_NONE_MATCH)
        .iter()
        .any(|known| *known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

/// A response with the status 304.
pub fn not_modified(tag: HeaderValue) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn if_match_compares_strongly() {
        let of = |value| IfMatch::from_headers(&headers(header::IF_MATCH, value));
        assert_eq!([IfMatch::from_headers(&HeaderMap::new()), of("*")], [IfMatch::Any, IfMatch::Any]);
        assert_eq!(of("\"7\""), IfMatch::Versions(vec![7]));
        assert_eq!(of("\"1\", \"7\""), IfMatch::Versions(vec![1, 7]));
        for other in ["W/\"7\"", "7", "\"x\"", "\"7"] {
            assert_eq!(of(other), IfMatch::Versions(Vec::new()), "{other}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let is_not_modified = |value| is_not_modified(&headers(header::IF_NONE_MATCH, value), &etag(7));
        for known in ["\"7\"", "W/\"7\"", "*", "\"1\", \"7\""] {
            assert!(is_not_modified(known), "{known}");
        }
        for other in ["\"6\"", "7", "\"77\"", "w/\"7\""] {
            assert!(!is_not_modified(other), "{other}");
        }
    }
}
