//! The requests to the server's routes under `/api/auth`.

use garage_domain::FieldError;
use garage_protocol::{Account, Credentials, ErrorBody, RefreshToken, Tokens};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, StatusCode, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{
    SessionError,
    server_url::ServerUrl,
    token::{AccessToken, TokenPair},
};
use crate::http::{HttpClient, HttpError, Response};

/// Responses have less than 4 KiB.
const LARGEST_RESPONSE: usize = 64 * 1024;
/// Longer messages of a server are cut, and further ones left out.
const LONGEST_MESSAGE: usize = 200;
const MOST_MESSAGES: usize = 10;

/// The routes of a server.
#[derive(Debug, Clone)]
pub(super) struct AuthApi {
    pub http: HttpClient,
    pub server: ServerUrl,
}

impl AuthApi {
    pub fn new(server: ServerUrl) -> Result<AuthApi, SessionError> {
        let http = HttpClient::new(server.proxy()).map_err(|source| unreachable(&server, source))?;
        Ok(AuthApi { http, server })
    }

    pub async fn register(&self, email: &str, password: &SecretString) -> Result<(), SessionError> {
        let response = self.send(self.post("register").json(&credentials(email, password))).await?;
        match response.status {
            StatusCode::CREATED => Ok(()),
            StatusCode::FORBIDDEN => Err(SessionError::RegistrationClosed),
            StatusCode::CONFLICT => Err(SessionError::EmailTaken),
            _ => Err(self.refusal(&response)),
        }
    }

    pub async fn log_in(
        &self,
        email: &str,
        password: &SecretString,
        now: impl Fn() -> Timestamp,
    ) -> Result<TokenPair, SessionError> {
        let response = self.send(self.post("login").json(&credentials(email, password))).await?;
        match response.status {
            StatusCode::OK => self.tokens(&response, now()),
            StatusCode::UNAUTHORIZED => Err(SessionError::WrongCredentials),
            _ => Err(self.refusal(&response)),
        }
    }

    /// Exchanges a refresh token. Returns `None` if the server refuses it.
    pub async fn refresh(
        &self,
        token: &SecretString,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<TokenPair>, SessionError> {
        let response = self.send(self.post("refresh").json(&refresh_token(token))).await?;
        match response.status {
            StatusCode::OK => self.tokens(&response, now()).map(Some),
            StatusCode::UNAUTHORIZED => Ok(None),
            _ => Err(self.refusal(&response)),
        }
    }

    /// Ends the session of a refresh token.
    pub async fn log_out(&self, token: &SecretString) -> Result<(), SessionError> {
        let response = self.send(self.post("logout").json(&refresh_token(token))).await?;
        if response.status == StatusCode::NO_CONTENT { Ok(()) } else { Err(self.refusal(&response)) }
    }

    /// The account of an access token.
    pub async fn account(&self, token: &AccessToken) -> Result<Account, SessionError> {
        let request = self.request(Method::GET, "me").header(AUTHORIZATION, token.header());
        let response = self.send(request).await?;
        match response.status {
            StatusCode::OK => self.body(&response).and_then(|account: Account| {
                let is_id = |text: &str| (1..=255).contains(&text.len()) && !text.contains(char::is_control);
                let is_possible = is_id(&account.id) && is_id(&account.email);
                if is_possible { Ok(account) } else { Err(self.not_a_server("the account is not valid")) }
            }),
            StatusCode::UNAUTHORIZED => Err(SessionError::TokenRefused),
            _ => Err(self.refusal(&response)),
        }
    }

    fn request(&self, method: Method, route: &str) -> RequestBuilder {
        self.http.request(method, &format!("{}/api/auth/{route}", self.server))
    }

    fn post(&self, route: &str) -> RequestBuilder {
        self.request(Method::POST, route)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, SessionError> {
        self.http.send(request, LARGEST_RESPONSE).await.map_err(|source| unreachable(&self.server, source))
    }

    fn tokens(&self, response: &Response, now: Timestamp) -> Result<TokenPair, SessionError> {
        let tokens: Tokens = self.body(response)?;
        TokenPair::received(tokens, now).ok_or_else(|| self.not_a_server("the tokens are not valid"))
    }

    fn body<T: DeserializeOwned>(&self, response: &Response) -> Result<T, SessionError> {
        // The parser's message could quote a token.
        serde_json::from_slice(&response.body).map_err(|_| self.not_a_server("its answer is not the expected JSON"))
    }

    /// The error of a status that the route does not define itself.
    fn refusal(&self, response: &Response) -> SessionError {
        let details = || serde_json::from_slice::<ErrorBody>(&response.body).ok()?.details;
        match response.status {
            StatusCode::TOO_MANY_REQUESTS => SessionError::TooManyAttempts(response.retry_after()),
            StatusCode::NOT_FOUND => SessionError::NoAccounts(self.server.to_string()),
            StatusCode::BAD_REQUEST => match details() {
                Some(details) if !details.is_empty() => SessionError::Invalid(bounded(details)),
                _ => self.not_a_server("status 400"),
            },
            status if status.is_server_error() => SessionError::Unavailable {
                server: self.server.to_string(),
                status: status.as_u16(),
                retry_after: response.retry_after(),
            },
            status => self.not_a_server(&format!("status {}", status.as_u16())),
        }
    }

    fn not_a_server(&self, reason: &str) -> SessionError {
        SessionError::NotAServer { server: self.server.to_string(), reason: reason.to_owned() }
    }
}

pub(super) fn unreachable(server: &ServerUrl, source: HttpError) -> SessionError {
    SessionError::Unreachable { server: server.to_string(), source }
}

fn credentials(email: &str, password: &SecretString) -> Credentials {
    Credentials { email: email.to_owned(), password: password.expose_secret().to_owned() }
}

fn refresh_token(token: &SecretString) -> RefreshToken {
    RefreshToken { refresh_token: token.expose_secret().to_owned() }
}

fn bounded(details: Vec<FieldError>) -> Vec<FieldError> {
    let cut = |text: String| text.chars().take(LONGEST_MESSAGE).collect();
    let one = |error: FieldError| FieldError { field: cut(error.field), message: cut(error.message) };
    details.into_iter().take(MOST_MESSAGES).map(one).collect()
}
