//! Cross-origin requests: which web pages may use this server.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

/// How long a browser may cache the response to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Allows pages of these origins every operation with a token. Cookies are never allowed.
pub fn layer(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Parses the setting `--cors-origin`: an origin as a browser sends it in `Origin` (RFC 6454, 6.1), that is scheme, host
/// and port, without a path. `tauri` is the scheme of the app's own pages on some systems.
///
/// # Errors
/// A message for the operator.
pub fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    let origin = match (url.scheme(), url.host_str()) {
        // A wildcard would be a valid host, and match nothing.
        (_, Some(host)) if host.contains('*') => return Err("each origin must be named in full".to_owned()),
        ("http" | "https", Some(_)) => url.origin().ascii_serialization(),
        ("tauri", Some(host)) => {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("tauri://{}{port}", host.to_ascii_lowercase())
        }
        _ => return Err("an origin begins with http://, https:// or tauri://, and has a host".to_owned()),
    };
    if origin != text {
        return Err(format!("an origin is scheme, host and port, without a path, such as {origin}"));
    }
    HeaderValue::from_str(&origin).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for origin in [
            "https://garage.example.org",
            "http://127.0.0.1:5173",
            "https://[2001:db8::1]:8443",
            "https://xn--mnchen-3ya.example",
            "tauri://localhost",
            "http://tauri.localhost",
        ] {
            assert_eq!(parse_origin(origin).expect(origin), origin);
        }
        for other in [
            "",
            "*",
            "null",
            "garage.example.org",
            "https://",
            "https://garage.example.org/",
            "https://garage.example.org/path",
            "https://garage.example.org?x",
            "https://garage.example.org#x",
            "https://ada@garage.example.org",
            "https://Garage.example.org",
            "https://garage.example.org:443",
            "https://*.example.org",
            "https://münchen.example",
            "tauri://localhost/",
            "tauri://localhost/path",
            "tauri://ada@localhost",
            "tauri://localhost?x",
            "tauri://Localhost",
            "tauri:localhost",
            "file:///etc",
            "data:text/plain,x",
            "javascript://x",
        ] {
            assert!(parse_origin(other).is_err(), "{other}");
        }
        let message = parse_origin("https://garage.example.org/app").expect_err("refused");
        assert!(message.ends_with("such as https://garage.example.org"), "{message}");
    }
}
