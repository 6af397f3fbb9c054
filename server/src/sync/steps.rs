//! What a request does within its transaction: [`perform`], over the steps that need the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use garage_domain::RecordId;
use garage_protocol::sync::{
    AuditHash, AuditRequest, AuditResponse, Change, CollectionDigest, MAX_BYTES, Operation, Rejection, SyncRequest,
    SyncResponse,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    decide::{self, Decision, Facts, Key, VEHICLES, Write},
    device::{Cursor, Device, Meaning},
};

/// How many devices an account can have. Each keeps its last results.
pub const MAX_DEVICES: i64 = 1_000;
/// Why an operation is rejected that a constraint of the database refuses.
pub const REFUSED: &str = "The database refuses this record";

/// An account, and how many vehicles and other records it can have.
#[derive(Clone)]
pub struct Account {
    pub user: String,
    pub quota: i64,
}

/// A request is answered or refused.
pub type Outcome = Result<SyncResponse, Refusal>;

/// Why a request is refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This operation was sent before with another content.
    Contradicts(Uuid),
    /// The account has as many devices as it can have.
    TooManyDevices,
}

/// The state of an account's feed.
pub struct Feed {
    pub epoch: String,
    pub version: i64,
    pub count: i64,
    pub bytes: i64,
    pub devices: i64,
}

/// The steps of a request, within its transaction and for one user.
pub trait Steps {
    type Error;

    /// The state of the feed.
    async fn feed(&self) -> Result<Feed, Self::Error>;
    /// What is remembered of a device.
    async fn device(&self, id: Uuid) -> Result<Device, Self::Error>;
    async fn save_device(&self, id: Uuid, device: &Device) -> Result<(), Self::Error>;
    /// The epochs before the current one, each with its last version, ascending.
    async fn lineage(&self) -> Result<Vec<(String, i64)>, Self::Error>;
    /// Begins an epoch for this user.
    async fn begin_epoch(&self) -> Result<(), Self::Error>;
    /// The records of a collection with these ids, and their tombstones.
    async fn by_ids(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<Change>, Self::Error>;
    /// Those of these ids that are vehicles of other users.
    async fn of_others(&self, ids: &[RecordId]) -> Result<Vec<RecordId>, Self::Error>;
    /// The records that these ids are aliases of, by alias.
    async fn aliases(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<(RecordId, RecordId)>, Self::Error>;
    /// The live vehicles with these VINs.
    async fn by_vins(&self, vins: &[String]) -> Result<Vec<(String, RecordId)>, Self::Error>;
    /// Writes in this order, and returns the new version of each; a rejection of one that the database refuses.
    async fn write_all(&self, writes: &[&Write]) -> Result<Vec<Result<i64, Rejection>>, Self::Error>;
    /// The versions and sizes, about, of the next `limit` records and tombstones of all collections after this version.
    async fn sizes_by_version(&self, after: i64, limit: usize) -> Result<Vec<(i64, i64)>, Self::Error>;
    /// The records and tombstones of all collections after this version and up to the other, by version.
    async fn by_versions(&self, after: i64, to: i64) -> Result<Vec<Change>, Self::Error>;
    /// The ids and sizes, about, of the next `limit` records and tombstones of a collection after this id.
    async fn sizes_by_id(
        &self,
        collection: &str,
        after: RecordId,
        limit: usize,
    ) -> Result<Vec<(RecordId, i64)>, Self::Error>;
    /// The digest of each collection.
    async fn digests(&self) -> Result<BTreeMap<String, CollectionDigest>, Self::Error>;
}

/// Whether the request neither writes nor moves its cursor, so that it needs no lock.
pub async fn is_idle<S: Steps>(steps: &S, request: &SyncRequest) -> Result<bool, S::Error> {
    match request.cursor.as_deref().and_then(Cursor::parse).filter(|_| request.operations.is_empty()) {
        Some(cursor) => Ok(steps.feed().await?.version == cursor.version),
        None => Ok(false),
    }
}

pub async fn perform<S: Steps>(
    steps: &S,
    account: &Account,
    request: &SyncRequest,
    now: Timestamp,
) -> Result<Outcome, S::Error> {
    let feed = steps.feed().await?;
    let mut response = SyncResponse {
        account: account.user.clone(),
        epoch: feed.epoch.clone(),
        reset: false,
        lineage: Vec::new(),
        late: false,
        copied: false,
        results: Vec::new(),
        changes: Vec::new(),
        cursor: request.cursor.clone(),
        more: false,
        digest: BTreeMap::new(),
        audit: None,
    };
    let mut device = steps.device(request.device_id).await?;
    let presented = request.cursor.as_deref().and_then(Cursor::parse);
    let answered = match device.meaning(request, presented.as_ref(), &feed.epoch, feed.version) {
        Meaning::Continues(answered) => answered,
        Meaning::Late => return Ok(Ok(SyncResponse { late: true, ..response })),
        Meaning::Copied => return Ok(Ok(SyncResponse { copied: true, ..response })),
        Meaning::Contradicts(operation) => return Ok(Err(Refusal::Contradicts(operation))),
        meaning @ (Meaning::OtherEpoch | Meaning::NewEpoch) => {
            if meaning == Meaning::NewEpoch {
                steps.begin_epoch().await?;
                response.epoch = steps.feed().await?.epoch;
            }
            let lineage = steps.lineage().await?;
            return Ok(Ok(SyncResponse { reset: true, lineage, cursor: None, ..response }));
        }
    };
    if device == Device::default() && feed.devices >= MAX_DEVICES {
        return Ok(Err(Refusal::TooManyDevices));
    }
    let mut is_changed = false;
    if let Some(batch) = request.batch {
        let operations = &request.operations;
        let facts = facts(steps, &feed, operations).await?;
        let decisions = decide::decide_all(operations, &answered, facts, account.quota, request.device_id, now);
        let written = write_all(steps, &decisions).await?;
        let currents = currents(steps, operations, &decisions).await?;
        let (results, answers) = decide::results_of(operations, decisions, &written, &currents);
        response.results = results;
        device.remember_batch(batch, answers);
        is_changed = true;
    }
    // After the writes: a response includes the device's own changes.
    let version = steps.feed().await?.version;
    let after = presented.map_or(0, |cursor| cursor.version);
    let (changes, more) = page(steps, after, request.limit).await?;
    let read_to = if more { changes.last().map_or(after, |change| change.version) } else { version };
    let cursor = device.cursor(read_to);
    response.cursor = Some(cursor.to_string());
    is_changed |= device.remember_cursor(cursor);
    if is_changed {
        steps.save_device(request.device_id, &device).await?;
    }
    (response.changes, response.more) = (changes, more);
    if !more {
        response.digest = steps.digests().await?;
    }
    if let Some(audit) = &request.audit {
        response.audit = Some(compare(steps, audit).await?);
    }
    Ok(Ok(response))
}

async fn facts<S: Steps>(steps: &S, feed: &Feed, operations: &[Operation]) -> Result<Facts, S::Error> {
    let mut facts = Facts { count: feed.count, bytes: feed.bytes, ..Facts::default() };
    let mut ids: BTreeMap<&str, Vec<RecordId>> = BTreeMap::new();
    for operation in operations {
        ids.entry(&operation.collection).or_default().push(operation.record_id);
    }
    for (collection, ids) in ids {
        let key = |id: RecordId| (collection.to_owned(), id);
        let records = steps.by_ids(collection, &ids).await?;
        facts.records.extend(records.into_iter().map(|record| (key(record.record_id), record)));
        facts.aliases.extend(
            resolved_aliases(steps, collection, &ids).await?.into_iter().map(|(alias, record)| (key(alias), record)),
        );
        if collection == VEHICLES {
            facts.of_others.extend(steps.of_others(&ids).await?);
        }
    }
    let sent =
        operations.iter().filter_map(|operation| operation.fields.get("vin")?.value().as_str().map(str::to_owned));
    // A restore may take the VIN that the removed vehicle has.
    let stored = facts.records.values().filter_map(|record| {
        let vin = record.fields.as_ref()?.get("vin")?.value();
        vin.as_str().map(str::to_owned)
    });
    let vins: HashSet<String> = sent.chain(stored).collect();
    facts.vins.extend(steps.by_vins(&vins.into_iter().collect::<Vec<_>>()).await?);
    Ok(facts)
}

/// The records that these ids are aliases of; an alias of an alias is one of the last record.
async fn resolved_aliases<S: Steps>(
    steps: &S,
    collection: &str,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, RecordId>, S::Error> {
    let mut resolved: HashMap<RecordId, RecordId> = steps.aliases(collection, ids).await?.into_iter().collect();
    loop {
        let records: Vec<RecordId> = resolved.values().copied().collect();
        let further: HashMap<RecordId, RecordId> = match records.as_slice() {
            [] => HashMap::new(),
            records => steps.aliases(collection, records).await?.into_iter().collect(),
        };
        if further.is_empty() {
            return Ok(resolved);
        }
        for record in resolved.values_mut() {
            *record = further.get(record).copied().unwrap_or(*record);
        }
    }
}

async fn write_all<S: Steps>(
    steps: &S,
    decisions: &[Decision],
) -> Result<BTreeMap<usize, Result<i64, Rejection>>, S::Error> {
    let write_of = |(index, decision)| match decision {
        &Decision::Apply(ref write) | &Decision::Exists { write: Some(ref write), .. } => Some((index, write)),
        _ => None,
    };
    let (indexes, writes): (Vec<usize>, Vec<&Write>) = decisions.iter().enumerate().filter_map(write_of).unzip();
    Ok(indexes.into_iter().zip(steps.write_all(&writes).await?).collect())
}

async fn currents<S: Steps>(
    steps: &S,
    operations: &[Operation],
    decisions: &[Decision],
) -> Result<HashMap<Key, Change>, S::Error> {
    let mut ids: BTreeMap<String, Vec<RecordId>> = BTreeMap::new();
    for (collection, id) in decide::aliased(operations, decisions) {
        ids.entry(collection).or_default().push(id);
    }
    let mut currents = HashMap::new();
    for (collection, ids) in ids {
        // What was the other record then may have been merged into a third since.
        let aliases = resolved_aliases(steps, &collection, &ids).await?;
        let now: Vec<RecordId> = ids.iter().map(|id| aliases.get(id).copied().unwrap_or(*id)).collect();
        let records = steps.by_ids(&collection, &now).await?;
        for (then, now) in ids.iter().zip(now) {
            if let Some(record) = records.iter().find(|record| record.record_id == now) {
                currents.insert((collection.clone(), *then), record.clone());
            }
        }
    }
    Ok(currents)
}

/// A page, and whether there is more. Sizes are read first: records may be large, and only those of the page are read.
async fn page<S: Steps>(steps: &S, after: i64, limit: usize) -> Result<(Vec<Change>, bool), S::Error> {
    let sizes = steps.sizes_by_version(after, limit + 1).await?;
    let fitting = fitting(sizes.iter().take(limit).map(|(_, size)| *size));
    match fitting.checked_sub(1).and_then(|last| sizes.get(last)) {
        Some((to, _)) => Ok((steps.by_versions(after, *to).await?, sizes.len() > fitting)),
        None => Ok((Vec::new(), false)),
    }
}

/// How many records of these sizes fit into a response; at least one, if there is one.
fn fitting(sizes: impl Iterator<Item = i64>) -> usize {
    let mut bytes = 0;
    let fits = |(index, size): &(usize, i64)| {
        bytes += size;
        *index == 0 || bytes <= MAX_BYTES as i64
    };
    sizes.enumerate().take_while(fits).count()
}

async fn compare<S: Steps>(steps: &S, audit: &AuditRequest) -> Result<AuditResponse, S::Error> {
    let after = audit.after.unwrap_or(RecordId(Uuid::nil()));
    let sizes = steps.sizes_by_id(&audit.collection, after, audit.limit + 1).await?;
    let fitting = fitting(sizes.iter().take(audit.limit).map(|(_, size)| *size));
    let ids: Vec<RecordId> = sizes.iter().take(fitting).map(|(id, _)| *id).collect();
    let mut records = steps.by_ids(&audit.collection, &ids).await?;
    records.sort_unstable_by_key(|record| record.record_id);
    let mut hash = AuditHash::default();
    for record in &records {
        hash.add(record.record_id, record.version, record.fields.as_ref(), record.deleted_at.is_some());
    }
    let hash = hash.finish();
    let next = ids.last().copied().filter(|_| sizes.len() > fitting);
    if hash == audit.hash {
        records.clear();
    }
    Ok(AuditResponse { collection: audit.collection.clone(), hash, next, records })
}
