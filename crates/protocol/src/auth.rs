//! Types of the routes under `/api/auth`. Those with a password or a token are redacted in `Debug` output.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An email address and a password.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credentials {
    /// Trimmed and lower-cased by the server
    #[cfg_attr(feature = "openapi", schema(max_length = 254, format = Email))]
    pub email: String,
    #[cfg_attr(feature = "openapi", schema(min_length = 10, max_length = 1000))]
    #[expect(missing_docs, reason = "the OpenAPI document needs no description of it")]
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("email", &self.email).finish_non_exhaustive()
    }
}

/// A refresh token.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefreshToken {
    #[expect(missing_docs, reason = "the OpenAPI document needs no description of it")]
    pub refresh_token: String,
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RefreshToken").finish_non_exhaustive()
    }
}

/// The response of `POST /api/auth/login` and `/refresh`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The bearer token for all other requests.
    pub access_token: String,
    /// The refresh token. The next refresh replaces it.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// The lifetime of the access token in seconds.
    pub expires_in: u64,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The id of the account; the `userId` of its vehicles.
    pub id: String,
    /// The email address, in lower case.
    pub email: String,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When the account was disabled; null if it is not.
    pub disabled_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_password_and_no_token() {
        let credentials = Credentials { email: "ada@example.org".to_owned(), password: "hidden".to_owned() };
        let refresh = RefreshToken { refresh_token: "hidden".to_owned() };
        let hidden = || "hidden".to_owned();
        let tokens = Tokens {
            access_token: hidden(),
            refresh_token: hidden(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
        };
        let text = format!("{credentials:?} {refresh:?} {tokens:?}");
        assert!(text.contains("ada@example.org") && text.contains("900"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}
