//! Export and import.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use garage_core::{
    ChangeListener, Environment, ErrorCode, Garage, GarageConfig, ImportMode, Origin, Progress, VehicleQuery,
};
use serde_json::{Value, json};

use crate::support::{ACCORD, Folder, add, code, config, draft, open, raw};

fn without_time(mut export: Value) -> Value {
    export["exportedAt"] = Value::Null;
    export
}

#[tokio::test]
async fn importing_a_json_export_restores_everything() {
    let (from, to) = (Folder::new(), Folder::new());
    let garage = open(&from.garage_file()).await.expect("open");
    let accord = add(&garage, json!({"vin": ACCORD, "notes": "line\nline \u{200f}😀", "licensePlate": "\"<b>'"})).await;
    garage.edit_vehicle(accord.id, &draft(json!({"odometerReading": 5}))).await.expect("edited");
    let gone = add(&garage, json!({"nickname": "gone"})).await;
    garage.edit_vehicle(accord.id, &draft(json!({"color": "Red"}))).await.expect("edited");
    garage.remove_vehicle(gone.id).await.expect("removed");
    let export = serde_json::to_value(garage.export(Progress::none()).await.expect("an export")).expect("JSON");

    // The other device's ids start elsewhere.
    let config = GarageConfig { environment: Environment::system(), ..config(&to.garage_file()) };
    let other = Garage::open(config, ChangeListener::none()).await.expect("open");
    let preview =
        other.import_json(&export.to_string(), ImportMode::Preview, Progress::none()).await.expect("a preview");
    assert_eq!((preview.added, other.all_vehicles(VehicleQuery::default()).await.expect("a list").len()), (2, 0));
    let report = other.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(report, preview);
    let again = serde_json::to_value(other.export(Progress::none()).await.expect("an export")).expect("JSON");
    assert_eq!(without_time(again), without_time(export.clone()));

    assert_eq!(export["history"].as_array().map(Vec::len), Some(5), "history in chronological order");

    let repeated = other.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!((repeated.added, repeated.unchanged), (0, 2));
    other.edit_vehicle(accord.id, &draft(json!({"color": "Blue"}))).await.expect("edited");
    let differing =
        other.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!((differing.added, differing.unchanged, differing.kept.len()), (0, 1, 1));
    let kept = other.vehicle(accord.id).await.expect("the vehicle");
    assert_eq!(kept.fields.color.as_deref(), Some("Blue"), "an existing vehicle is not overwritten");
}

#[tokio::test]
async fn a_list_is_imported_and_every_invalid_record_is_reported() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"vin": ACCORD})).await;
    let list = json!([
        {"nickname": "fine", "userId": "x"},
        {"nickname": 5, "year": "x"},
        {},
        "text",
        {"vin": ACCORD.to_lowercase()},
        {"nickname": "bad id", "id": "7"},
        {"nickname": "bad time", "createdAt": "yesterday"},
        {"nickname": "separated", "odometerReading": "50.000", "year": "2,003"},
    ]);
    let report = garage.import_json(&list.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(report.added, 1);
    let told = |problems: &[garage_core::ImportProblem]| {
        problems.iter().map(|problem| format!("{}: {}", problem.number, problem.message)).collect::<Vec<_>>()
    };
    assert_eq!(told(&report.kept), ["5: Vehicle with this VIN already exists"]);
    assert_eq!(
        told(&report.refused),
        [
            "2: nickname must be a string; year must be an integer",
            "3: A vehicle needs a VIN, a license plate, a nickname or a make",
            "4: A vehicle must be an object",
            "6: id must be a UUID",
            "7: createdAt must be a time",
            "8: year must be an integer; write 2003 without separators; \
             odometerReading must be an integer; write 50000 without separators",
        ]
    );
    let fine =
        garage.all_vehicles(VehicleQuery { search: "fine".into(), ..VehicleQuery::default() }).await.expect("a list");
    assert!(fine[0].origins.values().all(|origin| *origin == Origin::Imported));
    assert_eq!(garage.history(fine[0].id).await.expect("a history").len(), 1);
}

#[tokio::test]
async fn a_list_can_be_imported_twice_and_with_a_byte_order_mark() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let list = "\u{feff}[{\"id\": \"018f0000-0000-7000-8000-000000000001\", \"nickname\": \"Blue\"}]";
    for (added, unchanged) in [(1, 0), (0, 1)] {
        let report = garage.import_json(list, ImportMode::Write, Progress::none()).await.expect("imported");
        assert_eq!((report.added, report.unchanged), (added, unchanged), "{report:?}");
    }
}

/// Otherwise undo would restore invalid values.
#[tokio::test]
async fn a_vehicle_whose_history_has_invalid_values_is_refused() {
    let (from, to) = (Folder::new(), Folder::new());
    let garage = open(&from.garage_file()).await.expect("open");
    let vehicle = add(&garage, json!({"nickname": "a"})).await;
    garage.edit_vehicle(vehicle.id, &draft(json!({"nickname": "b"}))).await.expect("edited");
    add(&garage, json!({"nickname": "fine"})).await;
    let mut export = serde_json::to_value(garage.export(Progress::none()).await.expect("an export")).expect("JSON");
    export["history"][1]["fields"][0]["old"] = json!("a\u{1b}[2J");
    let other = open(&to.garage_file()).await.expect("open");
    let report = other.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(report.added, 1);
    assert_eq!(report.refused[0].message, "its history: nickname contains control characters");
}

#[tokio::test]
async fn files_that_are_not_an_export_or_a_list_are_refused() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for text in [
        "",
        "\0",
        "7",
        "{",
        "{}",
        r#"{"vehicles": 7}"#,
        r#"{"format": "other", "vehicles": []}"#,
        r#"{"version": 3, "vehicles": []}"#,
        r#"{"vehicles": [], "history": 7}"#,
    ] {
        assert_eq!(
            code(garage.import_json(text, ImportMode::Write, Progress::none()).await),
            ErrorCode::Invalid,
            "{text}"
        );
    }
    // One unreadable change is reported and does not reject the rest.
    let text = r#"{"vehicles": [{"nickname": "fine"}], "history": [7]}"#;
    let report = garage.import_json(text, ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!((report.added, report.refused[0].message.as_str()), (1, "1 changes of history cannot be read"));
}

#[tokio::test]
async fn the_csv_export_has_one_column_per_field_and_escapes_formulas() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"vin": ACCORD, "nickname": "=HYPERLINK(\"x\")", "notes": "a, \"b\"\nc", "odometerReading": 5}))
        .await;
    let mut bytes = Vec::new();
    garage.export_csv(&mut bytes, Progress::none()).await.expect("CSV");
    insta::assert_snapshot!(String::from_utf8(bytes).expect("UTF-8"));
}

#[tokio::test]
async fn other_programs_can_write_between_the_batches_of_an_import() {
    let folder = Folder::new();
    let config = GarageConfig { environment: Environment::system(), ..config(&folder.garage_file()) };
    let garage = Garage::open(config.clone(), ChangeListener::none()).await.expect("open");
    let other = Garage::open(config, ChangeListener::none()).await.expect("open");
    let id = add(&garage, json!({"nickname": "edited meanwhile"})).await.id;
    let list: Vec<Value> = (0..3_000).map(|index| json!({"nickname": format!("car {index}")})).collect();
    let text = Value::Array(list).to_string();
    // At each progress report, another program writes before the import continues.
    let edits = Arc::new(AtomicI64::new(0));
    let made = edits.clone();
    let progress = Progress::new(move |_, _| {
        let (other, reading) = (other.clone(), made.fetch_add(1, Ordering::SeqCst) + 1);
        let edit = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let edit = draft(json!({"odometerReading": reading}));
            runtime.block_on(other.edit_vehicle(id, &edit)).expect("the write lock is free");
        });
        edit.join().expect("edited");
        ControlFlow::Continue(())
    });
    let report = garage.import_json(&text, ImportMode::Write, progress).await.expect("imported");
    assert_eq!(report.added, 3_000);
    let edits = edits.load(Ordering::SeqCst);
    assert!(edits > 10, "other programs could write only {edits} times");
    let vehicle = garage.vehicle(id).await.expect("the vehicle");
    assert_eq!(vehicle.fields.odometer_reading.map(i64::from), Some(edits));
}

#[tokio::test]
async fn a_canceled_import_is_rolled_back() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let here = add(&garage, json!({"nickname": "here"})).await;
    let text = Value::Array((0..1_000).map(|index| json!({"nickname": format!("car {index}")})).collect()).to_string();
    let stopping = Progress::new(|done, _| if done > 500 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    let stopped = garage.import_json(&text, ImportMode::Write, stopping).await;
    assert_eq!(code(stopped), ErrorCode::Canceled);
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), [here]);
    let found = VehicleQuery { search: "car".to_owned(), ..VehicleQuery::default() };
    assert_eq!(garage.count_vehicles(found).await.expect("a count"), 0, "the search index is rolled back too");
    let export = serde_json::to_value(garage.export(Progress::none()).await.expect("an export")).expect("JSON");
    assert_eq!(export["history"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn preview_and_export_work_while_another_program_holds_the_write_lock() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "here", "vin": ACCORD})).await;
    let other = raw(&folder.garage_file());
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let list =
        json!([{"nickname": "new"}, {"vin": ACCORD}, {"vin": "5YJSA1E26MF123456"}, {"vin": "5YJSA1E26MF123456"}]);
    let preview =
        garage.import_json(&list.to_string(), ImportMode::Preview, Progress::none()).await.expect("a preview");
    assert_eq!((preview.added, preview.kept.len()), (2, 2), "duplicates within the file are reported too");
    garage.export(Progress::none()).await.expect("an export");
    garage.examine().await.expect("examined");
    other.execute_batch("ROLLBACK").expect("released");
    let written = garage.import_json(&list.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!(written, preview, "the preview equals the import's report");
}

#[tokio::test]
async fn a_cost_that_is_no_amount_is_refused_with_the_rule_that_it_breaks() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let vehicle = add(&garage, json!({"nickname": "Blue"})).await.id;
    for (cost, message) in [
        ("-5", "cost must be between 0 and 9999999.99"),
        ("10000000", "cost must be between 0 and 9999999.99"),
        ("5,50", "cost must be an amount such as 129.90"),
        ("5.505", "cost must have at most 2 decimal places in EUR"),
    ] {
        let entry =
            json!({"vehicleId": vehicle, "date": "2026-03-14", "kind": "service", "cost": cost, "currency": "EUR"});
        let export = json!({"format": "motovault-garage", "vehicles": [], "serviceEntries": [entry]});
        let report =
            garage.import_json(&export.to_string(), ImportMode::Write, Progress::none()).await.expect("a report");
        assert_eq!(report.refused[0].message, message, "{cost}");
    }
}
