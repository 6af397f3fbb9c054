//! The URL of a server, in one spelling.

use std::fmt;

use url::{Host, Url};

use super::SessionError;
use crate::http::Proxy;

/// Whether secrets may be sent to a server without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unencrypted {
    /// Only to this device itself.
    #[default]
    Refuse,
    /// To any server. Anybody on the way can read and change passwords, tokens and vehicles.
    Allow,
}

/// A scheme (`https` or `http`), a host and a port that is not the scheme's default: `https://garage.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    text: String,
    is_encrypted: bool,
    is_loopback: bool,
}

impl ServerUrl {
    /// Parses and normalizes a URL.
    ///
    /// # Errors
    /// [`SessionError::InvalidServer`]; [`SessionError::Unencrypted`] for an `http` URL of another device, unless it is
    /// allowed.
    pub fn parse(text: &str, unencrypted: Unencrypted) -> Result<ServerUrl, SessionError> {
        let invalid = |reason| Err(SessionError::InvalidServer(reason));
        let Ok(url) = Url::parse(text.trim()) else { return invalid("this is none") };
        if !matches!(url.scheme(), "https" | "http") {
            return invalid("it must begin with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid("it must not contain a user name or a password");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return invalid("it must end after the host or the port");
        }
        let (is_loopback, host) = match url.host() {
            Some(Host::Domain(name)) => (name == "localhost", name.to_owned()),
            Some(Host::Ipv4(address)) => (address.is_loopback(), address.to_string()),
            Some(Host::Ipv6(address)) => (address.is_loopback(), address.to_string()),
            None => return invalid("it has no host"),
        };
        let is_encrypted = url.scheme() == "https";
        let server = ServerUrl { text: url.origin().ascii_serialization(), is_encrypted, is_loopback };
        if server.is_exposed() && unencrypted == Unencrypted::Refuse {
            return Err(SessionError::Unencrypted(host));
        }
        Ok(server)
    }

    /// The URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether others can read what is sent to the server.
    pub fn is_exposed(&self) -> bool {
        !self.is_encrypted && !self.is_loopback
    }

    /// An unencrypted request to this device must not be sent to a proxy, which is another device.
    pub fn proxy(&self) -> Proxy {
        if self.is_loopback { Proxy::Never } else { Proxy::System }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServerUrl, SessionError> {
        ServerUrl::parse(text, Unencrypted::Refuse)
    }

    #[test]
    fn url_has_one_spelling() {
        for (text, expected) in [
            ("https://garage.example.org", "https://garage.example.org"),
            (" HTTPS://Garage.Example.ORG:443/ ", "https://garage.example.org"),
            ("https://garage.example.org:8443/", "https://garage.example.org:8443"),
            ("https://gärage.example", "https://xn--grage-gra.example"),
            ("http://127.0.0.1:3001/", "http://127.0.0.1:3001"),
            ("http://[::1]:3001", "http://[::1]:3001"),
            ("http://LOCALHOST", "http://localhost"),
        ] {
            assert_eq!(parse(text).map(|url| url.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_only_scheme_host_and_port_is_refused() {
        for text in [
            "",
            "garage.example.org",
            "ftp://garage.example.org",
            "https://",
            "https://ada@garage.example.org",
            "https://:secret@garage.example.org",
            "https://garage.example.org/api",
            "https://garage.example.org/?q",
            "https://garage.example.org/#a",
            "https://garage.example.org:99999",
        ] {
            assert!(matches!(parse(text), Err(SessionError::InvalidServer(_))), "{text}");
        }
    }

    #[test]
    fn http_to_another_device_needs_permission() {
        for text in
            ["http://garage.example.org", "http://192.168.1.2:3001", "http://localhost.example.org", "http://0.0.0.0"]
        {
            assert!(matches!(parse(text), Err(SessionError::Unencrypted(_))), "{text}");
            let allowed = ServerUrl::parse(text, Unencrypted::Allow).expect("allowed");
            assert!(allowed.is_exposed() && allowed.proxy() == Proxy::System, "{text}");
        }
        let here = parse("http://127.8.9.10").expect("this device");
        assert!(!here.is_exposed() && here.proxy() == Proxy::Never);
    }
}
