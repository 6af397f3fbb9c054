//! Adding, editing, removing and restoring vehicles, change notifications, and files that cannot be opened.

use std::time::Duration;

use garage_core::{
    Change, ChangeListener, Detail, Environment, ErrorCode, Garage, GarageConfig, RecordRef, VehicleId, VehicleQuery,
};
use serde_json::json;

use crate::support::{ACCORD, Folder, add, code, config, draft, open, raw};

fn changed(vehicle: VehicleId) -> Change {
    Change::Records(vec![RecordRef { collection: "vehicles", id: vehicle }])
}

#[tokio::test]
async fn a_vehicle_added_by_vin_is_decoded_and_stored() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let added = add(&garage, json!({"vin": " 1hgcm-82633-a004352 ", "nickname": "Blue"})).await;
    insta::assert_json_snapshot!(added);
    drop(garage);

    let reopened = open(&folder.garage_file()).await.expect("open");
    assert_eq!(reopened.all_vehicles(VehicleQuery::default()).await.expect("a list"), std::slice::from_ref(&added));
    assert_eq!(reopened.vehicle(added.id).await.expect("the vehicle"), added);
}

#[tokio::test]
async fn every_field_is_stored_and_read_back() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let all = json!({
        "vin": "10QIO", "licensePlate": "ÄB-123 ½", "nickname": "'; DROP TABLE vehicles; --", "year": 1964,
        "make": "<b>Make</b>", "model": "模型", "trimLevel": "t", "engine": "e", "transmission": "m", "driveType": "d",
        "fuelType": "f", "bodyClass": "b", "vehicleType": "v", "color": "c", "odometerReading": 9_999_999,
        "odometerUnit": "km", "notes": "line\nline\u{200f} 😀", "isActive": false,
    });
    let added = add(&garage, all.clone()).await;
    let stored = serde_json::to_value(garage.vehicle(added.id).await.expect("the vehicle")).expect("json");
    for (name, value) in all.as_object().expect("an object") {
        assert_eq!(&stored[name], value, "{name}");
    }
}

#[tokio::test]
async fn decoding_never_replaces_a_typed_value() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let fields = add(&garage, json!({"vin": ACCORD, "make": "Honda (JP)", "engine": "J30"})).await.fields;
    assert_eq!(fields.make.as_deref(), Some("Honda (JP)"));
    assert_eq!(fields.engine.as_deref(), Some("J30"));
    assert_eq!((fields.model.as_deref(), fields.year), (Some("Accord"), Some(2003)));
}

#[tokio::test]
async fn adding_a_vin_later_fills_the_empty_fields() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue", "year": 2004})).await.id;
    let fields = garage.edit_vehicle(id, &draft(json!({"vin": ACCORD}))).await.expect("edited").fields;
    assert_eq!((fields.year, fields.make.as_deref()), (Some(2004), Some("HONDA")));
    // Clearing a decoded field is intentional: only a new VIN fills it again.
    let fields = garage.edit_vehicle(id, &draft(json!({"make": null}))).await.expect("edited").fields;
    assert_eq!(fields.make, None);
}

#[tokio::test]
async fn a_vehicle_is_saved_without_a_snapshot() {
    let folder = Folder::new();
    let config = GarageConfig { snapshot_file: folder.0.path().join("no-such-file"), ..config(&folder.garage_file()) };
    let garage = Garage::open(config, ChangeListener::none()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.make, None);
    assert_eq!(code(garage.decode_vin(ACCORD, None, Detail::Fields).await), ErrorCode::SnapshotMissing);
}

#[tokio::test]
async fn a_packed_snapshot_is_unpacked_on_first_use() {
    let folder = Folder::new();
    let config = GarageConfig {
        snapshot_file: folder.0.path().join("cache/vpic.rkyv"),
        packed_snapshots: vec![garage_testkit::packed_snapshot(folder.0.path())],
        ..config(&folder.garage_file())
    };
    let snapshot_file = config.snapshot_file.clone();
    let garage = Garage::open(config, ChangeListener::none()).await.expect("open");
    assert!(!snapshot_file.exists());
    let added = add(&garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.make.as_deref(), Some("HONDA"));
    assert!(snapshot_file.exists());
}

#[tokio::test]
async fn an_edit_changes_only_the_named_fields() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let before = add(&garage, json!({"vin": ACCORD, "nickname": "Blue", "odometerReading": 50_000})).await;
    let after = garage
        .edit_vehicle(before.id, &draft(json!({"odometerReading": 51_000, "nickname": null})))
        .await
        .expect("edited");
    assert!(after.updated_at > before.updated_at);
    let mut expected = before.clone();
    expected.fields.odometer_reading = Some(51_000);
    expected.fields.nickname = None;
    expected.updated_at = after.updated_at;
    assert_eq!(after, expected);
    let unchanged = garage.edit_vehicle(before.id, &draft(json!({"odometerReading": 51_000}))).await.expect("edited");
    assert_eq!(unchanged, after, "an edit without a difference is not stored");
}

#[tokio::test]
async fn a_vin_is_unique_among_vehicles_that_are_not_removed() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let first = add(&garage, json!({"vin": ACCORD})).await;
    let again = garage.add_vehicle(&draft(json!({"vin": ACCORD.to_lowercase()}))).await;
    assert_eq!(again.as_ref().expect_err("refused").to_string(), "Vehicle with this VIN already exists");
    assert_eq!(code(again), ErrorCode::DuplicateVin);
    let other = add(&garage, json!({"nickname": "Other"})).await;
    assert_eq!(code(garage.edit_vehicle(other.id, &draft(json!({"vin": ACCORD}))).await), ErrorCode::DuplicateVin);

    garage.remove_vehicle(first.id).await.expect("removed");
    let second = add(&garage, json!({"vin": ACCORD})).await;
    assert_eq!(code(garage.restore_vehicle(first.id).await), ErrorCode::DuplicateVin);
    garage.remove_vehicle(second.id).await.expect("removed");
    let restored = garage.restore_vehicle(first.id).await.expect("restored");
    assert_eq!((restored.fields, restored.deleted_at), (first.fields, None));
}

#[tokio::test]
async fn operations_on_a_removed_or_unknown_vehicle_fail_with_not_found() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue"})).await.id;
    let removed = garage.remove_vehicle(id).await.expect("removed");
    assert!(removed.deleted_at.is_some());
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), []);
    assert_eq!(code(garage.vehicle(id).await), ErrorCode::NotFound);
    assert_eq!(garage.vehicle_or_removed(id).await.expect("the damaged file"), removed);
    assert_eq!(code(garage.edit_vehicle(id, &draft(json!({"color": "red"}))).await), ErrorCode::NotFound);
    assert_eq!(code(garage.remove_vehicle(id).await), ErrorCode::NotFound);
    let unknown = "00000000-0000-0000-0000-00000000ffff".parse().expect("an id");
    assert_eq!(code(garage.restore_vehicle(unknown).await), ErrorCode::NotFound);
    assert_eq!(code(garage.vehicle_or_removed(unknown).await), ErrorCode::NotFound);
}

#[tokio::test]
async fn vehicles_are_listed_newest_first() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for nickname in ["a", "b", "c"] {
        add(&garage, json!({"nickname": nickname})).await;
    }
    let names: Vec<_> = garage
        .all_vehicles(VehicleQuery::default())
        .await
        .expect("a list")
        .into_iter()
        .map(|it| it.fields.nickname)
        .collect();
    assert_eq!(names, ["c", "b", "a"].map(|name| Some(name.to_owned())));
}

#[tokio::test]
async fn an_invalid_draft_returns_every_invalid_field_and_is_not_stored() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let refused = garage.add_vehicle(&draft(json!({"vin": "HELLO!", "year": 1885}))).await.expect_err("refused");
    let fields: Vec<String> = refused.details().into_iter().map(|detail| detail.field).collect();
    assert_eq!(fields, ["vin", "year"]);
    assert_eq!(refused.to_string(), "VIN can contain only letters and digits");
    assert_eq!(code(garage.add_vehicle(&draft(json!({}))).await), ErrorCode::Invalid);
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), []);
}

/// The CLI's tests cover two processes.
#[tokio::test]
async fn concurrent_writes_through_two_open_garages_are_all_stored() {
    const WRITES: usize = 25;
    let folder = Folder::new();
    let system = || GarageConfig { environment: Environment::system(), ..config(&folder.garage_file()) };
    let first = Garage::open(system(), ChangeListener::none()).await.expect("open");
    let second = Garage::open(system(), ChangeListener::none()).await.expect("open");
    let shared = add(&first, json!({"nickname": "shared"})).await;
    let write = async |garage: &Garage, field: &str| {
        for index in 0..WRITES {
            add(garage, json!({"nickname": format!("{field} {index}")})).await;
            let edit = draft(json!({field: format!("{index}")}));
            garage.edit_vehicle(shared.id, &edit).await.expect("edited");
        }
    };
    tokio::join!(write(&first, "color"), write(&second, "notes"));
    for garage in [&first, &second] {
        assert_eq!(garage.count_vehicles(VehicleQuery::default()).await.expect("a count") as usize, 1 + 2 * WRITES);
        assert_eq!(garage.history(shared.id).await.expect("a history").len(), 1 + 2 * WRITES);
        let fields = garage.vehicle(shared.id).await.expect("the vehicle").fields;
        let last = Some(format!("{}", WRITES - 1));
        assert_eq!((fields.color, fields.notes), (last.clone(), last));
    }
}

#[tokio::test]
async fn vehicles_are_found_by_id_prefix_and_by_vin() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let accord = add(&garage, json!({"vin": ACCORD})).await;
    let other = add(&garage, json!({"nickname": "other"})).await;
    let ids = async |beginning: &str, is_removed| {
        let found = garage.vehicles_by_id_beginning(beginning, is_removed).await.expect("found");
        found.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let id = accord.id.to_string();
    assert_eq!(ids(&id, false).await, [accord.id]);
    assert_eq!(ids(&id.to_uppercase(), false).await, [accord.id]);
    // Consecutive ids share everything but their end.
    let (a, b) = (accord.id.min(other.id), accord.id.max(other.id));
    assert_eq!(ids(&id[..20], false).await, [a, b]);
    assert_eq!(ids("ffffffff", false).await, []);
    let vin: garage_core::domain::Vin = accord.fields.vin.clone().expect("a VIN");
    let by_vin = async || garage.vehicles_by_vin(vin.clone()).await.expect("found");
    assert_eq!(by_vin().await, std::slice::from_ref(&accord));
    garage.remove_vehicle(accord.id).await.expect("removed");
    assert_eq!((ids(&id, false).await, ids(&id, true).await), (vec![], vec![accord.id]));
    assert_eq!(by_vin().await, []);
}

#[tokio::test]
async fn the_listener_is_called_for_other_programs_writes_and_once_for_own_writes() {
    let folder = Folder::new();
    let (sender, heard) = std::sync::mpsc::channel();
    let listener = ChangeListener::new(move |change| drop(sender.send(change.clone())));
    let garage = Garage::open(config(&folder.garage_file()), listener).await.expect("open");
    let other = open(&folder.garage_file()).await.expect("open");
    let _watch = garage.watch_others().expect("a watch");
    // Let the watch read SQLite's data version before the first write.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let own = add(&garage, json!({"nickname": "own"})).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [changed(own.id)]);
    other.edit_vehicle(own.id, &draft(json!({"nickname": "theirs"}))).await.expect("edited");
    // Wait for the notification itself: the delay of file system events varies.
    let heard = tokio::task::spawn_blocking(move || heard.recv()).await.expect("no panic");
    assert_eq!(heard, Ok(Change::Everything));
}

#[tokio::test]
async fn opening_a_damaged_or_newer_file_returns_the_reason_and_does_not_change_it() {
    let folder = Folder::new();
    let path = folder.garage_file();
    let noise: Vec<u8> = (0..40_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(&path, &noise).expect("write");
    assert_eq!(code(open(&path).await.map(|_| ())), ErrorCode::GarageDamaged);
    assert_eq!(std::fs::read(&path).expect("read"), noise, "nothing was written");
    std::fs::remove_file(&path).expect("remove");

    open(&path).await.expect("open").close().await;
    let connection = rusqlite::Connection::open(&path).expect("open");
    connection
        .execute("INSERT INTO refinery_schema_history VALUES (9999, 'future', '', '1')", [])
        .expect("a newer version's mark");
    drop(connection);
    let before = std::fs::read(&path).expect("read");
    let newer = open(&path).await.err().expect("refused");
    assert!(std::fs::read(&path).expect("read") == before, "the file is unchanged");
    assert_eq!(newer.code(), ErrorCode::GarageNewer);
    assert!(newer.to_string().contains("newer version of MotoVault"), "{newer}");
}

#[tokio::test]
async fn the_listener_is_called_for_every_write_and_not_for_failures() {
    let folder = Folder::new();
    let (sender, heard) = std::sync::mpsc::channel::<Change>();
    let config = config(&folder.garage_file());
    let listener = ChangeListener::new(move |change| sender.send(change.clone()).expect("a receiver"));
    let garage = Garage::open(config, listener).await.expect("open");
    let id = add(&garage, json!({"vin": ACCORD})).await.id;
    garage.edit_vehicle(id, &draft(json!({"color": "Blue"}))).await.expect("edited");
    garage.edit_vehicle(id, &draft(json!({"color": "Blue"}))).await.expect("the same again");
    garage.remove_vehicle(id).await.expect("removed");
    garage.restore_vehicle(id).await.expect("restored");
    garage.add_vehicle(&draft(json!({"vin": ACCORD}))).await.expect_err("refused");
    let heard: Vec<Change> = heard.try_iter().collect();
    assert_eq!(heard, vec![changed(id); 4]);
}

#[tokio::test]
async fn a_corrected_vin_replaces_the_values_decoded_from_the_old_one() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let wrong = add(&garage, json!({"vin": "5YJSA1E26HF000337", "color": "Red", "engine": "mine"})).await;
    assert_eq!(wrong.fields.make.as_deref(), Some("TESLA"));
    let edited = garage.edit_vehicle(wrong.id, &draft(json!({"vin": ACCORD}))).await.expect("edited");
    let other_folder = Folder::new();
    let alone = open(&other_folder.garage_file()).await.expect("open");
    let alone = add(&alone, json!({"vin": ACCORD, "color": "Red", "engine": "mine"})).await;
    assert_eq!(
        (&edited.fields, &edited.origins),
        (&alone.fields, &alone.origins),
        "same as a vehicle added with the correct VIN"
    );
    assert_eq!(garage.decode_offers(wrong.id).await.expect("offers"), []);
    let change = garage.history(wrong.id).await.expect("a history")[0].id;
    let undone = garage.undo(change).await.expect("undone");
    assert_eq!((undone.fields, undone.origins), (wrong.fields, wrong.origins));
}

#[tokio::test]
async fn a_typed_year_that_contradicts_the_vin_is_kept_and_ignored_by_decoding() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD, "year": 1999})).await;
    assert_eq!((added.fields.year, added.fields.model.as_deref()), (Some(1999), Some("Accord")));
}

#[tokio::test]
async fn a_new_vin_without_a_decoder_changes_no_other_field() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD})).await;
    garage.close().await;
    let missing = GarageConfig { snapshot_file: folder.0.path().join("none"), ..config(&folder.garage_file()) };
    let garage = Garage::open(missing, ChangeListener::none()).await.expect("open");
    let edited = garage.edit_vehicle(added.id, &draft(json!({"vin": "5YJSA1E26HF000337"}))).await.expect("edited");
    assert_eq!(edited.fields.make.as_deref(), Some("HONDA"));
}

/// Sync can store two live vehicles with one VIN until it merges them; each can be edited meanwhile.
#[tokio::test]
async fn a_duplicate_vin_is_refused_only_if_the_edit_changes_the_vin_or_restores_the_vehicle() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let one = add(&garage, json!({"vin": ACCORD})).await;
    garage.close().await;
    let twin = "INSERT INTO vehicles (position, id, vin, odometer_unit, is_active, created_at_us, updated_at_us)
                VALUES (5, '018f0000-0000-7000-8000-000000000009', ?1, 'mi', 1, 1, 1)";
    raw(&folder.garage_file()).execute(twin, [ACCORD]).expect("a twin");
    let config = GarageConfig { environment: Environment::system(), ..config(&folder.garage_file()) };
    let garage = Garage::open(config, ChangeListener::none()).await.expect("open");
    let edited = garage.edit_vehicle(one.id, &draft(json!({"color": "Red", "vin": ACCORD}))).await.expect("edited");
    assert_eq!(edited.fields.color.as_deref(), Some("Red"));
    let change = garage.history(one.id).await.expect("a history")[0].id;
    garage.undo(change).await.expect("undone");
    garage.remove_vehicle(one.id).await.expect("removed");
    assert_eq!(code(garage.restore_vehicle(one.id).await), ErrorCode::DuplicateVin, "a restore makes it live again");
    assert_eq!(code(garage.add_vehicle(&draft(json!({"vin": ACCORD}))).await), ErrorCode::DuplicateVin);
}
