//! The garage's SQLite file: its schema, and one module of functions per table.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use garage_sqlite::{Database, Error, Schema};
use rusqlite::{
    Connection, Row, RowIndex,
    types::{FromSql, Type},
};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod vehicles;

mod migrations {
    refinery::embed_migrations!("../../migrations/garage");
}

/// "MVGa", by which a file is known to be a garage.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVGa");

fn schema() -> Schema {
    Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "position"),
        prepare: |_| Ok(()),
        backup_before_upgrade: None,
    }
}

/// Opens the garage's file as [`open`] does, but backs it up before an upgrade, under the name that `backup_of` gives.
pub(crate) async fn open_backed_up(path: &Path, backup_of: fn(&Path, i64, i64) -> PathBuf) -> Result<Database, Error> {
    Database::open(path, Schema { backup_before_upgrade: Some(backup_of), ..schema() }).await
}

/// Opens the garage's file and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Database, Error> {
    Database::open(path, schema()).await
}

/// Opens a backup and checks that it is an intact garage.
pub(crate) async fn check(path: &Path) -> Result<Connection, Error> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || garage_sqlite::check(&path, &schema()))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// A column's value as the domain's type; one that does not fit says which column it is.
fn parsed<S: FromSql, T>(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
    parse: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<T> {
    parse(row.get(column)?).ok_or_else(|| {
        let reason = format!("column {column} holds a value that this version cannot read");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
    })
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: impl RowIndex + Copy + Display) -> rusqlite::Result<T> {
    parsed(row, column, |text: String| serde_json::from_str(&text).ok())
}

fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

#[cfg(test)]
mod tests {
    use garage_domain::VehicleDraft;
    use garage_sqlite::Existing;
    use serde_json::json;

    use crate::{
        ChangeListener, Environment, ErrorCode, Garage, GarageConfig, GarageError, ImportMode, Program, Progress,
        VehicleQuery,
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
        };
        Garage::open(config, ChangeListener::none()).await.expect("open")
    }

    /// Leaves this many pages of room on what is, for the garage, its disk; all there is with none.
    async fn leave_room(garage: &Garage, pages: Option<i64>) {
        let limit = garage.database.write::<_, GarageError>(move |transaction| {
            let used: i64 = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let limit = pages.map_or(1_000_000, |pages| used + pages);
            Ok(transaction.pragma_update_and_check(None, "max_page_count", limit, |row| row.get::<_, i64>(0))?)
        });
        limit.await.expect("a limit");
    }

    /// Everything that the garage shows, and that its search index agrees.
    async fn content(garage: &Garage) -> String {
        let export = garage.export(Progress::none()).await.expect("an export");
        let mut value = serde_json::to_value(export).expect("JSON");
        value["exportedAt"] = json!(null);
        let found = VehicleQuery { search: "n".to_owned(), ..VehicleQuery::default() };
        let examination = garage.examine().await.expect("examined");
        assert_eq!(examination.problems, Vec::<String>::new());
        let found = garage.count_vehicles(found).await.expect("a count");
        format!("{value} {found}")
    }

    /// SQLite takes pages as its statements go along, so that each number of them ends at another statement: in the
    /// row, its indexes, the search index, the history.
    #[tokio::test]
    async fn a_full_disk_at_any_statement_is_said_and_leaves_nothing_half_written() {
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
            let list: Vec<_> =
                (0..3).map(|index| json!({"nickname": "n", "notes": notes(&index.to_string())})).collect();
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
            garage.add_vehicle(&draft(json!({"nickname": "after"}))).await.expect("it goes on");
        }
    }
}
