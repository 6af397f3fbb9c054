//! The journal on real files: what each entry point writes, and that they agree in any order.

use std::collections::BTreeMap;

use garage_domain::{
    ChangeId, ChangeKind, FieldAccess, FieldValue, HistoryEntry, Json, Origin, Record, RecordId, SERVICE_ENTRIES,
    VEHICLES,
    conflict::{Alternative, CONFLICTS, Conflict, Conflicts},
    replica::Replica,
    service_entry, vehicle,
};
use garage_sqlite::{Database, Error};
use jiff::Timestamp;
use proptest::{prelude::*, test_runner::TestRunner};
use rusqlite::Transaction;
use uuid::Uuid;

use super::{Journal, Stamp, Touched};
use crate::store::{
    self,
    foreign::ForeignRecord,
    history, records,
    stored_value::StoredValue,
    sync::{self, Key},
};

fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + seconds).expect("a time")
}

fn text(text: &str) -> Option<FieldValue> {
    Some(FieldValue::Text(text.to_owned()))
}

/// A conflict with these numbers as alternatives.
fn conflict((name, values): (&str, &[u128])) -> (String, Conflict) {
    let alternatives = values.iter().map(|value| Alternative {
        op_id: Uuid::from_u128(*value),
        value: Json::parse(&value.to_string()).ok(),
        at: time(0),
        device_id: "phone".to_owned(),
    });
    (name.to_owned(), Conflict { decision: None, alternatives: alternatives.collect() })
}

/// Receives a record without conflicts.
fn receive(journal: &mut Journal<'_>, record: Record, device_id: &str) -> rusqlite::Result<()> {
    let before = sync::replica(journal.reader(), &Key::new(record.collection.name, record.id))?;
    let after = Replica { record, conflicts: Conflicts::new() };
    journal.received(after.record.collection.name, before.as_ref(), after, device_id)
}

struct Store {
    database: Database,
    _folder: tempfile::TempDir,
}

impl Store {
    async fn new() -> Store {
        let folder = tempfile::tempdir().expect("a folder");
        let database = store::open(&folder.path().join("garage.db")).await.expect("open");
        Store { database, _folder: folder }
    }

    async fn write<T: Send + 'static>(
        &self,
        seconds: i64,
        work: impl FnOnce(&mut Journal<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> T {
        self.write_touched(seconds, work).await.0
    }

    /// Returns the touched records too.
    async fn write_touched<T: Send + 'static>(
        &self,
        seconds: i64,
        work: impl FnOnce(&mut Journal<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> (T, Vec<Touched>) {
        let written = self.database.write(move |transaction| {
            let stamp = Stamp { now: time(seconds), new_uuid: Box::new(Uuid::now_v7), program: "app" };
            let mut journal = Journal::begin(transaction, stamp)?;
            let result = work(&mut journal)?;
            Ok::<_, Error>((result, journal.finish().into_iter().collect()))
        });
        written.await.expect("a write")
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> T {
        self.database.read(move |transaction| Ok::<_, Error>(work(transaction)?)).await.expect("a read")
    }

    async fn vehicle(&self, number: u128) -> Option<Record> {
        self.read(move |transaction| records::by_id(transaction, &VEHICLES, id(number))).await
    }

    async fn history(&self, number: u128) -> Vec<HistoryEntry> {
        self.read(move |transaction| history::of_record(transaction, id(number))).await
    }

    /// Returns the rows of a query with one text column.
    async fn rows(&self, sql: &'static str) -> Vec<String> {
        self.read(move |transaction| transaction.prepare(sql)?.query_map([], |row| row.get(0))?.collect()).await
    }
}

fn new_vehicle(number: u128, nickname: &str) -> Record {
    let mut record = Record::new(&VEHICLES, id(number), time(0));
    record.set(&vehicle::NICKNAME, text(nickname));
    record
}

async fn add(store: &Store, number: u128, nickname: &str) -> Record {
    let record = new_vehicle(number, nickname);
    store.write(1, move |journal| journal.local(None, record, ChangeKind::Added, None)).await
}

#[tokio::test]
async fn a_local_write_stores_row_history_and_mark_and_lists_the_touched_record() {
    let store = Store::new().await;
    let added = add(&store, 1, "Blue").await;
    assert_eq!((added.created_at, added.updated_at), (time(1), time(1)), "both times are the time of the write");
    assert_eq!(store.vehicle(1).await, Some(added.clone()));
    assert_eq!(store.rows("SELECT record_id FROM waiting").await, [id(1).to_string()]);
    let (after, touched) = store
        .write_touched(2, move |journal| {
            let mut after = added.clone();
            after.deleted_at = Some(journal.now());
            after.set(&vehicle::COLOR, text("red"));
            // `Edited` does not affect whether the record is removed: the record itself says so.
            journal.local(Some(&added), after, ChangeKind::Edited, None)
        })
        .await;
    assert!(after.is_removed());
    assert_eq!(touched, [("vehicles", id(1))]);
    let entries = store.history(1).await;
    assert_eq!(entries.iter().map(|it| it.kind.name()).collect::<Vec<_>>(), ["edited", "added"]);
    assert_eq!(entries[0].fields.len(), 1);
    let (_, touched) = store
        .write_touched(3, move |journal| {
            let before = after.clone();
            journal.local(Some(&before), after, ChangeKind::Edited, None)
        })
        .await;
    assert_eq!((touched.len(), store.history(1).await.len()), (0, 2), "a write without differences writes nothing");
}

#[tokio::test]
async fn a_received_record_keeps_its_times_and_is_not_marked_as_waiting() {
    let store = Store::new().await;
    let mut record = new_vehicle(1, "theirs");
    record.updated_at = time(50);
    record.extra.insert("wheels".to_owned(), Json::parse("4.0").expect("JSON"));
    record.set_value("year", text("MMXX"));
    let sent = record.clone();
    store.write(100, move |journal| receive(journal, sent, "phone")).await;
    assert_eq!(store.vehicle(1).await, Some(record.clone()));
    let entry = store.history(1).await.remove(0);
    assert_eq!((entry.device_id.as_str(), entry.program.as_str(), entry.at), ("phone", "sync", time(50)));
    assert_eq!(store.rows("SELECT record_id FROM waiting").await, Vec::<String>::new());
    record.deleted_at = Some(time(60));
    store.write(101, move |journal| receive(journal, record, "phone")).await;
    assert_eq!(store.history(1).await[0].kind, ChangeKind::Removed);
    let again = store.vehicle(1).await.expect("the vehicle");
    store.write(102, move |journal| receive(journal, again, "phone")).await;
    assert_eq!(store.history(1).await.len(), 2, "receiving the same record again adds no history");
    let mut restored = store.vehicle(1).await.expect("the vehicle");
    restored.deleted_at = None;
    store.write(103, move |journal| receive(journal, restored, "phone")).await;
    assert_eq!(store.history(1).await[0].kind, ChangeKind::Restored);
}

#[tokio::test]
async fn a_stored_record_has_origins_only_of_values_that_were_not_typed() {
    let store = Store::new().await;
    let decoded = || Origin::Decoded { from: "snapshot".to_owned(), month: None };
    let mut record = new_vehicle(1, "Blue");
    record.set(&vehicle::MAKE, text("HONDA"));
    record.origins.insert("make".to_owned(), decoded());
    record.origins.insert("model".to_owned(), decoded());
    record.origins.insert("nickname".to_owned(), Origin::Typed);
    let mut other = record.clone();
    other.id = id(2);
    store.write(1, move |journal| journal.local(None, record, ChangeKind::Added, None)).await;
    store.write(1, move |journal| journal.imported(other, &[])).await.expect("imported");
    for number in [1, 2] {
        let origins = store.vehicle(number).await.expect("the vehicle").origins;
        assert_eq!(origins.into_iter().collect::<Vec<_>>(), [("make".to_owned(), decoded())]);
    }
}

#[tokio::test]
async fn a_record_of_an_unknown_collection_is_stored_once_with_its_history_and_waits() {
    let store = Store::new().await;
    let record = ForeignRecord {
        collection: "tires".to_owned(),
        id: id(1),
        fields: BTreeMap::from([("size".to_owned(), Json::parse("17.0").expect("JSON"))]),
        origins: BTreeMap::new(),
        created_at: time(0),
        updated_at: time(0),
        deleted_at: None,
    };
    // History in a file goes by the id that the record has there.
    let entry = HistoryEntry {
        id: ChangeId(Uuid::from_u128(9)),
        collection: "tires".to_owned(),
        record_id: id(7),
        kind: ChangeKind::Added,
        fields: Vec::new(),
        undoes: None,
        at: time(0),
        device_id: "other".to_owned(),
        program: "cli".to_owned(),
        moved_from: None,
    };
    let (first, history) = (record.clone(), [entry.clone()]);
    assert!(store.write(1, move |journal| journal.foreign(&first, &history)).await);
    assert_eq!(store.history(1).await, [HistoryEntry { record_id: id(1), ..entry }]);
    assert_eq!(store.rows("SELECT collection || record_id FROM waiting").await, [format!("tires{}", id(1))]);
    let fields = "SELECT fields FROM foreign_records";
    assert_eq!(store.rows(fields).await, [r#"{"size":17.0}"#]);
    let other = ForeignRecord { fields: BTreeMap::new(), ..record };
    assert!(!store.write(2, move |journal| journal.foreign(&other, &[])).await);
    assert_eq!(store.rows(fields).await, [r#"{"size":17.0}"#]);
}

#[tokio::test]
async fn vehicles_of_any_time_sort_by_time_and_then_by_id() {
    let store = Store::new().await;
    // Each microsecond has its own positions up to 2^53 - 1.
    let last = (1 << 53) - 1;
    let times = [last + 1, i64::from(u32::MAX), last, last + 2, -5, last, 0, last + 1];
    for (number, microseconds) in (1..).zip(times) {
        let mut record = new_vehicle(number, "any");
        record.created_at = Timestamp::from_microsecond(microseconds).expect("a time");
        store.write(1, move |journal| journal.imported(record, &[])).await.expect("imported");
    }
    let sorted = |order: &'static str| {
        store.read(move |transaction| {
            let mut statement = transaction.prepare(&format!("SELECT id FROM vehicles ORDER BY {order}"))?;
            statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
        })
    };
    assert_eq!(sorted("position").await, sorted("created_at_us, id").await);
    let first_positions = "SELECT CAST(position AS TEXT) FROM vehicles WHERE created_at_us = 9007199254740991";
    let expected = [last * 1024, last * 1024 + 1].map(|position| position.to_string());
    assert_eq!(store.rows(first_positions).await, expected);
}

#[tokio::test]
async fn a_record_received_with_another_creation_time_takes_its_place() {
    let store = Store::new().await;
    let mut one = add(&store, 1, "one").await;
    add(&store, 2, "two").await;
    let mut entry = Record::new(&SERVICE_ENTRIES, id(3), time(0));
    entry.set(&service_entry::VEHICLE_ID, text(&id(2).to_string()));
    let mut entry = store.write(1, move |journal| journal.local(None, entry, ChangeKind::Added, None)).await;
    let order = "SELECT nickname FROM vehicles ORDER BY position";
    assert_eq!(store.rows(order).await, ["one", "two"]);
    one.created_at = time(9);
    entry.created_at = time(9);
    let (sent, sent_entry) = (one.clone(), entry.clone());
    store
        .write(20, move |journal| {
            // With a difference, because a record whose fields are equal is not written.
            let mut sent = sent;
            sent.set(&vehicle::COLOR, text("red"));
            let mut sent_entry = sent_entry;
            sent_entry.set(&service_entry::DESCRIPTION, text("Oil"));
            receive(journal, sent, "phone")?;
            receive(journal, sent_entry, "phone")
        })
        .await;
    assert_eq!(store.rows(order).await, ["two", "one"]);
    assert_eq!(store.vehicle(1).await.expect("the vehicle").created_at, time(9));
    // Service entries have no places.
    let entries = "SELECT created_at_us || ' ' || position FROM service_entries";
    assert_eq!(store.rows(entries).await, [format!("{} 1", time(9).as_microsecond())]);
}

#[tokio::test]
async fn a_salvaged_row_is_stored_as_it_is_unless_its_key_exists() {
    let store = Store::new().await;
    let salvage = |record_id: &'static str| {
        store.write(1, move |journal| {
            let columns = ["collection", "alias_id", "record_id"].map(str::to_owned);
            let values = ["vehicles", "a", record_id].map(|text| StoredValue::Text(text.into()));
            journal.salvaged("alias", &columns, values.to_vec())
        })
    };
    assert!(salvage("first").await);
    assert!(!salvage("second").await);
    assert_eq!(store.rows("SELECT collection || alias_id || record_id FROM alias").await, ["vehiclesafirst"]);
}

#[tokio::test]
async fn a_rebuilt_record_waits_and_adds_no_history() {
    let store = Store::new().await;
    let record = new_vehicle(1, "rebuilt");
    let rebuilt = record.clone();
    store.write(1, move |journal| journal.rebuilt(rebuilt)).await;
    assert_eq!((store.vehicle(1).await, store.history(1).await.len()), (Some(record), 0));
    assert_eq!(store.rows("SELECT record_id FROM waiting").await, [id(1).to_string()]);
}

#[tokio::test]
async fn an_imported_record_keeps_its_history_and_never_replaces_an_existing_record() {
    let store = Store::new().await;
    let record = new_vehicle(1, "imported");
    let told = HistoryEntry {
        id: ChangeId(Uuid::from_u128(9)),
        collection: "vehicles".to_owned(),
        record_id: id(1),
        kind: ChangeKind::Other("painted".to_owned()),
        fields: Vec::new(),
        undoes: None,
        at: time(-5),
        device_id: "other".to_owned(),
        program: "cli".to_owned(),
        moved_from: None,
    };
    let (first, entry) = (record.clone(), told.clone());
    assert!(store.write(1, move |journal| journal.imported(first, &[entry])).await.is_some());
    assert_eq!(store.vehicle(1).await, Some(record.clone()));
    assert_eq!(store.history(1).await, [told]);
    assert_eq!(store.rows("SELECT record_id FROM waiting").await, [id(1).to_string()]);
    let mut other = record.clone();
    other.set(&vehicle::NICKNAME, text("other"));
    assert!(store.write(2, move |journal| journal.imported(other, &[])).await.is_none());
    assert_eq!(store.vehicle(1).await, Some(record));
    let bare = new_vehicle(2, "bare");
    let imported = store.write(3, move |journal| journal.imported(bare, &[])).await.expect("imported");
    assert_eq!(store.history(2).await[0].kind, ChangeKind::Added, "a record without history counts as added now");
    store.write(4, move |journal| journal.withdraw(&imported)).await;
    assert_eq!((store.vehicle(2).await, store.history(2).await.len()), (None, 0));
}

#[tokio::test]
async fn a_merged_record_is_found_by_both_ids_and_leaves_no_row_or_mark() {
    let store = Store::new().await;
    let mut one = new_vehicle(1, "one");
    one.set(&vehicle::MAKE, text("HONDA"));
    one.set_origin("make", Origin::Decoded { from: "snapshot".to_owned(), month: None });
    one.set(&vehicle::COLOR, text("red"));
    let mut two = new_vehicle(2, "two");
    two.set(&vehicle::MAKE, text("Honda"));
    two.set(&vehicle::MODEL, text("Accord"));
    two.set(&vehicle::ODOMETER_UNIT, text("km"));
    two.extra.insert("wheels".to_owned(), Json::parse("4").expect("JSON"));
    let mut entry = Record::new(&SERVICE_ENTRIES, id(3), time(0));
    entry.set(&service_entry::VEHICLE_ID, text(&id(2).to_string()));
    entry.set(&service_entry::DATE, text("2026-03-14"));
    store
        .write(1, move |journal| {
            for record in [one, two, entry] {
                journal.local(None, record, ChangeKind::Added, None)?;
            }
            Ok(())
        })
        .await;
    let after = store.write(2, |journal| journal.moved(&VEHICLES, id(2), id(1))).await.expect("moved");
    let value = |name: &str| after.value(name).map(|value| value.to_string()).unwrap_or_default();
    assert_eq!([value("nickname"), value("make"), value("model")], ["one", "Honda", "Accord"]);
    assert_eq!([value("color"), value("odometerUnit"), value("wheels")], ["red", "km", "4"]);
    assert_eq!(store.vehicle(1).await, Some(after.clone()));
    assert_eq!(store.vehicle(2).await, Some(after), "the old id is an alias");
    assert_eq!(store.rows("SELECT id FROM vehicles").await, [id(1).to_string()]);
    assert_eq!(store.rows("SELECT vehicle_id FROM service_entries").await, [id(1).to_string()]);
    assert_eq!(store.rows("SELECT field FROM conflict").await, ["nickname"], "a conflict of two typed values");
    let conflict = store.rows("SELECT alternatives FROM conflict").await.remove(0);
    assert!(conflict.contains(r#""value":"two""#), "{conflict}");
    let history = store.history(1).await;
    let kinds: Vec<(&str, Option<RecordId>)> = history.iter().map(|it| (it.kind.name(), it.moved_from)).collect();
    assert_eq!(kinds[0], ("merged", None));
    assert_eq!(kinds.len(), 3);
    assert!(kinds.contains(&("added", Some(id(2)))) && kinds.contains(&("added", None)), "{kinds:?}");
    assert_eq!(store.rows("SELECT record_id FROM waiting ORDER BY 1").await, [id(1), id(3)].map(|it| it.to_string()));

    // What is written here goes by the new id.
    let mut late = Record::new(&SERVICE_ENTRIES, id(4), time(0));
    late.set(&service_entry::VEHICLE_ID, text(&id(2).to_string()));
    let stored = store.write(3, move |journal| journal.local(None, late, ChangeKind::Added, None)).await;
    assert_eq!(stored.reference(&service_entry::VEHICLE_ID), Some(id(1)));
    let again = new_vehicle(2, "again");
    assert!(store.write(4, move |journal| journal.imported(again, &[])).await.is_none(), "it exists under another id");

    // A chain of merges resolves to its end.
    add(&store, 5, "five").await;
    store.write(6, |journal| journal.moved(&VEHICLES, id(1), id(5))).await.expect("moved");
    for number in [1, 2, 5] {
        assert_eq!(store.vehicle(number).await.map(|record| record.id), Some(id(5)));
    }
    assert_eq!(
        store.write(7, |journal| journal.moved(&VEHICLES, id(8), id(5))).await,
        None,
        "a merge of a missing record"
    );
}

#[tokio::test]
async fn a_merge_joins_conflicts_edits_references_and_cancels_a_removal() {
    let store = Store::new().await;
    let [one, two] = [(1, "one"), (2, "two")].map(|(number, nickname)| new_vehicle(number, nickname));
    let mut entry = Record::new(&SERVICE_ENTRIES, id(3), time(0));
    entry.set(&service_entry::VEHICLE_ID, text(&id(2).to_string()));
    store
        .write(1, move |journal| {
            for record in [one, two, entry] {
                journal.local(None, record, ChangeKind::Added, None)?;
            }
            let before = journal.record(&VEHICLES, id(1))?.expect("a vehicle");
            let mut removed = before.clone();
            removed.deleted_at = Some(journal.now());
            journal.local(Some(&before), removed, ChangeKind::Removed, None)?;
            let [one, two] = [id(1), id(2)].map(|id| Key::new("vehicles", id));
            let of_two = [("nickname", &[1, 2][..]), ("color", &[3])].map(conflict).into_iter().collect();
            sync::put_conflicts(journal.transaction, &one, &[conflict(("nickname", &[1]))].into_iter().collect())?;
            sync::put_conflicts(journal.transaction, &two, &of_two)
        })
        .await;
    let merged = store.write(9, |journal| journal.moved(&VEHICLES, id(2), id(1))).await.expect("merged");
    assert!(!merged.is_removed());
    assert_eq!(store.vehicle(1).await.map(|record| record.is_removed()), Some(false));
    let conflicts = store.read(|transaction| sync::conflicts(transaction, &Key::new("vehicles", id(1)))).await;
    let values = |name: &str| {
        let alternatives = conflicts[name].alternatives.iter();
        alternatives.map(|it| it.value.clone().expect("a value").text().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(conflicts.keys().collect::<Vec<_>>(), ["color", "nickname"]);
    assert_eq!(values("color"), ["3"]);
    assert_eq!(values("nickname").len(), 3, "{conflicts:?}");
    assert!(["1", "2", "\"two\""].iter().all(|value| values("nickname").contains(&(*value).to_owned())));
    assert_eq!(store.rows("SELECT DISTINCT record_id FROM conflict").await, [id(1).to_string()]);
    let reference = store.history(3).await.remove(0);
    assert_eq!((reference.kind, reference.fields[0].field.as_str()), (ChangeKind::Edited, "vehicleId"));
    let entry =
        store.read(|transaction| records::by_id(transaction, &SERVICE_ENTRIES, id(3))).await.expect("the entry");
    assert_eq!(entry.updated_at, time(9));
}

#[test]
fn positions_sort_vehicles_by_creation_time_then_id_in_any_order_of_arrival() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(ProptestConfig { cases: 12, ..ProptestConfig::default() });
    let arrivals = proptest::collection::vec((-2_000_000_000_i64..3, 0..30_u128), 1..40);
    let run = |arrivals: Vec<(i64, u128)>| {
        runtime.block_on(async {
            let store = Store::new().await;
            let mut expected = BTreeMap::new();
            for (index, (microseconds, number)) in arrivals.into_iter().enumerate() {
                // Most vehicles are created in the same microsecond.
                let created_at =
                    Timestamp::from_microsecond(1_764_000_000_000_000 + microseconds.max(-3)).expect("a time");
                let mut record = new_vehicle(number * 1000 + index as u128, "x");
                record.created_at = created_at;
                expected.insert((record.created_at, record.id), ());
                store.write(0, move |journal| journal.imported(record, &[])).await.expect("imported");
            }
            let listed = store.rows("SELECT id FROM vehicles ORDER BY position").await;
            assert_eq!(listed, expected.keys().map(|(_, id)| id.to_string()).collect::<Vec<_>>());
            let found =
                store.rows("SELECT CAST(count(*) AS TEXT) FROM vehicle_words WHERE vehicle_words MATCH 'x'").await;
            assert_eq!(found, [expected.len().to_string()], "the search index has every vehicle");
            let lost =
                "SELECT v.id FROM vehicles v LEFT JOIN vehicle_words w ON w.rowid = v.position WHERE w.rowid IS NULL";
            assert_eq!(store.rows(lost).await, Vec::<String>::new());
        });
        Ok(())
    };
    runner.run(&arrivals, run).expect("positions in order");
}

#[derive(Debug, Clone)]
enum Step {
    Local(u128, &'static str, Option<FieldValue>),
    Received(u128, &'static str, Option<FieldValue>),
    Imported(u128),
    Moved(u128, u128),
}

fn any_step() -> impl Strategy<Value = Step> {
    let name = proptest::sample::select(vec!["nickname", "year", "odometerUnit", "isActive", "wheels", "color"]);
    let value = prop_oneof![
        Just(None),
        any::<bool>().prop_map(|it| Some(FieldValue::Boolean(it))),
        any::<i64>().prop_map(|it| Some(FieldValue::Integer(it))),
        "\\PC{0,12}".prop_map(|it| Some(FieldValue::Text(it))),
        Just(FieldValue::of_json(Json::parse("[1, 2.50]").expect("JSON"))),
    ];
    prop_oneof![
        4 => (1..5_u128, name.clone(), value.clone()).prop_map(|(id, name, value)| Step::Local(id, name, value)),
        4 => (1..5_u128, name, value).prop_map(|(id, name, value)| Step::Received(id, name, value)),
        1 => (1..5_u128).prop_map(Step::Imported),
        1 => (1..5_u128, 1..5_u128).prop_map(|(from, to)| Step::Moved(from, to)),
    ]
}

/// After any steps, each record equals the replay of its history, and no row, reference or mark has an id that is an
/// alias.
#[test]
fn after_any_steps_rows_history_marks_and_aliases_are_consistent() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let run = |steps: Vec<Step>| {
        runtime.block_on(async {
            let store = Store::new().await;
            for (second, step) in (1..).zip(steps) {
                store
                    .write(second, move |journal| {
                        match step {
                            Step::Local(number, name, value) => {
                                let before = journal.record(&VEHICLES, id(number))?;
                                let mut after = before.clone().unwrap_or_else(|| new_vehicle(number, "new"));
                                after.set_value(name, value);
                                journal.local(before.as_ref(), after, ChangeKind::Edited, None)?;
                            }
                            Step::Received(number, name, value) => {
                                let mut record = journal
                                    .record(&VEHICLES, id(number))?
                                    .unwrap_or_else(|| new_vehicle(number, "sent"));
                                record.set_value(name, value);
                                record.updated_at = time(second);
                                receive(journal, record, "phone")?;
                            }
                            Step::Imported(number) => {
                                journal.imported(new_vehicle(number, "imported"), &[])?;
                            }
                            Step::Moved(from, to) => drop(journal.moved(&VEHICLES, id(from), id(to))?),
                        }
                        Ok(())
                    })
                    .await;
            }
            for number in 1..5 {
                let Some(record) = store.vehicle(number).await else { continue };
                let mut told = Record::new(&VEHICLES, record.id, record.created_at);
                let history = store.history(record.id.0.as_u128()).await;
                let changes = history.iter().rev().filter(|it| it.moved_from.is_none()).flat_map(|it| &it.fields);
                for change in changes.filter(|it| it.field != CONFLICTS) {
                    told.set_value(&change.field, change.new.clone());
                }
                for name in record.names().chain(told.names()) {
                    assert_eq!(record.value(name), told.value(name), "{name} of {number}");
                }
            }
            let dangling = "SELECT record_id FROM waiting WHERE record_id IN (SELECT alias_id FROM alias)
                            UNION SELECT record_id FROM base WHERE record_id IN (SELECT alias_id FROM alias)
                            UNION SELECT id FROM vehicles WHERE id IN (SELECT alias_id FROM alias)
                            UNION SELECT record_id FROM alias WHERE record_id NOT IN (SELECT id FROM vehicles)
                            UNION SELECT record_id FROM history WHERE record_id NOT IN (SELECT id FROM vehicles)";
            assert_eq!(store.rows(dangling).await, Vec::<String>::new());
        });
        Ok(())
    };
    runner.run(&proptest::collection::vec(any_step(), 1..25), run).expect("consistent");
}
