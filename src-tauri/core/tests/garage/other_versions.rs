//! A garage that the next version has written, with an unknown unit, origin, kind of change, field, column value, VIN
//! and collection. This version lists and edits it without losing any of them.

use garage_core::{
    ChangeKind, ChangeListener, Environment, ErrorCode, Existing, FileState, Garage, GarageConfig, GarageError,
    ImportMode, Origin, Progress, VehicleId, VehicleQuery,
};
use serde_json::{Value, json};

use crate::support::{Folder, add, code, config, draft, open, raw, total};

const VEHICLE: &str = "018f0000-0000-7000-8000-000000000001";

fn id() -> VehicleId {
    VEHICLE.parse().expect("an id")
}

/// Writes the rows of the next version to a garage.
async fn written_by_the_next_version(folder: &Folder) {
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "known"})).await;
    garage.close().await;
    let fixture = include_str!("../fixtures/next-version.sql");
    raw(&folder.garage_file()).execute_batch(fixture).expect("the fixture");
}

/// Reopens the garage with an id source that does not repeat earlier ids.
async fn reopened(folder: &Folder) -> Garage {
    let config = GarageConfig { environment: Environment::system(), ..config(&folder.garage_file()) };
    Garage::open(config, ChangeListener::none()).await.expect("open")
}

async fn exported(garage: &Garage) -> Value {
    let mut export = serde_json::to_value(garage.export(Progress::none()).await.expect("an export")).expect("JSON");
    export["exportedAt"] = Value::Null;
    export
}

fn the_vehicle(export: &Value) -> &Value {
    let vehicles = export["vehicles"].as_array().expect("a list");
    vehicles.iter().find(|it| it["id"] == VEHICLE).expect("the vehicle")
}

#[tokio::test]
async fn values_that_this_version_does_not_know_are_listed_returned_and_kept_by_edits() {
    let folder = Folder::new();
    written_by_the_next_version(&folder).await;
    let garage = reopened(&folder).await;
    let page = garage.list_vehicles(VehicleQuery::default()).await.expect("a page");
    assert_eq!(page.vehicles.len(), 2);
    let examination = garage.examine().await.expect("examined");
    assert_eq!((&examination.file, examination.unreadable), (&FileState::Sound, 0), "unknown values are not damage");
    assert_eq!(examination.foreign_records, 1);

    let shown = serde_json::to_value(garage.vehicle(id()).await.expect("the vehicle")).expect("JSON");
    assert_eq!(shown["odometerUnit"], "ly");
    assert_eq!(shown["vin"], "FRAME-0001-OF-NEXT");
    assert_eq!(shown["origins"]["make"], json!({"by": "robot", "arm": 2.5}));
    assert_eq!(shown["extra"], json!({"year": "MMXX", "wheels": {"front": 2, "rear": 2.0}}));
    let history = garage.history(id()).await.expect("a history");
    assert_eq!(history[0].kind, ChangeKind::Other("painted".to_owned()));
    assert_eq!(history[0].fields[0].field, "gloss");
    assert_eq!(
        code(garage.undo(history[0].id).await),
        ErrorCode::ChangedSince,
        "an unknown kind of change cannot be undone"
    );

    // Edit a field that is known, and undo it.
    let before = exported(&garage).await;
    garage.edit_vehicle(id(), &draft(json!({"color": "Red"}))).await.expect("edited");
    let change = garage.history(id()).await.expect("a history")[0].id;
    let edited = exported(&garage).await;
    for field in ["odometerUnit", "vin", "origins", "extra", "make"] {
        assert_eq!(the_vehicle(&edited)[field], the_vehicle(&before)[field], "{field}");
    }
    garage.undo(change).await.expect("undone");
    // Edit fields with unknown values, and undo it.
    garage.edit_vehicle(id(), &draft(json!({"year": 2020, "odometerUnit": "km"}))).await.expect("edited");
    let known = garage.vehicle(id()).await.expect("the vehicle");
    assert_eq!((known.fields.year, known.extra.contains_key("year")), (Some(2020), false));
    let change = garage.history(id()).await.expect("a history")[0].id;
    garage.undo(change).await.expect("undone");
    let mut undone = the_vehicle(&exported(&garage).await).clone();
    undone["updatedAt"] = the_vehicle(&before)["updatedAt"].clone();
    assert_eq!(&undone, the_vehicle(&before), "undo restores the unknown values unchanged");
}

#[tokio::test]
async fn export_backup_and_repair_keep_values_that_this_version_does_not_know() {
    let folder = Folder::new();
    written_by_the_next_version(&folder).await;
    let garage = reopened(&folder).await;
    let export = exported(&garage).await;
    assert_eq!(export["foreignRecords"][0]["collection"], "fuelEntries");
    // Compare the text: parsing could change the digits of numbers.
    let mut text = Vec::new();
    garage.write_export(garage_core::ExportFormat::Json, &mut text, Progress::none()).await.expect("an export");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains("12.50"), "{text}");

    let other = Folder::new();
    let imported = reopened(&other).await;
    let preview = imported.import_json(&text, ImportMode::Preview, Progress::none()).await.expect("a preview");
    let report = imported.import_json(&text, ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(report, preview);
    assert_eq!((report.added, report.refused.len(), report.others_added["fuelEntries"]), (2, 0, 1));
    assert_eq!(exported(&imported).await, export, "importing the export yields the same export");

    let backup = folder.0.path().join("backup.db");
    garage.back_up(&backup, Existing::Keep, Progress::none()).await.expect("backed up");
    imported.restore_backup(&backup, Progress::none()).await.expect("restored");
    assert_eq!(exported(&imported).await, export);
    garage.close().await;

    let mut bytes = std::fs::read(folder.garage_file()).expect("read");
    bytes[..16].fill(0);
    std::fs::write(folder.garage_file(), bytes).expect("write");
    let (repaired, repair) =
        Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert_eq!(total(&repair.records, "vehicles"), 2);
    assert_eq!(exported(&repaired).await, export);
}

#[tokio::test]
async fn import_moves_values_from_extra_to_the_fields_that_this_version_knows() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let file = json!({"format": "motovault-garage", "version": 2, "vehicles": [
        {"id": VEHICLE, "nickname": "Blue", "wheels": 4, "extra": {"year": 2003, "color": "red\u{1b}[2J", "gloss": 1}},
        {"id": "018f0000-0000-7000-8000-000000000002", "frameNumber": "AZE0-123456"},
        {"id": "018f0000-0000-7000-8000-000000000003"},
        {"id": "018f0000-0000-7000-8000-000000000004", "nickname": "x".repeat(101), "odometerUnit": "l\u{1b}"},
    ]});
    let import = async |file: &Value| {
        garage.import_json(&file.to_string(), ImportMode::Write, Progress::none()).await.expect("a report")
    };
    let report = import(&file).await;
    let messages: Vec<String> = report.refused.iter().map(|it| format!("{}: {}", it.number, it.message)).collect();
    assert_eq!(
        messages,
        [
            "1: color contains control characters",
            "3: A vehicle needs a VIN, a license plate, a nickname or a make",
            "4: nickname must be at most 100 characters; odometerUnit must be one of mi, km, h",
        ]
    );
    let mut fine = file.clone();
    fine["vehicles"][0]["extra"]["color"] = json!("red");
    assert_eq!(import(&fine).await.added, 1);
    let vehicle = garage.vehicle(id()).await.expect("the vehicle");
    assert_eq!((vehicle.fields.year, vehicle.fields.color.as_deref()), (Some(2003), Some("red")));
    assert_eq!(vehicle.extra.keys().collect::<Vec<_>>(), ["gloss", "wheels"]);
    assert_eq!(vehicle.origins["year"], Origin::Imported);
    // A list from another source must obey the rules, and its unknown fields are ignored.
    let list = json!([{"nickname": "n", "odometerUnit": "ly"}, {"nickname": "m", "wheels": 4}]);
    let report = import(&list).await;
    assert_eq!((report.added, report.refused.len()), (1, 1));
}

#[tokio::test]
async fn a_record_larger_than_512_kib_is_refused() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let file = json!({"format": "motovault-garage", "vehicles": [{"nickname": "n", "huge": "x".repeat(600_000)}]});
    let report = garage.import_json(&file.to_string(), ImportMode::Write, Progress::none()).await.expect("a report");
    assert_eq!(report.refused[0].message, "it is larger than 512 KiB");
    let newer = json!({"format": "motovault-garage", "version": 3, "vehicles": []});
    let refused = garage.import_json(&newer.to_string(), ImportMode::Write, Progress::none()).await;
    assert!(matches!(refused, Err(GarageError::ImportUnreadable(_))));
}

/// A garage whose `foreign_records` has one readable row and two that are not.
async fn with_unreadable_foreign_records(folder: &Folder) -> Garage {
    written_by_the_next_version(folder).await;
    let rows = "INSERT INTO foreign_records (collection, record_id, fields, origins, created_at_us, updated_at_us)
                VALUES ('fuelEntries', 'none', '{}', '{}', 1, 1),
                       ('fuelEntries', '018f0000-0000-7000-8000-000000000021', '{\"liters\":', '{}', 1, 1)";
    raw(&folder.garage_file()).execute_batch(rows).expect("unreadable rows");
    reopened(folder).await
}

#[tokio::test]
async fn unreadable_records_of_unknown_collections_are_counted_exported_and_reported_by_import() {
    let folder = Folder::new();
    let garage = with_unreadable_foreign_records(&folder).await;
    let examination = garage.examine().await.expect("examined");
    assert_eq!((examination.foreign_records, examination.unreadable), (3, 2));
    let export = exported(&garage).await;
    assert_eq!(export["foreignRecords"].as_array().map(Vec::len), Some(1));
    let unreadable = export["unreadable"].as_array().expect("a list");
    let rows: Vec<_> = unreadable.iter().map(|it| (&it["table"], &it["row"]["record_id"])).collect();
    let table = json!("foreign_records");
    assert_eq!(rows, [(&table, &json!("018f0000-0000-7000-8000-000000000021")), (&table, &json!("none"))]);

    let other = Folder::new();
    let report = reopened(&other).await.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await;
    let refused = report.expect("imported").refused;
    let message = "the program that wrote the file could not read it";
    let expected = ["unreadable 1", "unreadable 2"].map(|place| format!("{place}: {message}"));
    assert_eq!(places(&refused), expected);
}

fn places(problems: &[garage_core::ImportProblem]) -> Vec<String> {
    problems.iter().map(|it| format!("{} {}: {}", it.what, it.number, it.message)).collect()
}

#[tokio::test]
async fn unreadable_items_of_a_file_are_refused_with_their_place() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let known = |id: u32, fields: Value| {
        json!({"collection": "serviceEntries", "id": format!("018f0000-0000-7000-8000-{id:012}"), "fields": fields,
               "createdAt": "2026-03-14T00:00:00Z", "updatedAt": "2026-03-14T00:00:00Z", "deletedAt": null})
    };
    let fine = json!({"vehicleId": VEHICLE, "date": "2026-03-14", "kind": "wash"});
    let mut bad = fine.clone();
    bad["vendor"] = json!("\u{1b}[2J");
    let change = json!({"id": "018f0000-0000-7000-8000-000000000050", "collection": "serviceEntries",
        "recordId": "018f0000-0000-7000-8000-000000000031", "kind": "added", "fields": [], "undoes": null,
        "at": "2026-03-14T00:00:00Z", "deviceId": "next", "program": "watch", "movedFrom": null});
    let file = json!({
        "format": "motovault-garage", "version": 2, "exportedAt": "2026-03-14T00:00:00Z",
        "vehicles": [{"id": VEHICLE, "nickname": "Blue"}],
        "fuelEntries": [{"id": "bad"}, 7, {"liters": 5}, {"id": "018f0000-0000-7000-8000-000000000020"}],
        "tireSets": {"a": 1},
        "serviceEntries": 7,
        "foreignRecords": [{"a": 1}, 7, {"collection": "fuelEntries", "fields": {}}, known(30, bad), known(31, fine)],
        "history": [change],
    });
    for mode in [ImportMode::Preview, ImportMode::Write] {
        let report = garage.import_json(&file.to_string(), mode, Progress::none()).await.expect("a report");
        assert_eq!((report.added, &report.others_added["fuelEntries"]), (1, &1));
        assert_eq!(report.others_added["serviceEntries"], 1);
        assert_eq!(
            places(&report.refused),
            [
                "serviceEntries 1: it is not a list",
                "tireSets 1: it is not a list",
                "fuelEntries 1: id must be a UUID",
                "fuelEntries 2: A record must be an object",
                "fuelEntries 3: id must be a UUID",
                "foreignRecords 1: collection must be a string",
                "foreignRecords 2: A record must be an object",
                "foreignRecords 3: id must be a UUID",
                "foreignRecords 4: vendor contains control characters",
            ]
        );
    }
    let entry = "018f0000-0000-7000-8000-000000000031".parse().expect("an id");
    let history = garage.service_history(entry).await.expect("a history");
    assert_eq!(history[0].device_id, "next", "its history is imported");
}

#[tokio::test]
async fn an_existing_record_of_an_unknown_collection_is_compared_with_the_files() {
    let folder = Folder::new();
    let garage = with_unreadable_foreign_records(&folder).await;
    let id = |last: u32| format!("018f0000-0000-7000-8000-0000000000{last}");
    let fuel = |last: u32, liters: &str| {
        format!(
            r#"{{"id":"{}","vehicleId":"{VEHICLE}","liters":{liters},"createdAt":"2026-03-14T00:00:00Z"}}"#,
            id(last)
        )
    };
    let records = [fuel(20, "12.50"), fuel(20, "13"), fuel(21, "1"), fuel(22, "1"), fuel(22, "1"), fuel(22, "2")];
    let file =
        format!(r#"{{"format":"motovault-garage","version":2,"vehicles":[],"fuelEntries":[{}]}}"#, records.join(","));
    let preview = garage.import_json(&file, ImportMode::Preview, Progress::none()).await.expect("a preview");
    let report = garage.import_json(&file, ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(report, preview);
    assert_eq!((report.unchanged, report.others_added.get("fuelEntries")), (2, Some(&1)));
    assert_eq!(
        places(&report.kept),
        [
            "fuelEntries 2: The garage has it with other content, which was kept",
            "fuelEntries 3: The garage has it with content that cannot be read, which was kept",
            "fuelEntries 6: The garage has it with other content, which was kept",
        ]
    );
}

#[tokio::test]
async fn an_import_is_rolled_back_if_its_records_of_unknown_collections_cannot_be_written() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let before = exported(&garage).await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON foreign_records BEGIN SELECT RAISE(ABORT, 'no more'); END";
    raw(&folder.garage_file()).execute_batch(full).expect("a trigger");
    let file = json!({"format": "motovault-garage", "vehicles": [{"id": VEHICLE, "nickname": "Blue"}],
                      "fuelEntries": [{"id": "018f0000-0000-7000-8000-000000000020"}]});
    let failed = garage.import_json(&file.to_string(), ImportMode::Write, Progress::none()).await;
    assert_eq!(code(failed), ErrorCode::Internal);
    assert_eq!(exported(&garage).await, before);
}
