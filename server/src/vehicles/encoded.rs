//! A cache of encoded and compressed lists. Most requests for a list find it unchanged, and encoding and compressing it takes
//! longer than the rest of the request.
//!
//! A cached list is valid while the user's feed has its version. A version never stands for two states, so nothing else
//! invalidates a list.

use std::{
    io::Write,
    sync::{Arc, OnceLock},
};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use garage_protocol::WireVehicle;
use quick_cache::{Weighter, sync::Cache};

/// The maximum size of all cached lists.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// The expected size of a list, some 20 vehicles.
const EXPECTED_LIST_BYTES: u64 = 16 * 1024;
/// Larger lists are compressed while they are sent, so that compressing them does not block other requests.
const MAX_COMPRESSED_BYTES: usize = 256 * 1024;
const ZSTD_LEVEL: i32 = 3;

/// Cached lists by user.
pub struct EncodedLists(Cache<String, Arc<EncodedList>, SizeInBytes>);

/// A list of vehicles at a version of its user's feed, in JSON and lazily compressed.
pub struct EncodedList {
    version: i64,
    json: Bytes,
    zstd: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
}

#[derive(Clone)]
struct SizeInBytes;

impl Weighter<String, Arc<EncodedList>> for SizeInBytes {
    /// Counts the compressed forms as half of the JSON.
    fn weight(&self, user: &String, list: &Arc<EncodedList>) -> u64 {
        (user.len() + list.json.len() + list.json.len() / 2 + size_of::<EncodedList>()) as u64
    }
}

impl EncodedLists {
    pub fn new() -> EncodedLists {
        let lists = usize::try_from(CACHE_BYTES / EXPECTED_LIST_BYTES).unwrap_or(usize::MAX);
        EncodedLists(Cache::with_weighter(lists, CACHE_BYTES, SizeInBytes))
    }

    /// Returns the user's list if it is cached at this version.
    pub fn get(&self, user: &str, version: i64) -> Option<Arc<EncodedList>> {
        self.0.get(user).filter(|list| list.version == version)
    }

    /// Encodes a list and caches it.
    pub fn insert(&self, user: &str, version: i64, vehicles: &[WireVehicle]) -> serde_json::Result<Arc<EncodedList>> {
        let json = serde_json::to_vec(vehicles)?.into();
        let list = Arc::new(EncodedList { version, json, zstd: OnceLock::new(), gzip: OnceLock::new() });
        self.0.insert(user.to_owned(), list.clone());
        Ok(list)
    }
}

impl EncodedList {
    pub fn version(&self) -> i64 {
        self.version
    }

    /// A response with the list, in an encoding that the request's headers accept.
    pub fn response(&self, headers: &HeaderMap) -> Response {
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        let encoded = |name: &'static str, body: &Bytes| {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static(name));
            ([json.clone(), vary.clone(), encoding], body.clone()).into_response()
        };
        let accepted = AcceptedEncodings::from_headers(headers);
        if self.json.len() <= MAX_COMPRESSED_BYTES {
            if accepted.zstd {
                let zstd = || zstd::encode_all(&self.json[..], ZSTD_LEVEL).map_or_else(|_| Bytes::new(), Bytes::from);
                let body = self.zstd.get_or_init(zstd);
                if !body.is_empty() {
                    return encoded("zstd", body);
                }
            } else if accepted.gzip {
                let body = self.gzip.get_or_init(|| gzip(&self.json).map_or_else(|_| Bytes::new(), Bytes::from));
                if !body.is_empty() {
                    return encoded("gzip", body);
                }
            }
        }
        ([json, vary], self.json.clone()).into_response()
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The encodings that a client accepts (RFC 9110, 12.5.3). Preferences among them are ignored.
struct AcceptedEncodings {
    zstd: bool,
    gzip: bool,
}

impl AcceptedEncodings {
    fn from_headers(headers: &HeaderMap) -> AcceptedEncodings {
        let mut accepted = AcceptedEncodings { zstd: false, gzip: false };
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse::<f32>().ok());
            if weight.is_none_or(|weight| weight > 0.0) {
                accepted.zstd |= name.eq_ignore_ascii_case("zstd");
                accepted.gzip |= name.eq_ignore_ascii_case("gzip");
            }
        }
        accepted
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn headers(accepted: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec()
    }

    #[tokio::test]
    async fn a_list_is_sent_in_an_encoding_that_the_client_accepts() {
        let lists = EncodedLists::new();
        let list = lists.insert("ada", 7, &[]).expect("encoded");
        for (accepted, encoding) in [
            ("", None),
            ("br", None),
            ("gzip", Some("gzip")),
            ("gzip;q=0, zstd;q=0", None),
            ("gzip;q=0.5, ZSTD", Some("zstd")),
            ("identity, gzip;q=1", Some("gzip")),
        ] {
            let response = list.response(&headers(accepted));
            let sent = response.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text"));
            assert_eq!(sent, encoding, "{accepted}");
            let encoding = sent.map(str::to_owned);
            let body = body(response).await;
            let decoded = match encoding.as_deref() {
                Some("zstd") => zstd::decode_all(&body[..]).expect("zstd"),
                Some(_) => {
                    let mut decoded = Vec::new();
                    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut decoded).expect("gzip");
                    decoded
                }
                None => body,
            };
            assert_eq!(decoded, b"[]", "{accepted}");
        }
    }

    #[test]
    fn a_list_is_returned_only_for_its_version_and_user() {
        let lists = EncodedLists::new();
        lists.insert("ada", 7, &[]).expect("encoded");
        assert!(lists.get("ada", 7).is_some_and(|list| list.version() == 7));
        assert!(lists.get("ada", 8).is_none() && lists.get("bob", 7).is_none());
        lists.insert("ada", 8, &[]).expect("encoded");
        assert!(lists.get("ada", 7).is_none() && lists.get("ada", 8).is_some());
    }
}
