//! `POST /api/sync`: the messages of `docs/sync.md`.
//!
//! Values of fields are [`Json`](garage_domain::Json), because a server and a device pass on fields that they do not know,
//! byte for byte.

use std::collections::BTreeMap;

use garage_domain::{Extra, FieldError, Json, RecordId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The maximum number of operations of a request, and of records of a page.
pub const MAX_RECORDS: usize = 500;
/// The maximum size of a request after decompression, and of a page, in bytes of JSON. A page has at least one record.
pub const MAX_BYTES: usize = 1 << 20;
/// The maximum size of a record: its fields and origins, in bytes of JSON.
pub const MAX_RECORD_BYTES: usize = 512 << 10;
/// The maximum number of records that one audit compares.
pub const MAX_AUDITED: usize = 100;

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncRequest {
    /// The account that the device syncs with, as [`SyncResponse::account`]; null before the first response.
    pub account: Option<String>,
    /// The device.
    pub device_id: Uuid,
    /// The number of the batch of operations: a device counts its batches. Null without operations.
    #[serde(default)]
    pub batch: Option<i64>,
    /// The epoch of the last response; null before the first.
    pub epoch: Option<String>,
    /// The cursor of the last page that was applied; null to read from the beginning.
    pub cursor: Option<String>,
    /// The maximum number of records of the page, 1 to [`MAX_RECORDS`].
    pub limit: usize,
    /// The records to compare.
    #[serde(default)]
    pub audit: Option<AuditRequest>,
    /// The batch, at most one operation for each record.
    #[serde(default)]
    pub operations: Vec<Operation>,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The id of the operation. What is sent again unchanged has the same one.
    pub op_id: Uuid,
    /// The name of the collection.
    pub collection: String,
    /// The id of the record.
    pub record_id: RecordId,
    /// What it does to the record as a whole.
    pub kind: OperationKind,
    /// The version that the change is based on; null for a create.
    pub base_version: Option<i64>,
    /// The fields that it sets; null clears one. A create has every field of its record.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: Extra,
    /// Where their values come from, by field.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub origins: Extra,
    /// When the record was added.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

/// What an operation does to a record as a whole. All kinds may set fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// Adds it.
    Create,
    /// Only sets fields.
    Update,
    /// Removes it.
    Delete,
    /// Ends its removal. For a record without a row it has every field.
    Restore,
}

/// The body of a response. Without `reset`, `late` and `copied` the operations were judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncResponse {
    /// The account of the token: its `userId`.
    pub account: String,
    /// The current epoch of the account.
    pub epoch: String,
    /// The request has another epoch: nothing was applied, and the device reads from the beginning.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reset: bool,
    /// With `reset`: the epochs before, oldest first, each with its last version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<(String, i64)>,
    /// The request is older than those that the server remembers of the device: nothing was applied.
    #[serde(default, skip_serializing_if = "is_false")]
    pub late: bool,
    /// Another device has used this device's id: nothing was applied, and this device takes a new id.
    #[serde(default, skip_serializing_if = "is_false")]
    pub copied: bool,
    /// The result of each operation, in their order.
    pub results: Vec<OperationResult>,
    /// The records that have changed after the cursor, by version. Includes the device's own changes.
    pub changes: Vec<Change>,
    /// The cursor for the next request; null if nothing was read.
    pub cursor: Option<String>,
    /// Whether more records have changed.
    pub more: bool,
    /// The digest of each collection; only if `more` is false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, CollectionDigest>,
    /// The server's side of the requested comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditResponse>,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct OperationResult {
    /// The operation.
    pub op_id: Uuid,
    /// What became of it.
    pub status: OperationStatus,
    /// With `applied` and `duplicate`: the version that the record got from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// With `stale`: the record, if there is one. With `exists`: the record that has the VIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Box<Change>>,
    /// With `rejected`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Rejection>,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OperationStatus {
    /// It was applied now.
    Applied,
    /// It was applied before; this is the same result again.
    Duplicate,
    /// Its base version is not current. It was not applied, and this is forgotten.
    Stale,
    /// Another record has its VIN. Its record's id is an alias of that record from now on.
    Exists,
    /// It breaks a rule.
    Rejected,
}

/// Why an operation was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// The message for people.
    pub message: String,
    /// The fields that break rules; empty if it is none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FieldError>,
}

/// The state of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The name of the collection.
    pub collection: String,
    /// The id of the record.
    pub record_id: RecordId,
    /// The version of its last change.
    pub version: i64,
    /// When it was removed; null if it is not.
    pub deleted_at: Option<Timestamp>,
    /// The record that this id is an alias of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<RecordId>,
    /// All fields that are not empty; null if only the removal is known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub fields: Option<Extra>,
    /// Where their values come from.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub origins: Extra,
    /// When it was added; null if only the removal is known.
    pub created_at: Option<Timestamp>,
    /// When it was changed; null if only the removal is known.
    pub updated_at: Option<Timestamp>,
    /// The device of the last change; null if it was made in another way.
    pub device_id: Option<Uuid>,
}

/// The digest of a collection (`docs/contract.md`, "Digest").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectionDigest {
    /// The number of records, removed ones and tombstones included.
    pub count: i64,
    /// The sum of their hashes modulo 2^48.
    pub hash: i64,
}

/// The records to compare: the next ones of a collection by id, at most [`MAX_AUDITED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditRequest {
    /// The name of the collection.
    pub collection: String,
    /// Only records with greater ids; null for the first ones.
    pub after: Option<RecordId>,
    /// The maximum number of records, 1 to [`MAX_AUDITED`].
    pub limit: usize,
    /// The hash of the device's records, as [`AuditHash`].
    pub hash: String,
}

/// The server's side of an audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditResponse {
    /// The name of the collection.
    pub collection: String,
    /// The hash of the server's records.
    pub hash: String,
    /// The last of these records; null if they are the last of the collection.
    pub next: Option<RecordId>,
    /// The records, if the hash is not the device's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Change>,
}

impl CollectionDigest {
    /// Adds a record.
    pub fn add(&mut self, id: RecordId, version: i64) {
        const PRIME: u128 = (1 << 31) - 1;
        let last = id.0.as_u128() & 0xffff_ffff_ffff;
        let version = u128::from(version.unsigned_abs());
        let (high, low) = (last >> 24, last & 0xff_ffff);
        let hash = (high + version) % PRIME * ((low + 3 * version) % PRIME) % PRIME;
        // Less than 2^31.
        let hash = i64::try_from(hash).unwrap_or_default();
        (self.count, self.hash) = (self.count + 1, (self.hash + hash) % (1 << 48));
    }
}

impl Rejection {
    /// A rejection that is about no field.
    #[must_use]
    pub fn new(message: String) -> Rejection {
        Rejection { message, details: Vec::new() }
    }
}

impl SyncResponse {
    /// The number of operations that were applied now.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.results.iter().filter(|result| result.status == OperationStatus::Applied).count()
    }
}

/// The response to a device that waits for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changed {
    /// Whether records of the account have changed. If not, the time is over, or the server is stopping.
    pub changed: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Collects the hash of an audit, over records in the order of their ids.
#[derive(Default)]
pub struct AuditHash(Sha256);

impl AuditHash {
    /// Adds a record; `fields` is `None` if only its removal is known.
    pub fn add(&mut self, id: RecordId, version: i64, fields: Option<&Extra>, is_removed: bool) {
        self.0.update(format!("{id} {version} {}\n", content_hash(fields, is_removed)));
    }

    /// The hash, in hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

/// The hash of what a record contains: SHA-256 of `{"fields":…,"removed":…}` in the canonical form of RFC 8785, without
/// empty fields. In hexadecimal digits.
#[must_use]
pub fn content_hash(fields: Option<&Extra>, is_removed: bool) -> String {
    let fields = fields.map(|fields| {
        let values = fields.iter().map(|(name, json)| (name.clone(), json.value()));
        values.filter(|(_, value)| !value.is_null()).collect::<serde_json::Map<_, _>>()
    });
    let content = serde_json::json!({ "fields": fields, "removed": is_removed });
    // JSON values always have a canonical form.
    format!("{:x}", Sha256::digest(serde_json_canonicalizer::to_vec(&content).unwrap_or_default()))
}

/// The hash of a value that an origin is of, in its member `of`: the first 16 hexadecimal digits of SHA-256 of the value in
/// the canonical form of RFC 8785.
#[must_use]
pub fn value_hash(json: &Json) -> String {
    format!("{:.16x}", Sha256::digest(serde_json_canonicalizer::to_vec(&json.value()).unwrap_or_default()))
}

/// The hash of an operation's content, by which a server recognizes one that it has answered. In hexadecimal digits.
#[must_use]
pub fn operation_hash(operation: &Operation) -> String {
    let content = serde_json::to_value(operation).unwrap_or_default();
    format!("{:x}", Sha256::digest(serde_json_canonicalizer::to_vec(&content).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[(&str, &str)]) -> Extra {
        values.iter().map(|(name, text)| ((*name).to_owned(), Json::parse(text).expect("JSON"))).collect()
    }

    /// Vectors for other implementations of the protocol: computed with `printf '…' | sha256sum`.
    #[test]
    fn content_hash_is_of_the_canonical_form_without_empty_fields() {
        let blue =
            fields(&[("nickname", "\"Bl\\u00fce\""), ("year", "2003"), ("vin", "null"), ("extra", "[1.50, {}]")]);
        for (fields, is_removed, canonical) in [
            (
                Some(&blue),
                false,
                "{\"fields\":{\"extra\":[1.5,{}],\"nickname\":\"Blüe\",\"year\":2003},\"removed\":false}",
            ),
            (Some(&Extra::new()), true, r#"{"fields":{},"removed":true}"#),
            (None, true, r#"{"fields":null,"removed":true}"#),
        ] {
            assert_eq!(content_hash(fields, is_removed), format!("{:x}", Sha256::digest(canonical)), "{canonical}");
        }
        assert_eq!(content_hash(None, true), "a38185d66957905690a8b00f04a7e196550ac0de770e040bcd2d94bc4ca06886",);
    }

    #[test]
    fn audit_hash_depends_on_ids_versions_content_and_removals() {
        let id = |last: u128| RecordId(Uuid::from_u128(last));
        let hash = |records: &[(u128, i64, &str, bool)]| {
            let mut hash = AuditHash::default();
            for (last, version, year, is_removed) in records {
                hash.add(id(*last), *version, Some(&fields(&[("year", year)])), *is_removed);
            }
            hash.finish()
        };
        let one = hash(&[(1, 7, "2003", false)]);
        assert_eq!(one, hash(&[(1, 7, "2003.0", false)]), "JSON has one type of numbers");
        for other in [(2, 7, "2003", false), (1, 8, "2003", false), (1, 7, "2004", false), (1, 7, "2003", true)] {
            assert_ne!(one, hash(&[other]));
        }
        assert_ne!(one, hash(&[]));
    }
}
