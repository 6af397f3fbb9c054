//! The client's address, from `X-Forwarded-For` if the request comes from a trusted proxy.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use ipnet::IpNet;

use crate::{app::App, error::ApiError};

/// Networks of this size are assigned to homes (RFC 6177), so whoever has one IPv6 address has the others of its network.
const IPV6_NETWORK_BITS: u32 = 56;

/// The address of a request's client; of IPv6 its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

impl FromRequestParts<App> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Client, ApiError> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().ok_or(ApiError::Internal)?.0.ip();
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        Ok(Client(network(address(peer, &hops, &app.trusted_proxies))))
    }
}

/// The last address that no trusted proxy has: everything before it in `X-Forwarded-For` may be made up.
fn address(peer: IpAddr, hops: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.to_canonical();
    for hop in hops.iter().rev() {
        if !trusted.iter().any(|network| network.contains(&address)) {
            break;
        }
        let hop = hop.trim();
        let parsed = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
        let Ok(previous) = parsed else { break };
        address = IpAddr::to_canonical(&previous);
    }
    address
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let host = u128::MAX >> IPV6_NETWORK_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")];
        let of = |peer: &str, hops: &[&str]| address(peer.parse().expect("an address"), hops, &trusted).to_string();
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a stranger says what it likes");
        assert_eq!(of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("10.0.0.1", &["203.0.113.9", " 198.51.100.7", "10.0.0.2"]), "198.51.100.7");
        assert_eq!(of("::ffff:10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &["198.51.100.7", "unknown"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            network("2001:db8:1:2ff:3:4:5:6".parse().expect("one")),
            "2001:db8:1:200::".parse::<IpAddr>().expect("one")
        );
    }
}
