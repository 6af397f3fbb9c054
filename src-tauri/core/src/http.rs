//! Requests to the server, with limits on time and on the size of a response.
//!
//! Redirects are not followed: a response with a redirect is returned as it is, so that no password or token goes to
//! another address than the one that the user named.

use std::{error::Error, io, net::Ipv4Addr, net::Ipv6Addr, time::Duration};

use reqwest::{
    RequestBuilder, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
    redirect,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The default time limit of a request, its response included. [`RequestBuilder::timeout`] sets another one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no complete response. A status that is not a success is not an error here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection: the device is offline, the name is unknown, or the server is down.
    #[error("it cannot be reached: {0}")]
    Offline(String),
    /// The time limit of the connection or of the request has passed.
    #[error("it did not answer in time")]
    TimedOut,
    /// The server's certificate is not valid, or the server does not speak TLS.
    #[error("no secure connection to it is possible: {0}")]
    Tls(String),
    /// The response is larger than this many bytes.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection was closed before the end of the response, or the response is not HTTP.
    #[error("the connection to it broke off: {0}")]
    BrokenOff(String),
    /// The request cannot be sent, because this program made it wrongly.
    #[error("the request could not be made: {0}")]
    NotSent(String),
}

impl HttpError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            HttpError::Offline(_) | HttpError::TimedOut | HttpError::BrokenOff(_) => true,
            HttpError::Tls(_) | HttpError::TooLarge(_) | HttpError::NotSent(_) => false,
        }
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    /// The status, which may be an error's.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The content, decompressed.
    pub body: Vec<u8>,
}

impl Response {
    /// The seconds of `Retry-After`, at most a day. A date is ignored: it needs clocks that agree.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        const LONGEST: u64 = 24 * 60 * 60;
        let seconds: u64 = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(LONGEST)))
    }
}

/// Whether a connection may go through the system's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    /// The proxy of the system or of the environment is used.
    System,
    /// The connection is direct, and `localhost` is this device regardless of DNS: for unencrypted requests that must
    /// not leave the device.
    Never,
}

/// An HTTP client. Clones share its connections.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client with MotoVault's user agent.
    ///
    /// # Errors
    /// [`HttpError::Tls`] if TLS cannot be set up.
    pub fn new(proxy: Proxy) -> Result<HttpClient, HttpError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("MotoVault/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .gzip(true);
        if proxy == Proxy::Never {
            // The port 0 stands for the URL's port.
            let here = [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
            builder = builder.no_proxy().resolve_to_addrs("localhost", &here);
        }
        builder.build().map(HttpClient).map_err(|error| HttpError::Tls(deepest(&error)))
    }

    /// Starts a request; [`HttpClient::send`] sends it.
    pub fn request(&self, method: reqwest::Method, url: &str) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends a request and reads the whole response, up to `largest_body` bytes after decompression.
    ///
    /// # Errors
    /// Any [`HttpError`]. After `Offline`, `Tls` and `NotSent` the server has not processed the request; after the others
    /// it may have.
    pub async fn send(&self, request: RequestBuilder, largest_body: usize) -> Result<Response, HttpError> {
        let request = request.build().map_err(classify)?;
        let mut response = self.0.execute(request).await.map_err(classify)?;
        let announced = response.content_length().unwrap_or_default();
        if usize::try_from(announced).map_or(true, |announced| announced > largest_body) {
            return Err(HttpError::TooLarge(largest_body));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > largest_body {
                return Err(HttpError::TooLarge(largest_body));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}

fn classify(error: reqwest::Error) -> HttpError {
    // The URL is known to the caller, and must not be in messages twice.
    let error = error.without_url();
    let reason = deepest(&error);
    if error.is_timeout() {
        HttpError::TimedOut
    } else if error.is_builder() {
        HttpError::NotSent(reason)
    } else if error.is_connect() {
        if is_about_tls(&error) { HttpError::Tls(reason) } else { HttpError::Offline(reason) }
    } else {
        HttpError::BrokenOff(reason)
    }
}

/// Whether the TLS handshake failed: rustls reports that as an I/O error about invalid data.
fn is_about_tls(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The message of the last cause, which names the reason; the others only say that a request failed.
fn deepest(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    // The source of an I/O error is not the error that it contains, but that error's source.
    let next = |cause: &&'a (dyn Error + 'static)| match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
    {
        Some(contained) => Some(contained as &(dyn Error + 'static)),
        None => (*cause).source(),
    };
    std::iter::successors(error.source(), next)
}
