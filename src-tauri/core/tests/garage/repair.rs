//! Examining and repairing damaged files.

use garage_core::{ChangeListener, ErrorCode, Existing, FileState, Garage, GarageError, Progress, VehicleQuery};
use serde_json::json;

use crate::support::{Folder, add, code, config, draft, entry, open, raw};

#[tokio::test]
async fn an_intact_garage_is_examined_as_sound() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "a"})).await.id;
    add(&garage, json!({"nickname": "b"})).await;
    garage.remove_vehicle(id).await.expect("removed");
    let examination = garage.examine().await.expect("examined");
    assert_eq!((examination.vehicles, examination.removed, examination.changes), (1, 1, 3));
    assert!(examination.file == FileState::Sound && examination.size_bytes > 0, "{examination:?}");
    assert_eq!(examination.snapshot_month.as_deref(), Some("2026-10"));
}

#[tokio::test]
async fn repair_saves_every_vehicle_of_a_damaged_file_and_keeps_the_file() {
    let folder = Folder::new();
    let path = folder.garage_file();
    let garage = open(&path).await.expect("open");
    for index in 0..400 {
        add(&garage, json!({"nickname": format!("car {index}"), "notes": "n".repeat(200)})).await;
    }
    let copy = folder.0.path().join("copy.db");
    garage.back_up(&copy, Existing::Keep, Progress::none()).await.expect("backed up");
    drop(garage);
    let mut bytes = std::fs::read(&copy).expect("read");
    // The page with the middle vehicle's row, in which unit and notes follow the name.
    let at = bytes.windows(10).position(|window| window == b"car 200min").expect("a row") / 4096 * 4096;
    bytes[at..at + 4096].fill(0xA5);
    let damaged_folder = Folder::new();
    std::fs::write(damaged_folder.garage_file(), &bytes).expect("write");

    let (garage, repair) =
        Garage::repair(config(&damaged_folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert_eq!(repair.vehicles, 400, "vehicles with lost rows are rebuilt from history");
    let vehicles = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
    assert_eq!(vehicles.len(), repair.vehicles);
    for name in ["car 0", "car 200", "car 399"] {
        assert!(
            vehicles.iter().any(|it| it.fields.nickname.as_deref() == Some(name)),
            "{name}, in the damage and either side of it"
        );
    }
    assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound);
    assert_eq!(std::fs::read(repair.damaged_file.as_ref().expect("a path")).expect("the damaged file"), bytes);
}

#[tokio::test]
async fn files_that_are_not_databases_are_moved_aside_unchanged() {
    for content in [&b"no database, but somebody's "[..], &[0xA5; 20_000]] {
        let folder = Folder::new();
        std::fs::write(folder.garage_file(), content.repeat(100)).expect("write");
        assert_eq!(code(open(&folder.garage_file()).await.map(|_| ())), ErrorCode::GarageDamaged);
        let (garage, repair) =
            Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
        assert_eq!((repair.vehicles, repair.changes), (0, 0));
        assert_eq!(
            std::fs::read(repair.damaged_file.as_ref().expect("a path")).expect("the damaged file"),
            content.repeat(100)
        );
        add(&garage, json!({"nickname": "works"})).await;
    }
}

#[tokio::test]
async fn an_empty_file_without_backups_opens_as_a_new_garage() {
    let folder = Folder::new();
    std::fs::write(folder.garage_file(), "").expect("write");
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "works"})).await;
}

#[tokio::test]
async fn an_empty_file_with_backups_is_repaired_instead_of_opened_as_new() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "a"})).await;
    garage.close().await;
    std::fs::write(folder.garage_file(), "").expect("emptied");
    assert_eq!(code(open(&folder.garage_file()).await.map(|_| ())), ErrorCode::GarageDamaged);
    let (_, repair) =
        Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    assert!(repair.expect("repaired").newest_backup.is_some(), "the backup from before");
}

/// Damages each byte of the header, and then the whole first page.
#[tokio::test]
async fn no_vehicle_is_lost_if_the_first_page_is_damaged() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for index in 0..30 {
        add(&garage, json!({"nickname": format!("car {index}"), "notes": "n".repeat(500)})).await;
    }
    garage.close().await;
    let sound = std::fs::read(folder.garage_file()).expect("read");
    let bytes = [16, 17, 18, 19, 20, 21, 22, 23, 47, 59, 68, 100, 103].map(|at| at..at + 1);
    for damage in bytes.into_iter().chain([0..16, 0..100, 0..4_096]) {
        let damaged = Folder::new();
        let mut content = sound.clone();
        content[damage.clone()].fill(0xA7);
        std::fs::write(damaged.garage_file(), content).expect("write");
        let (garage, _) = Garage::open_or_repair(config(&damaged.garage_file()), ChangeListener::none())
            .await
            .unwrap_or_else(|error| panic!("{damage:?}: {error}"));
        assert_eq!(garage.count_vehicles(VehicleQuery::default()).await.expect("a count"), 30, "{damage:?}");
    }
}

#[tokio::test]
async fn opening_a_locked_garage_fails_with_garage_locked() {
    let folder = Folder::new();
    open(&folder.garage_file()).await.expect("open").close().await;
    let other = rusqlite::Connection::open(folder.garage_file()).expect("open");
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE device SET device_id = 'x';")
        .expect("a lock");
    assert_eq!(code(open(&folder.garage_file()).await.map(|_| ())), ErrorCode::GarageLocked);
}

#[tokio::test]
async fn a_truncated_garage_fails_to_open_and_repair_saves_its_readable_vehicles() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for index in 0..200 {
        add(&garage, json!({"nickname": format!("car {index}"), "notes": "n".repeat(500)})).await;
    }
    garage.close().await;
    let bytes = std::fs::read(folder.garage_file()).expect("read");
    for length in [2, 50, 100, 1_000, 4_096, bytes.len() / 4, bytes.len() / 2, bytes.len() - 4_096, bytes.len() - 1] {
        let damaged = Folder::new();
        std::fs::write(damaged.garage_file(), &bytes[..length]).expect("write");
        let in_use = async {
            let garage = open(&damaged.garage_file()).await?;
            let examined = garage.examine().await;
            garage.close().await;
            examined
        };
        match in_use.await {
            // The end of the last page may be unused, so that nothing is damaged.
            Ok(examination) if examination.file == FileState::Sound => {
                assert_eq!((length, examination.vehicles), (bytes.len() - 1, 200));
            }
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), ErrorCode::GarageDamaged, "{length} bytes: {error}"),
        }
        let repaired = Garage::repair(config(&damaged.garage_file()), ChangeListener::none()).await;
        if matches!(repaired, Err(GarageError::NotDamaged)) {
            assert_eq!(length, bytes.len() - 1);
            continue;
        }
        let (garage, repair) = repaired.expect("repaired");
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound, "{length} bytes");
        let kept = std::fs::read(repair.damaged_file.as_ref().expect("a path")).expect("the damaged file");
        assert!(kept == bytes[..length], "{length} bytes, {} kept", kept.len());
        if length == bytes.len() / 2 {
            assert!(repair.vehicles > 50, "half of the file has many of them: {repair:?}");
        }
        if length == bytes.len() - 1 {
            assert_eq!(repair.vehicles, 200, "one missing byte loses no vehicle");
        }
    }
}

#[tokio::test]
async fn opening_a_damaged_garage_repairs_it_and_returns_the_newest_backup() {
    let folder = Folder::new();
    let (garage, repair) =
        Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    assert_eq!(repair, None);
    add(&garage, json!({"nickname": "saved"})).await;
    garage.back_up_daily().await.expect("backed up");
    garage.close().await;
    std::fs::write(folder.garage_file(), "damaged ".repeat(1000)).expect("write");

    let (garage, repair) =
        Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    let repair = repair.expect("a repair");
    assert_eq!(repair.vehicles, 0, "nothing in it is readable");
    let backup = repair.newest_backup.expect("a backup");
    garage.restore_backup(&backup, Progress::none()).await.expect("restored");
    let names = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
    assert_eq!(names[0].fields.nickname.as_deref(), Some("saved"));

    std::fs::write(folder.garage_file().with_extension("json"), "not a garage's business").expect("write");
    let newer = rusqlite::Connection::open(folder.garage_file()).expect("open");
    newer.execute("INSERT INTO refinery_schema_history VALUES (9999, 'x', '', '1')", []).expect("a mark");
    drop((garage, newer));
    let refused = Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await;
    assert_eq!(code(refused.map(|_| ())), ErrorCode::GarageNewer, "a newer garage is not damaged");
}

/// A program that has the garage open would keep writing to the file that was moved aside.
#[tokio::test]
async fn repair_fails_while_another_program_has_the_garage_open() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let refused = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await;
    assert_eq!(code(refused.map(|_| ())), ErrorCode::GarageLocked);
    let saved = add(&garage, json!({"nickname": "saved"})).await;
    let clone = garage.clone();
    garage.close().await;
    let mut bytes = std::fs::read(folder.garage_file()).expect("read");
    bytes[..16].fill(0);
    std::fs::write(folder.garage_file(), bytes).expect("write");
    let (repaired, _) = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert_eq!(repaired.vehicle(saved.id).await.expect("the vehicle"), saved);
    clone.edit_vehicle(saved.id, &draft(json!({"nickname": "lost"}))).await.expect_err("closed");
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_to_the_garage_shares_its_lock_and_repair_moves_the_target() {
    let folder = Folder::new();
    let link = folder.0.path().join("link.db");
    let garage = open(&folder.garage_file()).await.expect("open");
    let saved = add(&garage, json!({"nickname": "saved"})).await;
    std::os::unix::fs::symlink(folder.garage_file(), &link).expect("a link");
    assert_eq!(code(Garage::repair(config(&link), ChangeListener::none()).await.map(drop)), ErrorCode::GarageLocked);
    garage.close().await;
    let mut bytes = std::fs::read(folder.garage_file()).expect("read");
    bytes[..16].fill(0);
    std::fs::write(folder.garage_file(), bytes).expect("write");
    let (repaired, _) = Garage::repair(config(&link), ChangeListener::none()).await.expect("repaired");
    repaired.close().await;
    assert!(std::fs::symlink_metadata(&link).is_ok_and(|it| it.is_symlink()), "the link still exists");
    let reopened = open(&folder.garage_file()).await.expect("open");
    assert_eq!(reopened.vehicle(saved.id).await.expect("the vehicle"), saved);
}

#[tokio::test]
async fn rows_between_two_damaged_pages_are_saved() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for index in 0..400 {
        add(&garage, json!({"nickname": format!("car {index}"), "notes": "n".repeat(200)})).await;
    }
    let copy = folder.0.path().join("copy.db");
    garage.back_up(&copy, Existing::Keep, Progress::none()).await.expect("backed up");
    // The positions of vehicles are far apart, and history is deleted.
    let connection = raw(&copy);
    connection.execute_batch("DELETE FROM history; VACUUM").expect("no history");
    drop(connection);
    let mut bytes = std::fs::read(&copy).expect("read");
    for name in [&b"car 100min"[..], b"car 300min"] {
        let at = bytes.windows(name.len()).position(|window| window == name).expect("a row") / 4096 * 4096;
        bytes[at..at + 4096].fill(0xA5);
    }
    // SQLite does not recognize the file as a database.
    bytes[..16].fill(0);
    let damaged = Folder::new();
    std::fs::write(damaged.garage_file(), &bytes).expect("write");
    let (garage, repair) =
        Garage::repair(config(&damaged.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert!(repair.vehicles > 350 && repair.vehicles < 400, "all rows outside two pages: {repair:?}");
    let vehicles = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
    for name in ["car 0", "car 200", "car 399"] {
        assert!(vehicles.iter().any(|it| it.fields.nickname.as_deref() == Some(name)), "{name}");
    }
    assert_eq!(
        std::fs::read(repair.damaged_file.as_ref().expect("a path")).expect("the damaged file"),
        bytes,
        "untouched"
    );
}

#[tokio::test]
async fn repair_keeps_identical_vehicles_apart_and_does_not_duplicate_one_with_a_damaged_id() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let twins = [add(&garage, json!({"make": "TOYOTA"})).await, add(&garage, json!({"make": "TOYOTA"})).await];
    let other = add(&garage, json!({"nickname": "other"})).await;
    garage.close().await;
    let connection = raw(&folder.garage_file());
    connection.execute("DELETE FROM vehicles WHERE id = ?1", [twins[0].id.to_string()]).expect("a lost row");
    let renamed = "UPDATE vehicles SET id = '018f0000-0000-7000-8000-000000000009' WHERE id = ?1";
    connection.execute(renamed, [other.id.to_string()]).expect("damaged");
    drop(connection);
    damage_header(&folder.garage_file());
    let (garage, repair) =
        Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert_eq!(repair.vehicles, 3);
    for twin in twins {
        assert_eq!(garage.vehicle(twin.id).await.expect("the vehicle").fields, twin.fields);
    }
}

/// SQLite reports no damage here. A row that is not a record, or whose origins a change would overwrite, is left out of
/// lists.
#[tokio::test]
async fn an_unreadable_row_is_left_out_of_lists_and_kept_by_export_backup_and_repair() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let mut ids = Vec::new();
    for nickname in ["a", "b", "c"] {
        ids.push(add(&garage, json!({"nickname": nickname})).await.id);
    }
    garage.close().await;
    let other = raw(&folder.garage_file());
    other.execute("UPDATE vehicles SET origins = '{\u{1}' WHERE id = ?1", [ids[2].to_string()]).expect("written");
    other.execute("UPDATE vehicles SET id = 'none' WHERE id = ?1", [ids[1].to_string()]).expect("written");
    drop(other);
    let garage = open(&folder.garage_file()).await.expect("open");
    let vehicles = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
    assert_eq!(vehicles.iter().map(|it| it.id).collect::<Vec<_>>(), [ids[0]]);
    let page = garage.list_vehicles(VehicleQuery::default()).await.expect("a page");
    assert_eq!(page.vehicles.iter().map(|it| it.id).collect::<Vec<_>>(), [ids[0]]);
    let examination = garage.examine().await.expect("examined");
    assert_eq!((&examination.file, examination.unreadable), (&FileState::Sound, 2));
    let change = garage.edit_vehicle(ids[2], &draft(json!({"color": "Red"}))).await;
    assert_eq!(code(change), ErrorCode::NotFound, "a change would overwrite the origins");
    let export = serde_json::to_value(garage.export(Progress::none()).await.expect("an export")).expect("JSON");
    assert_eq!(export["unreadable"][0]["table"], "vehicles");
    assert_eq!(export["unreadable"][0]["row"]["nickname"], "b");
    assert_eq!(export["unreadable"][1]["row"]["origins"], "{\u{1}");
    let backup = folder.0.path().join("backup.db");
    garage.back_up(&backup, Existing::Keep, Progress::none()).await.expect("backed up");
    garage.close().await;
    let is_kept = |path: &std::path::Path| {
        let kept = "SELECT count(*) FROM vehicles
                    WHERE (id = 'none' AND nickname = 'b') OR (origins = '{' || char(1) AND nickname = 'c')";
        raw(path).query_row(kept, [], |row| row.get::<_, i64>(0)).expect("a count") == 2
    };
    assert!(is_kept(&backup));
    let sound = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await;
    assert!(matches!(sound.map(drop), Err(GarageError::NotDamaged)));
    damage_header(&folder.garage_file());
    let (garage, repair) =
        Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    // The unreadable rows, the other vehicle, and the one that is rebuilt from the history of the damaged id.
    assert_eq!(repair.vehicles, 4);
    garage.close().await;
    assert!(is_kept(&folder.garage_file()));
}

#[tokio::test]
async fn missing_indexes_and_triggers_are_detected_and_created_again_in_place() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue"})).await.id;
    garage.close().await;
    let connection = raw(&folder.garage_file());
    let dropped =
        "DROP TRIGGER vehicles_updated; DROP INDEX vehicles_by_make; DROP TABLE waiting; DROP VIEW vehicle_keys";
    connection.execute_batch(dropped).expect("dropped");
    drop(connection);
    let garage = open(&folder.garage_file()).await.expect("open");
    let FileState::Damaged { problems } = garage.examine().await.expect("examined").file else { panic!("not found") };
    for part in ["trigger vehicles_updated", "index vehicles_by_make", "table waiting", "view vehicle_keys"] {
        assert!(problems.contains(&format!("{part} is missing")), "{problems:?}");
    }
    garage.close().await;
    let (garage, repair) = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("mended");
    assert_eq!((repair.damaged_file, repair.mended.len()), (None, 4));
    assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound);
    garage.edit_vehicle(id, &draft(json!({"nickname": "Green"}))).await.expect("edited");
    let found = VehicleQuery { search: "green".to_owned(), ..VehicleQuery::default() };
    assert_eq!(garage.count_vehicles(found).await.expect("a count"), 1, "the search index is updated");
}

#[tokio::test]
async fn a_dropped_table_of_records_is_detected_and_rebuilt_from_history() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue"})).await.id;
    garage
        .add_service_entry(&entry(json!({"vehicleId": id, "date": "2026-03-14", "kind": "service"})))
        .await
        .expect("added");
    garage.close().await;
    raw(&folder.garage_file()).execute_batch("DROP TABLE service_entries").expect("dropped");
    let (garage, repair) =
        Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert!(repair.damaged_file.is_some());
    assert_eq!((repair.vehicles, repair.service_entries), (1, 1));
    assert_eq!(garage.service_log(id).await.expect("a log").entries.len(), 1);
}

#[tokio::test]
async fn another_programs_database_is_neither_opened_nor_changed_by_repair() {
    let folder = Folder::new();
    let other = rusqlite::Connection::open(folder.garage_file()).expect("open");
    other.execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')").expect("written");
    drop(other);
    let before = std::fs::read(folder.garage_file()).expect("read");
    let refused = Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await;
    assert_eq!(code(refused.map(|_| ())), ErrorCode::GarageForeign);
    assert_eq!(std::fs::read(folder.garage_file()).expect("read"), before);
}

#[tokio::test]
async fn of_concurrent_repairs_one_repairs_and_the_others_fail_with_not_damaged() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for index in 0..30 {
        add(&garage, json!({"nickname": format!("car {index}")})).await;
    }
    garage.close().await;
    let sound = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await;
    assert!(matches!(sound.map(drop), Err(GarageError::NotDamaged)));
    // Only the header is damaged.
    let mut bytes = std::fs::read(folder.garage_file()).expect("read");
    bytes[..16].fill(0);
    std::fs::write(folder.garage_file(), bytes).expect("write");
    let repairs: Vec<_> = (0..4)
        .map(|_| {
            let config = config(&folder.garage_file());
            tokio::spawn(async move { Garage::repair(config, ChangeListener::none()).await.map(drop) })
        })
        .collect();
    let mut repaired = 0;
    for repair in repairs {
        match repair.await.expect("no panic") {
            Ok(()) => repaired += 1,
            Err(error) => assert!(matches!(error, GarageError::NotDamaged), "{error}"),
        }
    }
    assert_eq!(repaired, 1, "the other repairs find a sound garage");
    let garage = open(&folder.garage_file()).await.expect("open");
    assert_eq!(garage.count_vehicles(VehicleQuery::default()).await.expect("a count"), 30);
}

/// Overwrites SQLite's header.
fn damage_header(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[..16].fill(0);
    std::fs::write(path, bytes).expect("write");
}
