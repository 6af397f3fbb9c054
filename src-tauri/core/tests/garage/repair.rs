//! Examining and repairing damaged files.

use garage_core::{
    ChangeListener, ErrorCode, Existing, FileState, Garage, GarageError, Progress, VehicleQuery, domain::COLLECTIONS,
};
use serde_json::json;

use crate::support::{Folder, add, code, config, draft, entry, open, raw, total};

#[tokio::test]
async fn an_intact_garage_is_examined_as_sound() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "a"})).await.id;
    add(&garage, json!({"nickname": "b"})).await;
    garage.remove_vehicle(id).await.expect("removed");
    let examination = garage.examine().await.expect("examined");
    let counts: Vec<_> = examination.records.iter().map(|it| (it.collection, it.count, it.removed)).collect();
    assert_eq!((counts, examination.changes), (vec![("vehicles", 1, 1), ("serviceEntries", 0, 0)], 3));
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
    assert_eq!(total(&repair.records, "vehicles"), 400, "vehicles with lost rows are rebuilt from history");
    let vehicles = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
    assert_eq!(vehicles.len(), 400);
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
        assert_eq!((total(&repair.records, "vehicles"), repair.changes), (0, 0));
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
                assert_eq!((length, total(&examination.records, "vehicles")), (bytes.len() - 1, 200));
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
            assert!(total(&repair.records, "vehicles") > 50, "half of the file has many of them: {repair:?}");
        }
        if length == bytes.len() - 1 {
            assert_eq!(total(&repair.records, "vehicles"), 200, "one missing byte loses no vehicle");
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
    assert_eq!(total(&repair.records, "vehicles"), 0, "nothing in it is readable");
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
    assert!((350..400).contains(&total(&repair.records, "vehicles")), "all rows outside two pages: {repair:?}");
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
    assert_eq!(total(&repair.records, "vehicles"), 3);
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
    assert_eq!(total(&repair.records, "vehicles"), 4);
    garage.close().await;
    assert!(is_kept(&folder.garage_file()));
}

/// A part can vanish before the garage is opened, or while it is open.
#[tokio::test]
async fn every_missing_part_of_the_schema_is_detected_and_created_again_in_place() {
    let sound = Folder::new();
    full_garage(&sound.garage_file()).await;
    let whole = rows(&sound.garage_file());
    let parts = parts(&raw(&sound.garage_file()));
    assert!(parts.len() > 30, "{parts:?}");
    for (kind, name, table) in parts {
        let title = format!("{kind} {name}");
        let folder = Folder::new();
        std::fs::copy(sound.garage_file(), folder.garage_file()).expect("copied");
        let garage = open(&folder.garage_file()).await.expect("open");
        raw(&folder.garage_file()).execute_batch(&format!("DROP {kind} {name}")).expect("dropped");
        let FileState::Damaged { problems } = garage.examine().await.expect("examined").file else {
            panic!("{title} is not detected")
        };
        assert!(problems.contains(&format!("{title} is missing")), "{title}: {problems:?}");
        garage.close().await;

        let refused = open(&folder.garage_file()).await.map(drop).expect_err("refused");
        assert_eq!(refused.code(), ErrorCode::GarageDamaged, "{title}: {refused}");
        assert!(refused.to_string().contains(&title), "{title}: {refused}");
        let (garage, repair) = Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none())
            .await
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        let repair = repair.expect("repaired");
        assert_eq!(repair.damaged_file, None, "{title}");
        assert!(repair.mended.contains(&title), "{title}: {repair:?}");
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound, "{title}");
        let vehicles = garage.all_vehicles(VehicleQuery::default()).await.expect("a list");
        assert_eq!(vehicles.len(), 1, "{title}");
        garage.edit_vehicle(vehicles[0].id, &draft(json!({"nickname": "Green"}))).await.expect("edited");
        let found = VehicleQuery { search: "green".to_owned(), ..VehicleQuery::default() };
        assert_eq!(garage.count_vehicles(found).await.expect("a count"), 1, "{title}: the search index is updated");
        assert_eq!(garage.service_log(vehicles[0].id).await.expect("a log").entries.len(), 1, "{title}");
        garage.close().await;
        let mended = rows(&folder.garage_file());
        for (other, count) in &whole {
            // A table of records is rebuilt from history. Only what was in a dropped table itself can be lost.
            let is_rebuilt = COLLECTIONS.iter().any(|collection| collection.table == other);
            assert!(mended[other] >= *count || *other == table && !is_rebuilt, "{title}: {other} lost rows");
        }
    }
}

#[tokio::test]
async fn a_changed_part_of_the_schema_is_detected_and_replaced() {
    let changes = [
        ("index vehicles_by_make", "DROP INDEX vehicles_by_make; CREATE INDEX vehicles_by_make ON vehicles (id)"),
        (
            "trigger vehicles_inserted",
            "DROP TRIGGER vehicles_inserted;
             CREATE TRIGGER vehicles_inserted AFTER INSERT ON vehicles BEGIN DELETE FROM vehicles; END",
        ),
        ("view vehicle_keys", "DROP VIEW vehicle_keys; CREATE VIEW vehicle_keys AS SELECT 1 AS position"),
        ("table alias", "ALTER TABLE alias ADD COLUMN more TEXT"),
        ("table vehicles", "ALTER TABLE vehicles ADD COLUMN more TEXT"),
    ];
    for (title, change) in changes {
        let folder = Folder::new();
        full_garage(&folder.garage_file()).await;
        let whole = rows(&folder.garage_file());
        raw(&folder.garage_file()).execute_batch(change).expect("changed");
        let garage = open(&folder.garage_file()).await.expect("open");
        let problem = format!("{title} differs from this version's schema");
        assert_eq!(
            garage.examine().await.expect("examined").file,
            FileState::Damaged { problems: vec![problem] },
            "{title}"
        );
        garage.close().await;
        let (garage, repair) =
            Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
        // A table with other columns cannot be replaced in place.
        assert_eq!(repair.damaged_file.is_some(), title.starts_with("table"), "{title}");
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound, "{title}");
        garage.close().await;
        assert_eq!(rows(&folder.garage_file()), whole, "{title}");
    }
}

#[tokio::test]
async fn a_garage_without_applied_migrations_and_another_part_is_rebuilt() {
    let folder = Folder::new();
    full_garage(&folder.garage_file()).await;
    let whole = rows(&folder.garage_file());
    let dropped = "DROP TABLE refinery_schema_history; DROP TABLE upkeep";
    raw(&folder.garage_file()).execute_batch(dropped).expect("dropped");
    let (garage, repair) =
        Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    assert!(repair.expect("repaired").damaged_file.is_some(), "its version is not known");
    garage.close().await;
    assert_eq!(rows(&folder.garage_file()), whole);
}

#[tokio::test]
async fn a_backup_that_lacks_parts_without_records_can_be_restored() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "kept"})).await;
    for (dropped, is_restored) in [("INDEX vehicles_by_make", true), ("TABLE waiting", true), ("TABLE history", false)]
    {
        let backup = folder.0.path().join("backup.db");
        garage.back_up(&backup, Existing::Replace, Progress::none()).await.expect("backed up");
        raw(&backup).execute_batch(&format!("DROP {dropped}")).expect("dropped");
        let restored = garage.restore_backup(&backup, Progress::none()).await;
        assert_eq!(restored.is_ok(), is_restored, "{dropped}");
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound, "{dropped}");
        assert_eq!(garage.count_vehicles(VehicleQuery::default()).await.expect("a count"), 1, "{dropped}");
    }
}

/// An older garage is mended before it is upgraded.
#[tokio::test]
async fn a_missing_part_of_an_older_schema_is_created_again() {
    for dropped in ["INDEX vehicles_by_name", "TABLE device", "TABLE vehicle_words", "TABLE history", "TABLE vehicles"]
    {
        let folder = Folder::new();
        let older = raw(&folder.garage_file());
        older.execute_batch(&schema_7()).expect("the older garage");
        let vehicles: u32 = older.query_row("SELECT count(*) FROM vehicles", [], |row| row.get(0)).expect("a count");
        older.execute_batch(&format!("DROP {dropped}")).expect("dropped");
        drop(older);
        let (garage, repair) = Garage::open_or_repair(config(&folder.garage_file()), ChangeListener::none())
            .await
            .unwrap_or_else(|error| panic!("{dropped}: {error}"));
        let repair = repair.expect("repaired");
        let holds_records = ["TABLE history", "TABLE vehicles"].contains(&dropped);
        assert_eq!(repair.damaged_file.is_some(), holds_records, "{dropped}");
        if dropped != "TABLE vehicles" {
            assert_eq!(total(&repair.records, "vehicles"), u64::from(vehicles), "{dropped}");
        }
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound, "{dropped}");
    }
}

/// The row that cannot be read is kept, and its record is not rebuilt from history as well.
#[tokio::test]
async fn a_damaged_garage_with_an_unreadable_row_is_repaired() {
    let folder = Folder::new();
    full_garage(&folder.garage_file()).await;
    let connection = raw(&folder.garage_file());
    connection.execute("UPDATE service_entries SET created_at_us = 9223372036854775807", []).expect("written");
    drop(connection);
    damage_root_page(&folder.garage_file(), "service_entries_of_vehicle");
    let (garage, repair) =
        Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    assert_eq!((total(&repair.records, "vehicles"), total(&repair.records, "serviceEntries")), (1, 1));
    let examination = garage.examine().await.expect("examined");
    assert_eq!((&examination.file, examination.unreadable), (&FileState::Sound, 1));
}

#[tokio::test]
async fn repair_keeps_the_bytes_of_text_that_is_not_utf_8() {
    let folder = Folder::new();
    full_garage(&folder.garage_file()).await;
    let garbled = "UPDATE vehicles SET notes = CAST(x'ff41' AS TEXT);
                   UPDATE service_entries SET notes = CAST(x'41fe' AS TEXT);
                   UPDATE history SET program = CAST(x'fd' AS TEXT);
                   UPDATE alias SET alias_id = CAST(x'c3' AS TEXT);";
    raw(&folder.garage_file()).execute_batch(garbled).expect("written");
    let whole = rows(&folder.garage_file());
    damage_header(&folder.garage_file());
    let (garage, _) = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    garage.close().await;
    assert_eq!(rows(&folder.garage_file()), whole);
    let kept = "SELECT group_concat(hex(text)) FROM (
                    SELECT notes AS text FROM vehicles UNION ALL SELECT notes FROM service_entries
                    UNION ALL SELECT min(program) FROM history UNION ALL SELECT alias_id FROM alias)";
    let kept: String = raw(&folder.garage_file()).query_row(kept, [], |row| row.get(0)).expect("the texts");
    assert_eq!(kept, "FF41,41FE,FD,C3");
}

#[tokio::test]
async fn repair_carries_every_table_that_is_not_made_from_others() {
    let made_anew = [
        ("upkeep", "the new garage's own versions"),
        ("refinery_schema_history", "the new garage's own migrations"),
        ("vehicle_words", "the search index, which triggers fill"),
        ("sync", "everything is read again"),
    ];
    let folder = Folder::new();
    full_garage(&folder.garage_file()).await;
    let all = |path: &std::path::Path, table: &str| {
        let connection = raw(path);
        let order = if table == "device" { "1" } else { "1, 2" };
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY {order}")).expect("a table");
        let columns = statement.column_count();
        let values =
            |row: &rusqlite::Row<'_>| (0..columns).map(|it| row.get::<_, rusqlite::types::Value>(it)).collect();
        let rows = statement.query_map([], values).expect("rows");
        rows.collect::<Result<Vec<Vec<_>>, _>>().expect("rows")
    };
    let before = folder.0.path().join("before.db");
    std::fs::copy(folder.garage_file(), &before).expect("copied");
    damage_header(&folder.garage_file());
    let (garage, _) = Garage::repair(config(&folder.garage_file()), ChangeListener::none()).await.expect("repaired");
    garage.close().await;
    let tables = rows(&before);
    for (table, reason) in made_anew {
        assert!(tables.contains_key(table), "{table}: {reason}");
    }
    for table in tables.keys().filter(|table| !made_anew.iter().any(|(name, _)| table.starts_with(name))) {
        let kept = all(&before, table);
        assert!(!kept.is_empty(), "{table}: the test needs a row in it");
        assert_eq!(all(&folder.garage_file(), table), kept, "{table}");
    }
    let (kept, now) = (&all(&before, "sync")[0], &all(&folder.garage_file(), "sync")[0]);
    assert_eq!((&now[..5], &now[6]), (&kept[..5], &kept[6]), "account, epoch and batch");
    let is_rereading = rusqlite::types::Value::Integer(1);
    assert_eq!(
        (&now[5], &now[8]),
        (&rusqlite::types::Value::Null, &is_rereading),
        "cursor, and whether all is read again"
    );
}

#[tokio::test]
async fn only_damage_is_repaired() {
    let folder = Folder::new();
    let path = folder.garage_file();
    let refused = async |expected: ErrorCode| {
        let before = std::fs::read(&path).ok();
        assert_eq!(code(Garage::repair(config(&path), ChangeListener::none()).await.map(drop)), expected);
        assert_eq!(std::fs::read(&path).ok(), before);
        let names = std::fs::read_dir(folder.0.path()).expect("a folder").flatten();
        let is_aside = |name: std::ffi::OsString| name.to_string_lossy().contains(".damaged-");
        assert!(!names.into_iter().any(|entry| is_aside(entry.file_name())));
    };
    refused(ErrorCode::GarageReadOnly).await;
    assert!(!path.exists(), "there is no file to repair");
    full_garage(&path).await;
    let locking = raw(&path);
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE device SET device_id = 'x';";
    locking.execute_batch(lock).expect("a lock");
    let locked = Garage::repair(config(&path), ChangeListener::none()).await;
    assert_eq!(code(locked.map(drop)), ErrorCode::GarageLocked);
    drop(locking);

    let newer = raw(&path);
    newer.execute("INSERT INTO refinery_schema_history VALUES (9999, 'x', '', '1')", []).expect("a mark");
    drop(newer);
    refused(ErrorCode::GarageNewer).await;
    damage_root_page(&path, "service_entries_of_vehicle");
    refused(ErrorCode::GarageNewer).await;

    std::fs::remove_file(&path).expect("removed");
    let other = rusqlite::Connection::open(&path).expect("open");
    other.execute_batch("CREATE TABLE notes (text TEXT); CREATE INDEX notes_by_text ON notes (text)").expect("written");
    drop(other);
    refused(ErrorCode::GarageForeign).await;
    damage_root_page(&path, "notes_by_text");
    refused(ErrorCode::GarageForeign).await;
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

/// The SQL that makes a garage of schema 7.
fn schema_7() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/garage");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let applied = "CREATE TABLE refinery_schema_history
                   (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));";
    let migrations = files[..7].iter().map(|file| std::fs::read_to_string(file).expect("SQL"));
    migrations.chain([applied.to_owned(), include_str!("../fixtures/schema-7.sql").to_owned()]).collect()
}

/// Overwrites the first page of an index.
fn damage_root_page(path: &std::path::Path, index: &str) {
    let connection = raw(path);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("all in one file");
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u32 = connection.query_row(root, [index], |row| row.get(0)).expect("an index");
    drop(connection);
    let start = usize::try_from(page - 1).expect("a size") * 4096;
    let mut bytes = std::fs::read(path).expect("read");
    bytes[start..start + 4096].fill(0xA5);
    std::fs::write(path, bytes).expect("write");
}

/// A closed garage with a vehicle, a service entry, and a row in every other table.
async fn full_garage(path: &std::path::Path) {
    let garage = open(path).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue", "notes": "n"})).await.id;
    let draft = entry(json!({"vehicleId": id, "date": "2026-03-14", "kind": "service"}));
    garage.add_service_entry(&draft).await.expect("added");
    garage.close().await;
    let sync = "
        INSERT INTO base VALUES ('vehicles', 'b', 1, '{}', '{}', 1, 2, NULL, 3, 0, 0);
        INSERT INTO sent VALUES (1, 'vehicles', 'b', '{}');
        INSERT INTO alias VALUES ('vehicles', 'a', 'b');
        INSERT INTO conflict VALUES ('vehicles', 'b', 'notes', NULL, '[]');
        INSERT INTO refused VALUES ('vehicles', 'b', 'vin', 'v', 'r');
        INSERT INTO sync VALUES (1, 's', 'a', 'm', 'e', 'c', 2, 3, 0, 'vehicles', 'b', 0, NULL, NULL, '{}');
        INSERT INTO foreign_records VALUES
            ('fuelEntries', '018f0000-0000-7000-8000-0000000000f1', '{}', '{}', 1, 2, NULL);";
    raw(path).execute_batch(sync).expect("written");
}

/// The kind, the name and the table of every part of a schema, except indexes that SQLite creates itself.
fn parts(connection: &rusqlite::Connection) -> Vec<(String, String, String)> {
    let sql = "SELECT type, name, tbl_name FROM sqlite_schema
               WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut statement = connection.prepare(sql).expect("a schema");
    let parts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("parts");
    parts.collect::<Result<_, _>>().expect("parts")
}

/// The number of rows of every table, except those in which the search index stores its data.
fn rows(path: &std::path::Path) -> std::collections::BTreeMap<String, u32> {
    let connection = raw(path);
    let count = |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    let tables =
        parts(&connection).into_iter().filter(|(kind, name, _)| kind == "table" && !name.starts_with("vehicle_words_"));
    tables.map(|(_, table, _)| (table.clone(), count(&table).expect("a count"))).collect()
}
