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
