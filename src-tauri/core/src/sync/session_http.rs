//! Requests with the tokens of a session, and what their failures mean for sync.

use garage_protocol::ErrorBody;
use reqwest::{Method, RequestBuilder, StatusCode, header::AUTHORIZATION};

use super::RemoteError;
use crate::{
    Session, SessionError,
    http::{HttpError, Response},
};

impl Session {
    /// Starts a request to a path of the server.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http().request(method, &format!("{}{path}", self.server()))
    }

    /// Sends a request with an access token. After a 401 it is sent once more with a new one.
    pub(super) async fn send(&self, request: RequestBuilder, largest_body: usize) -> Result<Response, RemoteError> {
        let again = request.try_clone();
        let token = self.access_token().await.map_err(of_session)?;
        let request = request.header(AUTHORIZATION, token.header());
        let response = self.http().send(request, largest_body).await.map_err(of_http)?;
        let (StatusCode::UNAUTHORIZED, Some(again)) = (response.status, again) else { return Ok(response) };
        // The token may have ended before its time.
        let token = self.refused(&token).await.map_err(of_session)?;
        let request = again.header(AUTHORIZATION, token.header());
        let response = self.http().send(request, largest_body).await.map_err(of_http)?;
        if response.status == StatusCode::UNAUTHORIZED { Err(RemoteError::SignedOut) } else { Ok(response) }
    }
}

pub(super) fn of_session(error: SessionError) -> RemoteError {
    match error {
        SessionError::SignedOut | SessionError::Ended | SessionError::TokenRefused => RemoteError::SignedOut,
        SessionError::Unreachable { .. } => RemoteError::Offline(error.to_string()),
        SessionError::OtherAccount { .. } => RemoteError::OtherAccount,
        error => RemoteError::Unavailable { message: error.to_string(), retry_after: None },
    }
}

pub(super) fn of_http(error: HttpError) -> RemoteError {
    match &error {
        HttpError::Offline(_) | HttpError::TimedOut | HttpError::Tls(_) | HttpError::NotSent(_) => {
            RemoteError::Offline(error.to_string())
        }
        HttpError::TooLarge(_) | HttpError::BrokenOff(_) => RemoteError::Unreadable(error.to_string()),
    }
}

/// The error of a status that says nothing about the request.
pub(super) fn failure(response: &Response) -> RemoteError {
    RemoteError::Unavailable { message: message(response), retry_after: response.retry_after() }
}

/// The server's message, or the status.
pub(super) fn message(response: &Response) -> String {
    match serde_json::from_slice::<ErrorBody>(&response.body) {
        Ok(body) => body.message,
        Err(_) => format!("status {}", response.status),
    }
}
