//! `sync.v1` over HTTP, with the tokens of a session.

use garage_protocol::{
    ErrorBody,
    sync::{SyncRequest, SyncResponse},
};
use reqwest::{Method, StatusCode, header::AUTHORIZATION};

use super::{Remote, RemoteError};
use crate::{
    AccessToken, Session, SessionError,
    http::{HttpError, Response},
};

/// The largest response: a page of 1 MiB, the results of 500 operations, and an audit.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

impl Remote for Session {
    async fn exchange(&self, request: &SyncRequest) -> Result<SyncResponse, RemoteError> {
        let token = self.access_token().await.map_err(of_session)?;
        let response = self.post(request, &token).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return read(response);
        }
        // The token may have ended before its time: a new one is tried once.
        let token = self.refused(&token).await.map_err(of_session)?;
        let response = self.post(request, &token).await?;
        if response.status == StatusCode::UNAUTHORIZED { Err(RemoteError::SignedOut) } else { read(response) }
    }
}

impl Session {
    async fn post(&self, request: &SyncRequest, token: &AccessToken) -> Result<Response, RemoteError> {
        let url = format!("{}/api/sync", self.server());
        let request = self.http().request(Method::POST, &url).header(AUTHORIZATION, token.header()).json(request);
        self.http().send(request, MAX_RESPONSE_BYTES).await.map_err(of_http)
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

fn of_http(error: HttpError) -> RemoteError {
    match &error {
        HttpError::Offline(_) | HttpError::TimedOut | HttpError::Tls(_) | HttpError::NotSent(_) => {
            RemoteError::Offline(error.to_string())
        }
        HttpError::TooLarge(_) | HttpError::BrokenOff(_) => RemoteError::Unreadable(error.to_string()),
    }
}

fn read(response: Response) -> Result<SyncResponse, RemoteError> {
    let message = || match serde_json::from_slice::<ErrorBody>(&response.body) {
        Ok(body) => body.message,
        Err(_) => format!("status {}", response.status),
    };
    match response.status {
        StatusCode::OK => {
            serde_json::from_slice(&response.body).map_err(|error| RemoteError::Unreadable(error.to_string()))
        }
        StatusCode::CONFLICT => Err(RemoteError::OtherAccount),
        StatusCode::FORBIDDEN => Err(RemoteError::Forbidden(message())),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Err(RemoteError::Refused(message()))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(RemoteError::Unreadable("it has no route for sync".to_owned()))
        }
        _ => Err(RemoteError::Unavailable { message: message(), retry_after: response.retry_after() }),
    }
}
