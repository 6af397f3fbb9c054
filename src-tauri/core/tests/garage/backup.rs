//! Backup and restore.

use garage_core::{ErrorCode, Existing, ExportFormat, FileState, Progress, VehicleQuery};
use serde_json::json;

use crate::support::{ACCORD, Folder, add, code, open, raw};

#[tokio::test]
async fn restoring_a_backup_replaces_the_garage_and_backs_up_the_replaced_content() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let accord = add(&garage, json!({"vin": ACCORD})).await;
    let file = folder.0.path().join("backup.db");
    garage.back_up(&file, Existing::Keep, Progress::none()).await.expect("backed up");
    let refused = garage.back_up(&file, Existing::Keep, Progress::none()).await.expect_err("it exists");
    assert_eq!(refused.code(), ErrorCode::FileExists);
    assert_eq!(refused.to_string(), format!("{} exists already", file.display()));

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
    assert_eq!(before.vehicle(later.id).await.expect("the replaced vehicle"), later);
    assert_eq!(
        std::fs::read_dir(folder.0.path())
            .expect("a folder")
            .filter(|it| { it.as_ref().is_ok_and(|it| it.file_name().to_string_lossy().starts_with(".motovault")) })
            .count(),
        0,
        "no scratch is left"
    );
}

#[tokio::test]
async fn restoring_a_file_that_is_not_an_intact_garage_fails_and_changes_nothing() {
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
    assert_eq!(code(garage.restore_backup(folder.0.path(), Progress::none()).await), ErrorCode::FileFailed);
    std::fs::write(file("newer"), &bytes).expect("write");
    let connection = rusqlite::Connection::open(file("newer")).expect("open");
    connection.execute("INSERT INTO refinery_schema_history VALUES (9999, 'x', '', '1')", []).expect("a mark");
    drop(connection);
    assert_eq!(code(garage.restore_backup(&file("newer"), Progress::none()).await), ErrorCode::GarageNewer);
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list").len(), 1);
    let saved = garage.backups().expect("a list").into_iter().filter(|it| it.file.to_string_lossy().contains("before"));
    assert_eq!(saved.count(), 0, "no backup before a failed restore");
}

#[tokio::test]
async fn one_backup_is_made_per_day_and_seven_are_kept() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    garage.back_up_daily().await.expect("no backup needed");
    assert!(!garage.backup_folder().exists(), "an empty garage is not backed up");
    add(&garage, json!({"nickname": "here"})).await;
    garage.close().await;
    let garage = open(&folder.garage_file()).await.expect("open");
    std::fs::remove_dir_all(garage.backup_folder()).expect("the first write made it");
    std::fs::create_dir(garage.backup_folder()).expect("a folder");
    for day in 10..20 {
        std::fs::write(garage.backup_folder().join(format!("daily-2026-11-{day}.db")), "old").expect("write");
    }
    std::fs::write(garage.backup_folder().join("mine.db"), "mine").expect("write");
    for theirs in ["daily-2026-01-01.tar.gz", "daily-notes.txt", "daily-old.db"] {
        std::fs::write(garage.backup_folder().join(theirs), "theirs").expect("write");
    }
    std::fs::create_dir(garage.backup_folder().join(".backup-mine")).expect("a folder");
    let left_over = garage.backup_folder().join(".motovault-partial-x");
    std::fs::create_dir(&left_over).expect("a folder");
    std::fs::write(left_over.join("copy.db"), "half").expect("write");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 60 * 60);
    std::fs::File::open(&left_over).and_then(|it| it.set_modified(old)).expect("a time");
    for _ in 0..2 {
        garage.back_up_daily().await.expect("backed up");
    }
    let mut names: Vec<String> = std::fs::read_dir(garage.backup_folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = ["14", "15", "16", "17", "18", "19", "23"].map(|day| format!("daily-2026-11-{day}.db"));
    let mut expected = [&expected[..], &["mine.db".to_owned()]].concat();
    let theirs = ["daily-2026-01-01.tar.gz", "daily-notes.txt", "daily-old.db", ".backup-mine"];
    expected.extend(theirs.map(str::to_owned));
    expected.sort();
    assert_eq!(names, expected, "seven daily backups and every other file");
    for day in 10..20 {
        std::fs::write(garage.backup_folder().join(format!("daily-2099-11-{day}.db")), "early").expect("write");
    }
    let today = garage.backup_folder().join("daily-2026-11-23.db");
    std::fs::remove_file(&today).expect("removed");
    garage.back_up_daily().await.expect("backed up");
    assert!(today.exists(), "future names do not displace today's backup");
}

#[tokio::test]
async fn the_first_write_of_the_day_starts_the_daily_backup() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "a"})).await;
    add(&garage, json!({"nickname": "b"})).await;
    let backups = garage.backup_folder();
    garage.close().await;
    let names: Vec<_> =
        std::fs::read_dir(backups).expect("a folder").map(|it| it.expect("an entry").file_name()).collect();
    assert_eq!(names, ["daily-2026-11-23.db"]);
}

#[tokio::test]
async fn two_garages_in_one_folder_have_separate_backups() {
    let folder = Folder::new();
    for name in ["a.db", "b.db"] {
        let garage = open(&folder.0.path().join(name)).await.expect("open");
        add(&garage, json!({"nickname": name})).await;
        garage.back_up_daily().await.expect("backed up");
        let backup = garage.backups().expect("a list").remove(0).file;
        garage.close().await;
        let copy = folder.0.path().join(format!("copy-{name}"));
        std::fs::copy(&backup, &copy).expect("copied");
        let found = open(&copy).await.expect("open").all_vehicles(VehicleQuery::default()).await.expect("a list");
        assert_eq!(found[0].fields.nickname.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn an_error_about_an_unwritable_target_contains_its_path() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let blocked = folder.0.path().join("file");
    std::fs::write(&blocked, "in the way").expect("write");
    let target = blocked.join("copy.db");
    let refused =
        garage.back_up(&target, Existing::Keep, Progress::none()).await.expect_err("a file blocks the folder");
    assert_eq!(refused.code(), ErrorCode::FileFailed, "{refused}");
    assert!(refused.to_string().contains(&blocked.display().to_string()), "{refused}");
    let export = garage.export_to_file(ExportFormat::Json, &target, Existing::Keep, Progress::none());
    let refused = export.await.expect_err("a file blocks the folder");
    assert_eq!(refused.code(), ErrorCode::FileFailed, "{refused}");
    assert!(refused.to_string().contains(&blocked.display().to_string()), "{refused}");
}

/// The fixtures contain the checksums of the released migrations: a migration that was changed after its release fails
/// here as it would on every device.
#[tokio::test]
async fn garages_of_every_older_schema_are_upgraded_with_their_content() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/garage");
    let mut files: Vec<_> =
        std::fs::read_dir(migrations).expect("a folder").map(|it| it.expect("an entry").path()).collect();
    files.sort();
    let applied = "CREATE TABLE refinery_schema_history
                   (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));";
    for schema in 1..files.len() {
        let folder = Folder::new();
        let old = raw(&folder.garage_file());
        for file in &files[..schema] {
            old.execute_batch(&std::fs::read_to_string(file).expect("SQL")).expect("the older schema");
        }
        let fixture = format!("{fixtures}/schema-{schema}.sql");
        let rows = std::fs::read_to_string(&fixture).unwrap_or_else(|error| panic!("{fixture}: {error}"));
        old.execute_batch(&format!("{applied}{rows}")).expect("the older garage");
        drop(old);
        let garage = open(&folder.garage_file()).await.expect("upgraded");
        let found = VehicleQuery { search: "4352 hönda old".to_owned(), ..VehicleQuery::default() };
        let vehicles = garage.all_vehicles(found).await.expect("a list");
        assert_eq!(vehicles.len(), 1, "from schema {schema}");
        assert_eq!(vehicles[0].fields.notes.as_deref(), Some("Old\nnotes"));
        let history = garage.history(vehicles[0].id).await.expect("a history");
        assert_eq!(history.len(), usize::from(schema > 1));
        let removed = VehicleQuery { is_removed: true, ..VehicleQuery::default() };
        assert_eq!(garage.count_vehicles(removed).await.expect("a count"), 1, "from schema {schema}");
        assert_eq!(add(&garage, json!({"nickname": "new"})).await.fields.nickname.as_deref(), Some("new"));
        assert_eq!(garage.examine().await.expect("examined").file, FileState::Sound);
        let backup = garage.backup_folder().join(format!("before-upgrade-{schema}-to-{}.db", files.len()));
        let before = rusqlite::Connection::open(&backup).expect("a backup");
        let newest = "SELECT max(version) FROM refinery_schema_history";
        assert_eq!(before.query_row(newest, [], |row| row.get(0)), Ok(schema as i64));
    }
}

#[tokio::test]
async fn the_upgrade_fails_without_a_change_if_the_backup_before_it_fails() {
    let folder = Folder::new();
    let migration = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/garage/V0001__vehicles.sql");
    let old = rusqlite::Connection::open(folder.garage_file()).expect("open");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-1.sql");
    let applied = "CREATE TABLE refinery_schema_history
                   (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));";
    let read = |file: &str| std::fs::read_to_string(file).expect("SQL");
    old.execute_batch(&format!("{}{applied}{}", read(migration), read(fixture))).expect("the older garage");
    drop(old);
    let before = std::fs::read(folder.garage_file()).expect("read");
    let backups = folder.0.path().join("garage.db-backups");
    std::fs::write(&backups, "in the way").expect("written");
    let refused = open(&folder.garage_file()).await.err().expect("refused");
    assert_eq!(refused.code(), ErrorCode::GarageReadOnly, "{refused}");
    let message = refused.to_string();
    assert!(message.starts_with("The garage must be backed up before it is upgraded, and "), "{message}");
    assert_eq!(std::fs::read(folder.garage_file()).expect("read"), before);
    std::fs::remove_file(&backups).expect("removed");
    open(&folder.garage_file()).await.expect("upgraded");
}

#[tokio::test]
async fn backup_export_and_restore_refuse_the_garages_own_file() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let here = add(&garage, json!({"nickname": "here"})).await;
    let path = folder.garage_file();
    let indirect = folder.0.path().join("./garage.db");
    for target in [&path, &indirect, &path.with_file_name("garage.db-wal")] {
        garage.back_up(target, Existing::Replace, Progress::none()).await.expect_err("refused");
        let format = ExportFormat::Json;
        garage.export_to_file(format, target, Existing::Replace, Progress::none()).await.expect_err("refused");
        garage.restore_backup(target, Progress::none()).await.expect_err("refused");
    }
    drop(garage);
    let reopened = open(&path).await.expect("open");
    assert_eq!(reopened.vehicle(here.id).await.expect("the vehicle"), here);
}

#[tokio::test]
async fn restoring_a_backup_that_cannot_be_upgraded_fails_and_changes_nothing() {
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

#[tokio::test]
async fn a_new_garage_can_be_opened_concurrently() {
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

#[tokio::test]
async fn a_failed_daily_backup_is_retried_after_the_next_write() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    // A file where the backup folder should be.
    std::fs::write(garage.backup_folder(), "").expect("written");
    add(&garage, json!({"nickname": "first"})).await;
    garage.daily_backup_settled().await;
    std::fs::remove_file(garage.backup_folder()).expect("removed");
    assert_eq!(garage.backups().expect("a list").len(), 0);
    add(&garage, json!({"nickname": "second"})).await;
    garage.daily_backup_settled().await;
    assert_eq!(garage.backups().expect("a list").len(), 1);
}
