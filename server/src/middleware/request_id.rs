//! The header `x-request-id`, by which a response is found in the log. A client or proxy may choose it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

/// The header's name.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client, in bytes: enough for those of common proxies and tracing systems.
const MAX_LENGTH: usize = 128;

/// The client's id if it is one valid id, else a new one.
pub fn of(headers: &HeaderMap) -> HeaderValue {
    let mut ids = headers.get_all(HEADER).iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) if is_valid(id) => id.clone(),
        _ => new(),
    }
}

/// A random UUID.
fn new() -> HeaderValue {
    let id = Builder::from_random_bytes(rand::random()).into_uuid();
    let text = id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none"))
}

fn is_valid(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=/+".contains(byte);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_only_if_it_is_short_and_of_harmless_characters() {
        let kept = |ids: &[&[u8]]| {
            let value = |id: &&[u8]| (HEADER, HeaderValue::from_bytes(id).expect("a value"));
            let kept = of(&HeaderMap::from_iter(ids.iter().map(value)));
            assert!(is_valid(&kept));
            ids.contains(&kept.as_bytes())
        };
        let (longest, too_long) = ([b'a'; MAX_LENGTH], [b'a'; MAX_LENGTH + 1]);
        for id in [
            &b"mine-7"[..],
            b"0198c1f2-7e54-7bb1-8c0b-2f6f2f0a9d11",
            b"Root=1-67891233-abcdef012345678912345678",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &longest,
        ] {
            assert!(kept(&[id]), "{id:?}");
        }
        for id in [&b""[..], b"a b", b"a\tb", b"a\"b", b"<a>", b"a{b}", "ä".as_bytes(), b"\xff", &too_long] {
            assert!(!kept(&[id]), "{id:?}");
        }
        assert!(!kept(&[b"one", b"two"]));
        assert!(!kept(&[]));
    }
}
