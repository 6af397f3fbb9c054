//! A list in JSON. A small one is kept as it is; a large one is compressed while it is read from the database, because
//! clients that read slowly would otherwise fill the memory.

use std::{
    io::{self, Write},
    sync::OnceLock,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use garage_protocol::WireVehicle;
use zstd::zstd_safe::CParameter;

use super::decompressed::Decompressed;
use crate::middleware::response_memory::StreamedBody;

/// A list above this size is large.
const SMALL_JSON_BYTES: usize = 256 * 1024;
const ZSTD_LEVEL: i32 = 3;
/// The binary logarithm of the window of a large list: each client that receives it decompressed needs as much memory.
const ZSTD_WINDOW_LOG: u32 = 17;

/// A list of vehicles in JSON, at a version of its user's feed.
pub struct EncodedList {
    version: i64,
    content: Content,
}

enum Content {
    /// The compressed forms are made at the first request for them.
    Small {
        json: Bytes,
        zstd: OnceLock<Bytes>,
        gzip: OnceLock<Bytes>,
    },
    Large {
        zstd: Bytes,
        json_bytes: u64,
    },
}

/// Encodes vehicles one after the other. Memory is limited by [`SMALL_JSON_BYTES`] and the compressed size.
pub struct ListEncoder {
    /// What is not compressed yet.
    json: Vec<u8>,
    /// From the moment on when the list is large.
    compressed: Option<Compressed>,
    is_empty: bool,
    error: Option<io::Error>,
}

struct Compressed {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    json_bytes: u64,
}

impl Default for ListEncoder {
    fn default() -> ListEncoder {
        ListEncoder { json: vec![b'['], compressed: None, is_empty: true, error: None }
    }
}

impl Extend<WireVehicle> for ListEncoder {
    /// Keeps the first error for `finish`.
    fn extend<I: IntoIterator<Item = WireVehicle>>(&mut self, vehicles: I) {
        for vehicle in vehicles {
            if self.error.is_none() {
                self.error = self.push(&vehicle).err();
            }
        }
    }
}

impl ListEncoder {
    fn push(&mut self, vehicle: &WireVehicle) -> io::Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            self.json.push(b',');
        }
        serde_json::to_writer(&mut self.json, vehicle)?;
        if self.json.len() > SMALL_JSON_BYTES { self.compress() } else { Ok(()) }
    }

    fn compress(&mut self) -> io::Result<()> {
        let compressed = match &mut self.compressed {
            Some(compressed) => compressed,
            None => {
                let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                self.compressed.insert(Compressed { encoder, json_bytes: 0 })
            }
        };
        compressed.encoder.write_all(&self.json)?;
        compressed.json_bytes += self.json.len() as u64;
        self.json.clear();
        Ok(())
    }

    /// The list, which is at this version of its user's feed.
    ///
    /// # Errors
    /// A vehicle could not be encoded or compressed.
    pub fn finish(mut self, version: i64) -> io::Result<EncodedList> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.json.push(b']');
        if self.compressed.is_some() {
            self.compress()?;
        }
        let content = match self.compressed {
            Some(Compressed { encoder, json_bytes }) => Content::Large { zstd: encoder.finish()?.into(), json_bytes },
            None => Content::Small { json: self.json.into(), zstd: OnceLock::new(), gzip: OnceLock::new() },
        };
        Ok(EncodedList { version, content })
    }
}

impl EncodedList {
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The approximate memory. The compressed forms of a small list are a fraction of the JSON and count as half of it.
    pub fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::Small { json, .. } => json.len() + json.len() / 2,
            Content::Large { zstd, .. } => zstd.len(),
        };
        size_of::<EncodedList>() + content
    }

    /// The response for a client that accepts these encodings, without the headers of the route.
    ///
    /// # Errors
    /// The list could not be compressed or decompressed.
    pub fn response(&self, headers: &HeaderMap) -> io::Result<Response> {
        let accepted = Accepted::of(headers);
        let (encoding, body) = match &self.content {
            Content::Small { json, zstd, .. } if accepted.zstd => {
                let made = || zstd::encode_all(&json[..], ZSTD_LEVEL).map(Bytes::from);
                (Some("zstd"), made_once(zstd, made)?)
            }
            Content::Small { json, gzip, .. } if accepted.gzip => {
                (Some("gzip"), made_once(gzip, || gzipped(json).map(Bytes::from))?)
            }
            Content::Small { json, .. } => (None, json.clone()),
            Content::Large { zstd, .. } if accepted.zstd => (Some("zstd"), zstd.clone()),
            Content::Large { zstd, json_bytes } => {
                let body = Decompressed::new(zstd.clone(), *json_bytes)?;
                let mut response = Body::new(body).into_response();
                add_headers(response.headers_mut(), None);
                response.extensions_mut().insert(StreamedBody { memory_bytes: Decompressed::MEMORY_BYTES });
                return Ok(response);
            }
        };
        let mut response = Body::from(body).into_response();
        add_headers(response.headers_mut(), encoding);
        Ok(response)
    }
}

fn add_headers(headers: &mut HeaderMap, encoding: Option<&'static str>) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
}

fn made_once(cell: &OnceLock<Bytes>, make: impl FnOnce() -> io::Result<Bytes>) -> io::Result<Bytes> {
    match cell.get() {
        Some(bytes) => Ok(bytes.clone()),
        None => {
            let made = make()?;
            Ok(cell.get_or_init(|| made).clone())
        }
    }
}

fn gzipped(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Which encodings a client accepts (RFC 9110, 12.5.3). Preferences among them are ignored.
struct Accepted {
    zstd: bool,
    gzip: bool,
}

impl Accepted {
    fn of(headers: &HeaderMap) -> Accepted {
        let mut accepted = Accepted { zstd: false, gzip: false };
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

    use garage_domain::{RecordId, VehicleFields};
    use http_body::Body as _;
    use uuid::Uuid;

    use super::*;

    fn headers(accepted: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))])
    }

    fn vehicles(count: usize) -> Vec<WireVehicle> {
        let at = "2026-11-30T00:00:00Z".parse().expect("a time");
        let vehicle = |number: usize| WireVehicle {
            id: RecordId(Uuid::from_u128(number as u128)),
            user_id: "ada".to_owned(),
            fields: VehicleFields { nickname: Some(format!("Vehicle {number}")), ..VehicleFields::default() },
            image_url: None,
            created_at: at,
            updated_at: at,
            deleted_at: None,
            version: 1,
        };
        (0..count).map(vehicle).collect()
    }

    #[tokio::test]
    async fn small_and_large_lists_are_sent_in_an_encoding_that_the_client_accepts() {
        for count in [0, 1, 20, 2_000] {
            let vehicles = vehicles(count);
            let json = serde_json::to_vec(&vehicles).expect("JSON");
            let is_large = json.len() > SMALL_JSON_BYTES;
            assert_eq!(is_large, count == 2_000);
            let mut encoder = ListEncoder::default();
            vehicles.into_iter().for_each(|vehicle| encoder.extend([vehicle]));
            let list = encoder.finish(7).expect("a list");
            assert!(list.memory_bytes() < 2 * SMALL_JSON_BYTES);
            for (accepted, encoding) in [
                ("", None),
                ("br", None),
                // A large list is compressed with gzip while it is sent.
                ("gzip", (!is_large).then_some("gzip")),
                ("gzip;q=0, zstd;q=0", None),
                ("gzip;q=0.5, ZSTD", Some("zstd")),
                ("identity, gzip;q=1", (!is_large).then_some("gzip")),
            ] {
                let response = list.response(&headers(accepted)).expect("a response");
                let sent = response.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text"));
                assert_eq!(sent, encoding, "{accepted}");
                assert_eq!(response.extensions().get::<StreamedBody>().is_some(), is_large && sent.is_none());
                let size = response.body().size_hint().exact().expect("a size");
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
                assert_eq!(body.len() as u64, size);
                let decoded = match encoding {
                    Some("zstd") => zstd::decode_all(&body[..]).expect("zstd"),
                    Some(_) => {
                        let mut decoded = Vec::new();
                        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut decoded).expect("gzip");
                        decoded
                    }
                    None => body.to_vec(),
                };
                assert!(decoded == json, "{count} vehicles, {accepted}");
            }
        }
    }
}
