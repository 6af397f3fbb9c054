//! Backups and restoring them.

use garage_core::{ErrorCode, Existing, Progress, VehicleQuery};
use serde_json::json;

use crate::support::{ACCORD, Folder, add, code, open};

#[tokio::test]
async fn a_backup_restores_everything_and_keeps_what_it_replaced() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let accord = add(&garage, json!({"vin": ACCORD})).await;
    let file = folder.0.path().join("backup.db");
    garage.back_up(&file, Existing::Keep, Progress::none()).await.expect("backed up");
    let refused = garage.back_up(&file, Existing::Keep, Progress::none()).await.expect_err("it exists");
    assert_eq!(refused.code(), ErrorCode::GarageReadOnly, "{refused}");

    let later = add(&garage, json!({"nickname": "later"})).await;
    let other_process = open(&folder.garage_file()).await.expect("open");
    let device = garage.history(accord.id).await.expect("a history")[0].device_id.clone();
    let replaced = garage.restore_backup(&file, Progress::none()).await.expect("restored");
    for seen_by in [&garage, &other_process] {
        assert_eq!(seen_by.all_vehicles(VehicleQuery::default()).await.expect("a list"), std::slice::from_ref(&accord));
    }
    let new_device = add(&garage, json!({"nickname": "new"})).await;
    assert_ne!(garage.history(new_device.id).await.expect("a history")[0].device_id, device);
    let before = open(&replaced).await.expect("open");
    assert_eq!(before.vehicle(later.id).await.expect("it was kept"), later);
    assert_eq!(
        std::fs::read_dir(folder.0.path())
            .expect("a folder")
            .filter(|it| { it.as_ref().is_ok_and(|it| it.file_name().to_string_lossy().starts_with(".backup")) })
            .count(),
        0,
        "no scratch is left"
    );
}

#[tokio::test]
async fn what_is_no_intact_garage_replaces_nothing() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "here"})).await;
    let file = |name: &str| folder.0.path().join(name);
    std::fs::write(file("text"), "no database ".repeat(1000)).expect("write");
    std::fs::write(file("empty"), "").expect("write");
    garage.back_up(&file("backup"), Existing::Keep, Progress::none()).await.expect("backed up");
    let bytes = std::fs::read(file("backup")).expect("read");
    std::fs::write(file("truncated"), &bytes[..bytes.len() / 2]).expect("write");
    let mut flipped = bytes.clone();
    flipped[4096..8192].fill(0xA5);
    std::fs::write(file("flipped"), flipped).expect("write");
    rusqlite::Connection::open(file("other")).expect("open").execute_batch("CREATE TABLE t (x)").expect("a table");
    for name in ["text", "empty", "truncated", "flipped", "other"] {
        assert_eq!(
            code(garage.restore_backup(&file(name), Progress::none()).await),
            ErrorCode::BackupDamaged,
            "{name}"
        );
    }
    assert_eq!(code(garage.restore_backup(&file("none"), Progress::none()).await), ErrorCode::NotFound);
    std::fs::write(file("newer"), &bytes).expect("write");
    let connection = rusqlite::Connection::open(file("newer")).expect("open");
    connection.execute("INSERT INTO refinery_schema_history VALUES (9999, 'x', '', '1')", []).expect("a mark");
    drop(connection);
    assert_eq!(code(garage.restore_backup(&file("newer"), Progress::none()).await), ErrorCode::GarageNewer);
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list").len(), 1);
    assert_eq!(garage.backups().expect("a list"), [], "nothing was about to be replaced");
}

#[tokio::test]
async fn a_backup_a_day_and_seven_are_kept() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    std::fs::create_dir(garage.backup_folder()).expect("a folder");
    for day in 10..20 {
        std::fs::write(garage.backup_folder().join(format!("daily-2026-11-{day}.db")), "old").expect("write");
    }
    std::fs::write(garage.backup_folder().join("mine.db"), "mine").expect("write");
    for _ in 0..2 {
        garage.back_up_daily().await.expect("backed up");
    }
    let mut names: Vec<String> = std::fs::read_dir(garage.backup_folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = ["14", "15", "16", "17", "18", "19", "23"].map(|day| format!("daily-2026-11-{day}.db"));
    assert_eq!(names, [&expected[..], &["mine.db".to_owned()]].concat());
}

/// Every schema that was ever released opens and keeps what is in it.
#[tokio::test]
async fn older_garages_are_upgraded() {
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/garage");
    let mut files: Vec<_> =
        std::fs::read_dir(migrations).expect("a folder").map(|it| it.expect("an entry").path()).collect();
    files.sort();
    for known in 1..files.len() {
        let folder = Folder::new();
        let migrations = files[..known].iter().map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            refinery::Migration::unapplied(&name, &std::fs::read_to_string(path).expect("SQL")).expect("a migration")
        });
        let mut connection = rusqlite::Connection::open(folder.garage_file()).expect("open");
        refinery::Runner::new(&migrations.collect::<Vec<_>>()).run(&mut connection).expect("the older schema");
        connection
            .execute(
                "INSERT INTO vehicles (id, vin, make, odometer_unit, is_active, created_at_us, updated_at_us)
                 VALUES ('018f0000-0000-7000-8000-000000000000', ?1, 'HONDA', 'mi', 1, 0, 0)",
                [ACCORD],
            )
            .expect("a vehicle");
        drop(connection);
        let garage = open(&folder.garage_file()).await.expect("upgraded");
        let found = VehicleQuery { search: "4352 honda".to_owned(), ..VehicleQuery::default() };
        assert_eq!(garage.all_vehicles(found).await.expect("a list").len(), 1, "from schema {known}");
        assert_eq!(add(&garage, json!({"nickname": "new"})).await.fields.nickname.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn the_garages_own_file_is_never_written_over() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let here = add(&garage, json!({"nickname": "here"})).await;
    let path = folder.garage_file();
    let indirect = folder.0.path().join("./garage.db");
    for target in [&path, &indirect, &path.with_file_name("garage.db-wal")] {
        garage.back_up(target, Existing::Replace, Progress::none()).await.expect_err("refused");
        let format = garage_core::ExportFormat::Json;
        garage.export_to_file(format, target, Existing::Replace, Progress::none()).await.expect_err("refused");
        garage.restore_backup(target, Progress::none()).await.expect_err("refused");
    }
    drop(garage);
    let reopened = open(&path).await.expect("open");
    assert_eq!(reopened.vehicle(here.id).await.expect("it is there"), here);
}

/// What only looks like a garage is found out before it has replaced one.
#[tokio::test]
async fn a_backup_that_cannot_be_upgraded_replaces_nothing() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let here = add(&garage, json!({"nickname": "here"})).await;
    let file = folder.0.path().join("other.db");
    let other = rusqlite::Connection::open(&file).expect("open");
    other
        .execute_batch(
            "CREATE TABLE refinery_schema_history (version INTEGER, name TEXT, applied_on TEXT, checksum TEXT);
             INSERT INTO refinery_schema_history VALUES (1, 'other', '2026-01-01T00:00:00Z', '1');
             CREATE TABLE t (x);",
        )
        .expect("a table");
    drop(other);
    assert_eq!(code(garage.restore_backup(&file, Progress::none()).await), ErrorCode::BackupDamaged);
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), [here]);
}

/// The app and the CLI may both be the first after an upgrade.
#[tokio::test]
async fn many_may_open_a_new_garage_at_once() {
    for _ in 0..5 {
        let folder = Folder::new();
        let openings: Vec<_> = (0..8)
            .map(|_| {
                let path = folder.garage_file();
                tokio::spawn(async move { open(&path).await.map(drop) })
            })
            .collect();
        for opening in openings {
            opening.await.expect("no panic").expect("open");
        }
    }
}
