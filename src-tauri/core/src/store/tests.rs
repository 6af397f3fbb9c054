//! Writes on a full disk.

use garage_domain::VehicleDraft;
use garage_files::Existing;
use serde_json::json;

use crate::{
    ChangeListener, Environment, ErrorCode, FileState, Garage, GarageConfig, GarageError, ImportMode, Program,
    Progress, SessionConfig, VehicleQuery,
};

fn draft(value: serde_json::Value) -> VehicleDraft {
    serde_json::from_value(value).expect("an object")
}

async fn open(folder: &std::path::Path) -> Garage {
    let config = GarageConfig {
        garage_file: folder.join("garage.db"),
        snapshot_file: folder.join("none"),
        packed_snapshots: Vec::new(),
        vpic_answers_file: folder.join("vpic-answers.db"),
        vpic_url: None,
        environment: Environment::system(),
        program: Program::App,
        session: SessionConfig::default(),
    };
    Garage::open(config, ChangeListener::none()).await.expect("open")
}

/// Limits the database to this many more pages, or removes the limit if `None`.
async fn leave_room(garage: &Garage, pages: Option<i64>) {
    let limit = garage.database.write::<_, GarageError>(move |transaction| {
        let used: i64 = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let limit = pages.map_or(1_000_000, |pages| used + pages);
        Ok(transaction.pragma_update_and_check(None, "max_page_count", limit, |row| row.get::<_, i64>(0))?)
    });
    limit.await.expect("a limit");
}

/// Returns all content of the garage, and asserts that the file is sound.
async fn content(garage: &Garage) -> String {
    let export = garage.export(Progress::none()).await.expect("an export");
    let mut value = serde_json::to_value(export).expect("JSON");
    value["exportedAt"] = json!(null);
    let found = VehicleQuery { search: "n".to_owned(), ..VehicleQuery::default() };
    let examination = garage.examine().await.expect("examined");
    assert_eq!(examination.file, FileState::Sound);
    let found = garage.count_vehicles(found).await.expect("a count");
    format!("{value} {found}")
}

/// SQLite allocates pages while a statement runs, so each limit fails another statement: of the row, its indexes, the
/// search index, or history.
#[tokio::test]
async fn a_full_disk_at_any_statement_returns_an_error_and_changes_nothing() {
    let notes = |name: &str| format!("{name} {}", "nebulous notes ".repeat(600));
    for operation in ["add", "edit", "remove", "import", "restore"] {
        let folder = tempfile::tempdir().expect("a folder");
        let garage = open(folder.path()).await;
        for index in 0..20 {
            garage.add_vehicle(&draft(json!({"nickname": format!("n{index}")}))).await.expect("added");
        }
        let vehicle = garage.add_vehicle(&draft(json!({"nickname": "n", "notes": notes("x")}))).await;
        let vehicle = vehicle.expect("added");
        let backup = folder.path().join("backup.db");
        if operation == "restore" {
            let fuller = open(&folder.path().join("fuller")).await;
            for index in 0..50 {
                fuller
                    .add_vehicle(&draft(json!({"nickname": "n", "notes": notes(&index.to_string())})))
                    .await
                    .expect("added");
            }
            fuller.back_up(&backup, Existing::Keep, Progress::none()).await.expect("backed up");
        }
        let list: Vec<_> = (0..3).map(|index| json!({"nickname": "n", "notes": notes(&index.to_string())})).collect();
        let list = json!(list).to_string();
        let perform = async || match operation {
            "add" => garage.add_vehicle(&draft(json!({"nickname": "n", "notes": notes("y")}))).await.map(drop),
            "edit" => garage.edit_vehicle(vehicle.id, &draft(json!({"notes": notes("z")}))).await.map(drop),
            "remove" => garage.remove_vehicle(vehicle.id).await.map(drop),
            "import" => garage.import_json(&list, ImportMode::Write, Progress::none()).await.map(drop),
            _ => garage.restore_backup(&backup, Progress::none()).await.map(drop),
        };
        let before = content(&garage).await;
        let mut failures = 0;
        for room in 0.. {
            leave_room(&garage, Some(room)).await;
            match perform().await {
                Ok(()) => break,
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::DiskFull, "{operation} with {room} pages: {error}");
                    assert_eq!(error.to_string(), "The disk is full. Make room and try again; nothing was changed");
                }
            }
            assert_eq!(content(&garage).await, before, "{operation} with {room} pages");
            failures += 1;
        }
        assert!(failures > 1, "{operation} failed {failures} times");
        assert_ne!(content(&garage).await, before, "{operation}, once there is room");
        leave_room(&garage, None).await;
        garage.add_vehicle(&draft(json!({"nickname": "after"}))).await.expect("added after the limit is removed");
    }
}
