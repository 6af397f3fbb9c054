//! A server over HTTP, with the tokens of a session: `sync.v1`, or else plain REST.

use std::time::Duration;

use garage_protocol::sync::{Changed, SyncRequest, SyncResponse};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Exchange, Remote, RemoteError, Scope, plain,
    session_http::{failure, message, of_http},
};
use crate::{Session, http::Response};

/// The largest response: a page of 1 MiB, the results of 500 operations, and an audit.
const MAX_RESPONSE_BYTES: usize = 8 << 20;
/// The largest response of the health route.
const MAX_HEALTH_BYTES: usize = 64 << 10;
/// The time limit of the health route, which looks at the database for 3 seconds.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit of a wait for changes, which the server ends after 55 seconds.
const CHANGES_TIMEOUT: Duration = Duration::from_secs(70);
/// The largest response to a wait.
const MAX_CHANGES_BYTES: usize = 4 << 10;

/// What this device reads of the health route.
#[derive(Deserialize)]
struct Health {
    capabilities: Vec<String>,
}

impl Remote for Session {
    async fn scope(&self) -> Result<Scope, RemoteError> {
        let request = self.request(Method::GET, "/api/health").timeout(HEALTH_TIMEOUT);
        let response = self.http().send(request, MAX_HEALTH_BYTES).await.map_err(of_http)?;
        if response.status != StatusCode::OK {
            return Err(failure(&response));
        }
        let health = serde_json::from_slice::<Health>(&response.body);
        let health = health.map_err(|error| RemoteError::Unreadable(error.to_string()))?;
        let scope = Scope::of_capabilities(&health.capabilities);
        if scope.is_nothing() {
            return Err(RemoteError::Unreadable("it takes no records".to_owned()));
        }
        Ok(scope)
    }

    async fn exchange(&self, exchange: &Exchange) -> Result<SyncResponse, RemoteError> {
        match exchange.scope() {
            Scope::Everything => self.exchange_everything(exchange.request()).await,
            Scope::Fields(_) => plain::exchange(self, exchange).await,
        }
    }
}

impl Session {
    async fn exchange_everything(&self, request: &SyncRequest) -> Result<SyncResponse, RemoteError> {
        let request = self.request(Method::POST, "/api/sync").json(request);
        read(&self.send(request, MAX_RESPONSE_BYTES).await?)
    }

    /// Waits until records of the account have changed after this cursor, or some time has passed. Returns whether they
    /// have.
    ///
    /// # Errors
    /// [`RemoteError::NotEverything`] if the server cannot say; others as of exchanges.
    pub(super) async fn wait_for_changes(&self, cursor: &str) -> Result<bool, RemoteError> {
        let request = self.request(Method::GET, "/api/sync/changes").query(&[("after", cursor)]);
        let response = self.send(request.timeout(CHANGES_TIMEOUT), MAX_CHANGES_BYTES).await?;
        Ok(read::<Changed>(&response)?.changed)
    }
}

fn read<T: DeserializeOwned>(response: &Response) -> Result<T, RemoteError> {
    match response.status {
        StatusCode::OK => {
            serde_json::from_slice(&response.body).map_err(|error| RemoteError::Unreadable(error.to_string()))
        }
        StatusCode::CONFLICT => Err(RemoteError::OtherAccount),
        StatusCode::FORBIDDEN => Err(RemoteError::Forbidden(message(response))),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Err(RemoteError::Refused(message(response)))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(RemoteError::NotEverything),
        _ => Err(failure(response)),
    }
}
