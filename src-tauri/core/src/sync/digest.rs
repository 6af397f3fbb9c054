//! Digest and audit: what is compared with the server at the end of a pass.

use std::collections::BTreeMap;

use garage_domain::RecordId;
use garage_protocol::sync::{AuditHash, CollectionDigest};
use rusqlite::{Connection, Result};

use crate::store::sync;

pub(super) type Digests = BTreeMap<String, CollectionDigest>;

/// Whether digests are equal. A collection without records may be missing.
pub(super) fn are_equal(ours: &Digests, theirs: &Digests) -> bool {
    let of = |digests: &Digests, name: &String| digests.get(name).copied().unwrap_or_default();
    ours.keys().chain(theirs.keys()).all(|name| of(ours, name) == of(theirs, name))
}

/// The digests of the bases, by collection.
pub(super) fn digests(connection: &Connection) -> Result<Digests> {
    let mut digests = Digests::new();
    for collection in sync::collections(connection)? {
        let mut digest = CollectionDigest::default();
        sync::each_version(connection, &collection, |id, version| digest.add(id, version))?;
        digests.insert(collection, digest);
    }
    Ok(digests)
}

/// The hash of the next records to audit.
pub(super) fn audit_hash(
    connection: &Connection,
    collection: &str,
    after: Option<RecordId>,
    limit: usize,
) -> Result<String> {
    let mut hash = AuditHash::default();
    for (id, base) in sync::bases_after(connection, collection, after, limit)? {
        let fields = (!base.is_row_gone).then_some(&base.fields);
        hash.add(id, base.version, fields, base.deleted_at.is_some());
    }
    Ok(hash.finish())
}
