//! Decides what a request does, as a pure function of facts. The stores read the facts and apply the decisions, each with
//! its own SQL and in one transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use garage_domain::{
    Collection, Extra, Field, FieldAccess, FieldError, FieldValue, Invalid, Json, Record, RecordId, rules::Rule,
};
use garage_protocol::sync::{
    Change, MAX_RECORD_BYTES, Operation, OperationKind, OperationResult, OperationStatus, Rejection, operation_hash,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of the collection whose records are in the table `vehicles`.
pub const VEHICLES: &str = "vehicles";
/// The most bytes of JSON that the devices of an account can store.
pub const MAX_STORED_BYTES: i64 = 1 << 30;

/// A record's collection and id.
pub type Key = (String, RecordId);

/// The stored state that a batch depends on, read in its transaction.
#[derive(Debug, Default)]
pub struct Facts {
    /// The records of the operations, and their tombstones.
    pub records: HashMap<Key, Change>,
    /// Vehicles of the operations that other users have.
    pub of_others: HashSet<RecordId>,
    /// The records that ids of operations are aliases of.
    pub aliases: HashMap<Key, RecordId>,
    /// The live vehicles that have a VIN of the operations or of their records.
    pub vins: HashMap<String, RecordId>,
    /// The number of the user's records and tombstones.
    pub count: i64,
    /// The bytes of JSON that the user's devices have stored.
    pub bytes: i64,
}

/// A write of one operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Stores this state of a record. Its version is that of the change before.
    Put { change: Change, is_new: bool },
    /// Leaves a tombstone that says that the record is an alias.
    Alias { key: Key, alias_of: RecordId },
}

/// The remembered result of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub op_id: Uuid,
    /// The hash of its content.
    pub hash: String,
    /// `None` if it was stale: it is judged afresh then.
    pub result: Option<Remembered>,
}

/// A result that is the same whenever the operation comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Remembered {
    Applied { version: i64 },
    Exists { collection: String, alias_of: RecordId },
    Rejected(Rejection),
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It was answered before.
    Repeated(Remembered),
    /// Its base version is not current.
    Stale(Option<Box<Change>>),
    /// It changes nothing: the record has been removed already.
    Kept {
        version: i64,
    },
    /// Its record is another one.
    Exists {
        alias_of: RecordId,
        write: Option<Write>,
    },
    Rejected(Rejection),
    Apply(Write),
}

/// Decides the operations one after another; each sees what those before it do.
pub fn decide_all(
    operations: &[Operation],
    answers: &HashMap<Uuid, Remembered>,
    mut facts: Facts,
    quota: i64,
    device: Uuid,
    now: Timestamp,
) -> Vec<Decision> {
    let decide = |operation: &Operation| {
        let decision = match answers.get(&operation.op_id) {
            Some(remembered) => Decision::Repeated(remembered.clone()),
            None => decide(operation, &facts, quota, device, now),
        };
        if let Decision::Apply(Write::Put { change, is_new }) = &decision {
            facts.note(change, *is_new);
        }
        decision
    };
    operations.iter().map(decide).collect()
}

impl Facts {
    fn note(&mut self, change: &Change, is_new: bool) {
        self.count += i64::from(is_new);
        self.bytes += stored_bytes(change);
        if change.collection == VEHICLES {
            self.vins.retain(|_, id| *id != change.record_id);
            if let Some(vin) = live_vin(change) {
                self.vins.insert(vin, change.record_id);
            }
        }
    }
}

fn decide(operation: &Operation, facts: &Facts, quota: i64, device: Uuid, now: Timestamp) -> Decision {
    let key = (operation.collection.clone(), operation.record_id);
    if let Some(alias_of) = facts.aliases.get(&key) {
        return Decision::Exists { alias_of: *alias_of, write: None };
    }
    if operation.collection == VEHICLES && facts.of_others.contains(&operation.record_id) {
        return rejected("This id is already used by another vehicle".to_owned());
    }
    let current = facts.records.get(&key);
    let is_current = current.map(|current| current.version) == operation.base_version;
    // Without the rule, only whether there is a record.
    let is_as_expected =
        is_current || !Rule::BaseVersionsAreCompared.holds() && current.is_some() == operation.base_version.is_some();
    if !is_as_expected {
        return Decision::Stale(current.cloned().map(Box::new));
    }
    let before = current.and_then(|current| current.fields.as_ref());
    if let (Some(current), None) = (current, before)
        && operation.kind != OperationKind::Restore
    {
        // Without its fields there is nothing to change.
        return Decision::Kept { version: current.version };
    }
    let is_removed = match operation.kind {
        OperationKind::Create | OperationKind::Restore => false,
        OperationKind::Delete => true,
        OperationKind::Update => current.is_some_and(|current| current.deleted_at.is_some()),
    };
    let after = after(operation, current, is_removed, device);
    if let Some(collection) = Collection::by_name(&operation.collection)
        && let Err(rejection) = check(collection, operation, &after, now)
    {
        return Decision::Rejected(rejection);
    }
    if let Some(decision) = taken_vin(operation, current, &after, facts) {
        return decision;
    }
    let size = stored_bytes(&after);
    if size > MAX_RECORD_BYTES as i64 {
        return rejected(format!("A record can have at most {} KiB", MAX_RECORD_BYTES >> 10));
    }
    if current.is_none() && facts.count >= quota {
        return rejected(format!("An account can have at most {quota} records, removed ones included"));
    }
    if facts.bytes + size > MAX_STORED_BYTES {
        return rejected(format!("An account can store at most {} MiB", MAX_STORED_BYTES >> 20));
    }
    Decision::Apply(Write::Put { change: after, is_new: before.is_none() })
}

fn rejected(message: String) -> Decision {
    Decision::Rejected(Rejection::new(message))
}

/// Checks the fields that the operation sets, and the rules of several fields unless the record is removed. Values must
/// have their normal form: they are stored as they were sent.
fn check(
    collection: &'static Collection,
    operation: &Operation,
    after: &Change,
    now: Timestamp,
) -> Result<(), Rejection> {
    let error = |name: &str, message: String| FieldError { field: name.to_owned(), message };
    let mut record = Record::new(collection, after.record_id, Timestamp::UNIX_EPOCH);
    for (name, value) in after.fields.iter().flatten() {
        record.set_value(name, FieldValue::of_json(value.clone()));
    }
    let mut errors = Vec::new();
    let sent = || collection.fields.iter().filter_map(|field| Some((*field, operation.fields.get(field.name)?)));
    for (field, value) in sent() {
        match field.validate(&value.value(), now) {
            Err(message) => errors.push(error(field.name, message)),
            Ok(None) if field.default.is_some() => {
                errors.push(error(field.name, format!("{} must not be empty", field.name)));
            }
            Ok(normal) => record.set(field, normal),
        }
    }
    if errors.is_empty() {
        match (collection.check)(&mut record) {
            // What is removed need not be complete.
            Err(_) if after.deleted_at.is_some() => {}
            Err(Invalid::Incomplete(message)) => return Err(Rejection::new(message.to_owned())),
            Err(Invalid::Fields(broken)) => errors = broken,
            Ok(()) => {
                let differs = |(field, value): &(&Field, &Json)| {
                    record.value(field.name) != FieldValue::of_json((*value).clone())
                };
                let message = |field: &Field| format!("{} does not have its normal form", field.name);
                errors.extend(sent().filter(differs).map(|(field, _)| error(field.name, message(field))));
            }
        }
    }
    match errors.first() {
        None => Ok(()),
        Some(first) => Err(Rejection { message: first.message.clone(), details: errors }),
    }
}

/// The state of the record after the operation.
fn after(operation: &Operation, current: Option<&Change>, is_removed: bool, device: Uuid) -> Change {
    let mut fields = current.and_then(|current| current.fields.clone()).unwrap_or_default();
    let mut origins = current.map(|current| current.origins.clone()).unwrap_or_default();
    for (name, value) in &operation.fields {
        origins.remove(name);
        if value.text() == "null" {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    origins.extend(operation.origins.iter().map(|(name, origin)| (name.clone(), origin.clone())));
    if let Some(collection) = Collection::by_name(&operation.collection) {
        // Fields that are never empty have their default.
        for field in collection.fields {
            if let Some(default) = field.default_value() {
                fields.entry(field.name.to_owned()).or_insert_with(|| default.to_json());
            }
        }
    }
    origins.retain(|name, _| fields.contains_key(name));
    let known = |time: fn(&Change) -> Option<Timestamp>| current.and_then(time);
    let created_at = known(|it| it.created_at).map_or(operation.created_at, |at| at.min(operation.created_at));
    let updated_at = known(|it| it.updated_at).map_or(operation.updated_at, |at| at.max(operation.updated_at));
    let removed_at = known(|it| it.deleted_at).unwrap_or(operation.updated_at);
    Change {
        collection: operation.collection.clone(),
        record_id: operation.record_id,
        version: current.map_or(0, |current| current.version),
        deleted_at: is_removed.then_some(removed_at),
        alias_of: None,
        fields: Some(fields),
        origins,
        created_at: Some(created_at),
        updated_at: Some(updated_at),
        device_id: Some(device),
    }
}

/// The decision about a record that would be the second live one with its VIN.
fn taken_vin(operation: &Operation, current: Option<&Change>, after: &Change, facts: &Facts) -> Option<Decision> {
    let vin = live_vin(after)?;
    if operation.collection != VEHICLES || current.and_then(live_vin).as_ref() == Some(&vin) {
        return None;
    }
    let twin = *facts.vins.get(&vin).filter(|id| **id != operation.record_id)?;
    if current.is_none() {
        let key = (operation.collection.clone(), operation.record_id);
        let write = Rule::AliasesAreKept.holds().then_some(Write::Alias { key, alias_of: twin });
        return Some(Decision::Exists { alias_of: twin, write });
    }
    if !Rule::TakenValuesAreRejected.holds() {
        return None;
    }
    let message = "Vehicle with this VIN already exists".to_owned();
    let field = if operation.fields.contains_key("vin") { "vin" } else { "deletedAt" };
    let details = vec![FieldError { field: field.to_owned(), message: message.clone() }];
    Some(Decision::Rejected(Rejection { message, details }))
}

/// The VIN of a vehicle that is not removed.
pub fn live_vin(change: &Change) -> Option<String> {
    let vin = change.fields.as_ref().filter(|_| change.deleted_at.is_none())?.get("vin")?;
    vin.value().as_str().filter(|vin| !vin.is_empty()).map(str::to_owned)
}

/// The size of a record as it is stored, about: keys and values as JSON.
pub fn stored_bytes(change: &Change) -> i64 {
    let size = |values: &Extra| values.iter().map(|(name, value)| name.len() + value.text().len() + 4).sum::<usize>();
    let bytes = change.fields.as_ref().map_or(0, size) + size(&change.origins) + 4;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The results of a batch, and the answers to remember. `written` has the version of each write that was performed, by the
/// number of its operation; `currents` the records that `exists` speaks of.
pub fn results_of(
    operations: &[Operation],
    decisions: Vec<Decision>,
    written: &BTreeMap<usize, Result<i64, Rejection>>,
    currents: &HashMap<Key, Change>,
) -> (Vec<OperationResult>, Vec<Answer>) {
    let mut results = Vec::with_capacity(operations.len());
    let mut answers = Vec::with_capacity(operations.len());
    for (index, (operation, decision)) in operations.iter().zip(decisions).enumerate() {
        let is_repeated = matches!(decision, Decision::Repeated(_));
        let (remembered, stale) = match (decision, written.get(&index).cloned()) {
            (Decision::Stale(current), _) => (None, current),
            (Decision::Repeated(remembered), _) => (Some(remembered), None),
            (Decision::Rejected(rejection), _) | (_, Some(Err(rejection))) => {
                (Some(Remembered::Rejected(rejection)), None)
            }
            (Decision::Exists { alias_of, .. }, _) => {
                (Some(Remembered::Exists { collection: operation.collection.clone(), alias_of }), None)
            }
            (Decision::Kept { version }, _) | (Decision::Apply(_), Some(Ok(version))) => {
                (Some(Remembered::Applied { version }), None)
            }
            // Every write has a version or a rejection.
            (Decision::Apply(_), None) => (None, None),
        };
        results.push(result_of(operation.op_id, remembered.as_ref(), stale, is_repeated, currents));
        answers.push(Answer { op_id: operation.op_id, hash: operation_hash(operation), result: remembered });
    }
    (results, answers)
}

fn result_of(
    op_id: Uuid,
    remembered: Option<&Remembered>,
    stale: Option<Box<Change>>,
    is_repeated: bool,
    currents: &HashMap<Key, Change>,
) -> OperationResult {
    let empty = OperationResult { op_id, status: OperationStatus::Stale, version: None, current: stale, error: None };
    match remembered {
        None => empty,
        Some(Remembered::Applied { version }) => OperationResult {
            status: if is_repeated { OperationStatus::Duplicate } else { OperationStatus::Applied },
            version: Some(*version),
            ..empty
        },
        Some(Remembered::Exists { collection, alias_of }) => OperationResult {
            status: OperationStatus::Exists,
            current: currents.get(&(collection.clone(), *alias_of)).cloned().map(Box::new),
            ..empty
        },
        Some(Remembered::Rejected(rejection)) => {
            OperationResult { status: OperationStatus::Rejected, error: Some(rejection.clone()), ..empty }
        }
    }
}

/// The records that `exists` speaks of.
pub fn aliased<'d>(operations: &'d [Operation], decisions: &'d [Decision]) -> impl Iterator<Item = Key> + 'd {
    operations.iter().zip(decisions).filter_map(|(operation, decision)| match decision {
        Decision::Exists { alias_of, .. } => Some((operation.collection.clone(), *alias_of)),
        Decision::Repeated(Remembered::Exists { collection, alias_of }) => Some((collection.clone(), *alias_of)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VINS: [&str; 2] = ["1HGCM82633A004352", "1M8GDM9AXKP042788"];
    const QUOTA: i64 = 3;

    fn at() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().expect("a time")
    }

    fn id(number: usize) -> RecordId {
        RecordId(Uuid::from_u128(number as u128 + 1))
    }

    fn fields(vin: Option<usize>) -> Extra {
        let vin = vin.map(|index| ("vin", format!("\"{}\"", VINS[index])));
        let values = [("nickname", "\"Blue\"".to_owned())].into_iter().chain(vin);
        values.map(|(name, text)| (name.to_owned(), Json::parse(&text).expect("JSON"))).collect()
    }

    /// A record with this version; without fields, a tombstone.
    fn record(number: usize, version: i64, fields: Option<Extra>, is_removed: bool) -> Change {
        Change {
            collection: VEHICLES.to_owned(),
            record_id: id(number),
            version,
            deleted_at: is_removed.then(at),
            alias_of: None,
            created_at: fields.is_some().then(at),
            updated_at: fields.is_some().then(at),
            fields,
            origins: Extra::new(),
            device_id: None,
        }
    }

    fn operation(number: usize, kind: OperationKind, base_version: Option<i64>, fields: Extra) -> Operation {
        Operation {
            op_id: Uuid::from_u128(number as u128 + 100),
            collection: VEHICLES.to_owned(),
            record_id: id(number),
            kind,
            base_version,
            fields,
            origins: Extra::new(),
            created_at: at(),
            updated_at: at(),
        }
    }

    /// Records with the numbers 0 to 3, of which no two live ones have the same VIN.
    fn any_records() -> impl Strategy<Value = Vec<Change>> {
        let one = (0..5_u8, proptest::option::of(0..2_usize), 1..3_i64);
        proptest::collection::vec(one, 4).prop_map(|states| {
            let mut taken = HashSet::new();
            let mut records = Vec::new();
            for (number, (state, vin, version)) in states.into_iter().enumerate() {
                records.extend(match state {
                    0 | 1 => {
                        let vin = vin.filter(|vin| taken.insert(*vin));
                        Some(record(number, version, Some(fields(vin)), false))
                    }
                    2 => Some(record(number, version, Some(fields(vin)), true)),
                    3 => Some(record(number, version, None, true)),
                    _ => None,
                });
            }
            records
        })
    }

    /// One operation for each of the numbers 0 to 3.
    fn any_operations() -> impl Strategy<Value = Vec<Operation>> {
        let one = (0..4_u8, 1..3_i64, proptest::option::of(0..2_usize), any::<bool>());
        proptest::collection::vec(one, 4).prop_map(|operations| {
            let operation = |(number, (kind, base, vin, sets_fields))| match kind {
                0 => operation(number, OperationKind::Create, None, fields(vin)),
                kind => {
                    let kind =
                        [OperationKind::Update, OperationKind::Delete, OperationKind::Restore][kind as usize - 1];
                    operation(number, kind, Some(base), if sets_fields { fields(vin) } else { Extra::new() })
                }
            };
            operations.into_iter().enumerate().map(operation).collect()
        })
    }

    fn facts(records: &[Change]) -> Facts {
        let key = |record: &Change| (record.collection.clone(), record.record_id);
        Facts {
            records: records.iter().map(|record| (key(record), record.clone())).collect(),
            vins: records.iter().filter_map(|record| Some((live_vin(record)?, record.record_id))).collect(),
            count: records.len() as i64,
            ..Facts::default()
        }
    }

    fn decisions(operations: &[Operation], facts: Facts) -> Vec<Decision> {
        decide_all(operations, &HashMap::new(), facts, QUOTA, Uuid::nil(), at())
    }

    proptest! {
        #[test]
        fn no_batch_makes_two_live_vehicles_with_one_vin(records in any_records(), operations in any_operations()) {
            let mut after: HashMap<RecordId, Change> =
                records.iter().map(|record| (record.record_id, record.clone())).collect();
            for decision in decisions(&operations, facts(&records)) {
                if let Decision::Apply(Write::Put { change, .. }) = decision {
                    after.insert(change.record_id, change);
                }
            }
            let mut vins: Vec<_> = after.values().filter_map(live_vin).collect();
            let count = vins.len();
            vins.sort_unstable();
            vins.dedup();
            prop_assert_eq!(vins.len(), count);
        }

        #[test]
        fn only_what_is_based_on_the_current_version_is_applied(
            records in any_records(), operations in any_operations(), of_other in 0..5_usize, alias in 0..5_usize,
        ) {
            let mut facts = facts(&records);
            facts.of_others.insert(id(of_other));
            facts.aliases.insert((VEHICLES.to_owned(), id(alias)), id(9));
            let versions: HashMap<_, _> = records.iter().map(|record| (record.record_id, record.version)).collect();
            let is_new = |id: RecordId| !versions.contains_key(&id);
            let (mut added, had) = (0, facts.count);
            for (operation, decision) in operations.iter().zip(decisions(&operations, facts)) {
                let number = operation.record_id;
                match decision {
                    Decision::Exists { alias_of, write } if number == id(alias) => {
                        prop_assert_eq!((alias_of, write), (id(9), None));
                    }
                    Decision::Exists { alias_of, write } => {
                        prop_assert!(is_new(number) && operation.kind == OperationKind::Create && alias_of != number);
                        prop_assert!(write.is_some());
                    }
                    Decision::Apply(Write::Put { change, .. }) => {
                        prop_assert!(number != id(of_other) && number != id(alias));
                        prop_assert_eq!(versions.get(&number).copied(), operation.base_version);
                        let is_removed = operation.kind == OperationKind::Delete;
                        prop_assert!(operation.kind == OperationKind::Update || change.deleted_at.is_some() == is_removed);
                        added += i64::from(is_new(number));
                    }
                    Decision::Stale(_) => prop_assert_ne!(versions.get(&number).copied(), operation.base_version),
                    _ => {}
                }
            }
            prop_assert!(added == 0 || had + added <= QUOTA);
        }
    }

    #[test]
    fn operations_that_were_answered_are_not_judged_again() {
        let sent = operation(0, OperationKind::Create, None, fields(Some(0)));
        let rejected = Remembered::Rejected(Rejection::new("no".to_owned()));
        let answers = HashMap::from([(sent.op_id, rejected.clone())]);
        let decided = decide_all(std::slice::from_ref(&sent), &answers, Facts::default(), QUOTA, Uuid::nil(), at());
        assert_eq!(decided, [Decision::Repeated(rejected.clone())]);
        let (results, remembered) = results_of(&[sent], decided, &BTreeMap::new(), &HashMap::new());
        assert_eq!((results[0].status, &remembered[0].result), (OperationStatus::Rejected, &Some(rejected)));
    }

    #[test]
    fn times_and_origins_follow_the_values() {
        let mut before = record(0, 1, Some(fields(None)), false);
        before.origins = Extra::from([("nickname".to_owned(), Json::parse("{\"by\":\"typed\"}").expect("JSON"))]);
        let mut sent = operation(0, OperationKind::Update, Some(1), fields(Some(0)));
        sent.origins = Extra::from([("vin".to_owned(), Json::parse("{\"by\":\"imported\"}").expect("JSON"))]);
        sent.created_at = "2027-01-01T00:00:00Z".parse().expect("a time");
        sent.updated_at = "2025-01-01T00:00:00Z".parse().expect("a time");
        let Decision::Apply(Write::Put { change, is_new: false }) = &decisions(&[sent], facts(&[before]))[0] else {
            panic!("applied");
        };
        assert_eq!(change.origins.keys().collect::<Vec<_>>(), ["vin"], "an origin ends with its value");
        assert_eq!((change.created_at, change.updated_at), (Some(at()), Some(at())), "the earlier, and the later");
    }
}
