//! Triggers that maintain versions, feed, tombstones and digest, and the migration of the original's tables. Most tests
//! use SQL directly, without the server.

use std::collections::BTreeMap;

use garage_server::{config::DatabaseArgs, store::Store};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    support::{ACCORD, Answer, Data, Server, new_postgres, postgres, postgres_url},
    tokens::token,
};

/// A direct connection to the database.
pub enum Sql {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

/// A row of vehicles or tombstones: user, id, version, and whether it is a tombstone.
type Record = (String, String, i64, bool);

impl Sql {
    /// Connects to a new database with the server's schema.
    async fn new() -> (Data, Sql) {
        let data = Data::new().await;
        let location = DatabaseArgs { database: Some(data.database.clone()) }.location().expect("a location");
        Store::open(&location).await.expect("a connection").close().await;
        let sql = Sql::on(&data).await;
        (data, sql)
    }

    pub async fn on(data: &Data) -> Sql {
        match data.database.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = rusqlite::Connection::open(path).expect("a connection");
                connection.busy_timeout(std::time::Duration::from_secs(30)).expect("a pragma");
                Sql::Sqlite(connection)
            }
            None => Sql::Postgres(postgres(&data.database).await),
        }
    }

    /// Runs statements. `{now}` is replaced by the current time.
    pub async fn run(&mut self, sql: &str) -> Result<(), String> {
        match self {
            Sql::Sqlite(connection) => {
                connection.execute_batch(&sql.replace("{now}", "0")).map_err(|error| error.to_string())
            }
            Sql::Postgres(client) => client.batch_execute(&sql.replace("{now}", "now()")).await.map_err(|error| {
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
            }),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Sql::Sqlite(_))
    }

    /// Reads the last version of a user's feed, and the records after a version, in one statement.
    async fn feed(&self, user: &str, after: i64) -> (i64, Vec<(String, i64)>) {
        const FEED: &str = "SELECT feeds.version, CAST(record.id AS TEXT), record.version FROM feeds LEFT JOIN (
                SELECT id, version FROM vehicles WHERE user_id = $1
                UNION ALL SELECT id, version FROM tombstones WHERE user_id = $1
            ) AS record ON record.version > $2 WHERE feeds.user_id = $1";
        type Row = (i64, Option<String>, Option<i64>);
        let rows: Vec<Row> = match self {
            Sql::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(FEED).expect("a statement");
                let rows = statement
                    .query_map(rusqlite::params![user, after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                rows.expect("rows").collect::<Result<_, _>>().expect("rows")
            }
            Sql::Postgres(client) => {
                let rows = client.query(FEED, &[&user, &after]).await.expect("rows");
                rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
            }
        };
        let version = rows.first().map_or(0, |row| row.0);
        (version, rows.into_iter().filter_map(|(_, id, version)| Some((id?, version?))).collect())
    }

    async fn records(&self) -> Vec<Record> {
        const RECORDS: &str = "SELECT user_id, CAST(id AS TEXT), version, false FROM vehicles
            UNION ALL SELECT user_id, CAST(id AS TEXT), version, true FROM tombstones ORDER BY 1, 2";
        match self {
            Sql::Sqlite(connection) => {
                let mut statement = connection.prepare(RECORDS).expect("a statement");
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
                rows.expect("rows").collect::<Result<_, _>>().expect("rows")
            }
            Sql::Postgres(client) => {
                let rows = client.query(RECORDS, &[]).await.expect("rows");
                rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
            }
        }
    }

    /// Compares each user's digest with one that is computed from all records as the contract specifies.
    async fn check_digests(&self) {
        const DIGESTS: &str = "SELECT user_id, record_count, record_hash FROM feeds";
        let kept: BTreeMap<String, (i64, i64)> = match self {
            Sql::Sqlite(connection) => {
                let mut statement = connection.prepare(DIGESTS).expect("a statement");
                let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))));
                rows.expect("rows").collect::<Result<_, _>>().expect("rows")
            }
            Sql::Postgres(client) => {
                let rows = client.query(DIGESTS, &[]).await.expect("rows");
                rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
            }
        };
        let mut computed: BTreeMap<String, (i64, i64)> = kept.keys().map(|user| (user.clone(), (0, 0))).collect();
        for (user, id, version, _) in self.records().await {
            const PRIME: i64 = (1 << 31) - 1;
            let half = |range| i64::from_str_radix(&id[range], 16).expect("hexadecimal digits");
            let hash = (half(24..30) + version) % PRIME * ((half(30..36) + 3 * version) % PRIME) % PRIME;
            let (count, sum) = computed.get_mut(&user).expect("a feed for every record");
            *count += 1;
            *sum = (*sum + hash) % (1 << 48);
        }
        assert_eq!(kept, computed);
    }
}

/// An id with this last digit.
fn id(digit: char) -> String {
    format!("018f0000-0000-7000-8000-abcdef01234{digit}")
}

#[tokio::test]
async fn every_statement_is_in_the_feed() {
    let (_data, mut sql) = Sql::new().await;
    let mut expect = async |statement: &str, expected: &[(&str, char, i64, bool)]| {
        sql.run(&statement.replace('<', "'018f0000-0000-7000-8000-abcdef01234").replace('>', "'"))
            .await
            .expect(statement);
        let expected: Vec<Record> = expected
            .iter()
            .map(|(user, digit, version, gone)| ((*user).to_owned(), id(*digit), *version, *gone))
            .collect();
        assert_eq!(sql.records().await, expected, "{statement}");
        sql.check_digests().await;
    };
    let add = "INSERT INTO vehicles (id, user_id, nickname, vin, created_at, updated_at) VALUES
        (<1>, 'a', 'x', '11111', {now}, {now}), (<2>, 'a', 'y', '22222', {now}, {now}), (<3>, 'b', 'z', '11111', {now}, {now})";
    expect(add, &[("a", '1', 1, false), ("a", '2', 2, false), ("b", '3', 1, false)]).await;
    let change = "UPDATE vehicles SET color = 'Red' WHERE id = <1>";
    expect(change, &[("a", '1', 3, false), ("a", '2', 2, false), ("b", '3', 1, false)]).await;
    let remove = "UPDATE vehicles SET deleted_at = {now} WHERE id = <2>";
    expect(remove, &[("a", '1', 3, false), ("a", '2', 4, false), ("b", '3', 1, false)]).await;
    let delete = "DELETE FROM vehicles WHERE id = <1>";
    expect(delete, &[("a", '1', 5, true), ("a", '2', 4, false), ("b", '3', 1, false)]).await;
    let give = "UPDATE vehicles SET user_id = 'b' WHERE id = <2>";
    expect(give, &[("a", '1', 5, true), ("a", '2', 6, true), ("b", '2', 2, false), ("b", '3', 1, false)]).await;
    let renumber = "UPDATE vehicles SET id = <4>, user_id = 'd' WHERE id = <3>";
    expect(
        renumber,
        &[("a", '1', 5, true), ("a", '2', 6, true), ("b", '2', 2, false), ("b", '3', 3, true), ("d", '4', 1, false)],
    )
    .await;
    let again =
        "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at) VALUES (<1>, 'a', 'x', {now}, {now})";
    expect(
        again,
        &[("a", '1', 7, false), ("a", '2', 6, true), ("b", '2', 2, false), ("b", '3', 3, true), ("d", '4', 1, false)],
    )
    .await;
    // A version that a statement sets is ignored.
    let choose = "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at, version)
        VALUES (<5>, 'c', 'x', {now}, {now}, 99)";
    expect(
        choose,
        &[
            ("a", '1', 7, false),
            ("a", '2', 6, true),
            ("b", '2', 2, false),
            ("b", '3', 3, true),
            ("c", '5', 1, false),
            ("d", '4', 1, false),
        ],
    )
    .await;
    let refused = format!(
        "INSERT INTO vehicles (id, user_id, vin, created_at, updated_at) VALUES ('{}', 'b', '22222', {{now}}, {{now}}),
        ('{}', 'b', '22222', {{now}}, {{now}})",
        id('6'),
        id('7')
    );
    sql.run(&refused).await.expect_err("two live vehicles with the same VIN");
    sql.check_digests().await;
    assert_eq!(sql.records().await.len(), 6, "a failed statement changes nothing");
}

/// TRUNCATE does not fire triggers for rows.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn truncate_is_in_the_feed() {
    let (_data, mut sql) = Sql::new().await;
    let add = format!("INSERT INTO vehicles (id, user_id, vin) VALUES ('{}', 'a', '11111')", id('1'));
    sql.run(&add).await.expect("added");
    sql.run("TRUNCATE vehicles").await.expect("emptied");
    assert_eq!(sql.records().await, [("a".to_owned(), id('1'), 2, true)]);
    sql.check_digests().await;
}

/// A client reads the feed while several writers commit and roll back. In the end it has every record at its last version.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_reader_of_the_feed_never_misses_a_version() {
    const WRITERS: usize = 6;
    const WRITES: usize = 60;
    let (data, sql) = Sql::new().await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let mut sql = Sql::on(&data).await;
        writers.push(tokio::spawn(async move {
            for write in 0..WRITES {
                let own = format!("018f0000-0000-7000-8000-00000000{writer:02x}{:02x}", write % 16);
                let statement = match write % 5 {
                    0 | 1 => format!(
                        "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at)
                         VALUES ('{own}', 'a', 'x', {{now}}, {{now}})
                         ON CONFLICT (id) DO UPDATE SET nickname = 'again', updated_at = excluded.updated_at"
                    ),
                    2 => format!("UPDATE vehicles SET color = 'Red' WHERE user_id = 'a' AND id <> '{own}'"),
                    3 => format!("UPDATE vehicles SET deleted_at = {{now}} WHERE id = '{own}'"),
                    _ => format!("DELETE FROM vehicles WHERE id = '{own}'"),
                };
                let end = if write % 7 == 3 { "ROLLBACK" } else { "COMMIT" };
                let begin = if sql.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN" };
                // PostgreSQL aborts one of the transactions of a deadlock.
                while let Err(reason) = sql.run(&format!("{begin}; {statement}; {end}")).await {
                    assert!(reason.contains("deadlock"), "{reason}");
                    sql.run("ROLLBACK").await.expect("rolled back");
                }
            }
        }));
    }
    let mut known = BTreeMap::new();
    let mut cursor = 0;
    let mut passes = 0;
    loop {
        let is_finished = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let (version, news) = sql.feed("a", cursor).await;
        passes += usize::from(!news.is_empty());
        for (id, version) in news {
            known.insert(id, version);
        }
        assert!(version >= cursor, "versions ascend");
        cursor = version;
        if is_finished {
            break;
        }
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let records = sql.records().await;
    let current: BTreeMap<String, i64> = records.iter().map(|(_, id, version, _)| (id.clone(), *version)).collect();
    assert_eq!(known, current, "after {passes} passes");
    assert!(passes > 3, "the reader did not run concurrently with the writers: {passes} passes");
    sql.check_digests().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_migrations_of_an_empty_database_succeed() {
    let data = Data::new().await;
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let mut migrate = data.command(&["migrate"]);
            tokio::task::spawn_blocking(move || migrate.output().expect("it runs"))
        })
        .collect();
    for start in starts {
        let output = start.await.expect("no panic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let server = Server::start_on(data, &["--open-registration"]);
    server.user("ada").await;
}

/// An operator's database with the original's tables, and additions of the operator.
const ORIGINAL: &str = "
    CREATE TABLE vehicles (
        id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id VARCHAR(255) NOT NULL, vin VARCHAR(17) NOT NULL,
        make VARCHAR(100), model VARCHAR(100), year INT, nickname VARCHAR(100), color VARCHAR(50),
        license_plate VARCHAR(20), odometer_reading INT DEFAULT 0, is_active BOOLEAN DEFAULT true,
        deleted_at TIMESTAMPTZ, created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now(),
        CONSTRAINT unique_user_vin UNIQUE (user_id, vin)
    );
    CREATE TABLE vin_cache (
        vin VARCHAR(17) PRIMARY KEY, make VARCHAR(100), model VARCHAR(100), year INT, engine_type VARCHAR(100),
        body_type VARCHAR(100), raw_data JSONB, cached_at TIMESTAMPTZ DEFAULT now()
    );
    CREATE TABLE fuel_logs (id SERIAL PRIMARY KEY, vehicle_id UUID REFERENCES vehicles (id) ON DELETE CASCADE);
    CREATE VIEW live_vehicles AS SELECT * FROM vehicles WHERE deleted_at IS NULL;
    CREATE FUNCTION touch() RETURNS TRIGGER LANGUAGE plpgsql AS
        $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
    CREATE TRIGGER vehicles_updated_at BEFORE UPDATE ON vehicles FOR EACH ROW EXECUTE FUNCTION touch();
    INSERT INTO vin_cache (vin, make, raw_data) VALUES ('1HGCM82633A004352', 'HONDA', '{\"Make\": \"HONDA\"}');
    INSERT INTO vehicles (id, user_id, vin, make, model, year, odometer_reading, is_active, created_at, deleted_at, updated_at) VALUES
        ('018f0000-0000-4000-8000-000000000001', 'auth0|ada', '1hgcm82633a004352', 'Honda', 'Accord', 2003, 50000, true,
            '2020-01-01T00:00:00Z', NULL, '2020-02-02T00:00:00Z'),
        ('018f0000-0000-4000-8000-000000000002', 'auth0|ada', 'NOT A VIN?', NULL, NULL, 1700, -5, NULL, NULL, NULL, NULL),
        ('018f0000-0000-4000-8000-000000000003', 'auth0|ada', '', 'Ford', NULL, NULL, NULL, false,
            '2021-01-01T00:00:00Z', NULL, NULL),
        ('018f0000-0000-4000-8000-000000000004', 'auth0|ada', '5YJSA1E26HF000337', 'Tesla', NULL, NULL, 0, true,
            '2019-01-01T00:00:00Z', '2022-01-01T00:00:00Z', NULL),
        ('018f0000-0000-4000-8000-000000000005', 'auth0|bob', 'abc-12345', 'Fiat', NULL, 1970, 0, true,
            '2019-01-01T00:00:00Z', NULL, NULL),
        ('018f0000-0000-4000-8000-000000000006', 'auth0|bob', 'ABC12345', 'Fiat', NULL, 1971, 0, true,
            '2019-01-01T00:00:00Z', NULL, NULL);
    INSERT INTO fuel_logs (vehicle_id) SELECT id FROM vehicles;";

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn original_database_is_migrated_in_place() {
    let url = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let client = postgres(&url).await;
    client.batch_execute(ORIGINAL).await.expect("the original's tables");
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data { folder, database: url };
    for _ in 0..2 {
        let output = data.command(&["migrate"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let sql = Sql::on(&data).await;
    sql.check_digests().await;
    let versions: Vec<i64> = sql.records().await.into_iter().map(|(_, _, version, _)| version).collect();
    // Versions are in the order of created_at, and null is first. The first four are of Ada, the others of Bob.
    assert_eq!(versions, [3, 1, 4, 2, 1, 2]);
    let cached = client.query_one("SELECT make, raw_data::text FROM vin_cache", &[]).await.expect("a row");
    assert_eq!(cached.get::<_, &str>(0), "HONDA");
    // The operator's view, trigger and foreign keys still exist, and the migration did not fire the trigger.
    let untouched = "SELECT count(*) FROM live_vehicles WHERE updated_at = '2020-02-02T00:00:00Z'";
    assert_eq!(client.query_one(untouched, &[]).await.expect("a count").get::<_, i64>(0), 1);
    let logs = "SELECT count(*) FROM fuel_logs JOIN vehicles ON vehicles.id = vehicle_id";
    assert_eq!(client.query_one(logs, &[]).await.expect("a count").get::<_, i64>(0), 6);

    let server = Server::start_on(data, &[]);
    let ada = token(&server.data().keys(), "auth0|ada");
    let ask = |method: Method, path: &str| server.request(method, path).bearer_auth(&ada);
    let list = Answer::of(ask(Method::GET, "/api/vehicles")).await.expect(StatusCode::OK);
    let list = list.as_array().expect("a list");
    let of = |digit: char| {
        let id = format!("018f0000-0000-4000-8000-00000000000{digit}");
        list.iter().find(|vehicle| vehicle["id"] == id).cloned().unwrap_or_default()
    };
    assert_eq!(list.len(), 3, "{list:?}");
    assert_eq!((&of('1')["vin"], &of('1')["odometerReading"]), (&json!(ACCORD), &json!(50_000)));
    assert_eq!(
        (&of('2')["vin"], &of('2')["year"], &of('2')["isActive"]),
        (&json!("NOT A VIN?"), &json!(1700), &json!(true))
    );
    assert_eq!(
        (&of('3')["vin"], &of('3')["odometerUnit"], &of('3')["isActive"]),
        (&json!(null), &json!("mi"), &json!(false))
    );
    // Values that break the current rules are kept when other fields change.
    let odd = "/api/vehicles/018f0000-0000-4000-8000-000000000002";
    let changed = Answer::of(ask(Method::PUT, odd).json(&json!({ "color": "Red" }))).await.expect(StatusCode::OK);
    assert_eq!((&changed["vin"], &changed["odometerReading"]), (&json!("NOT A VIN?"), &json!(-5)));
    // Two VINs that are equal after normalization are both kept.
    let bob = token(&server.data().keys(), "auth0|bob");
    let bobs = Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(&bob)).await.expect(StatusCode::OK);
    assert_eq!(bobs.as_array().map(Vec::len), Some(2));
    // The VIN of a removed vehicle can be added again.
    let again = Answer::of(ask(Method::POST, "/api/vehicles").json(&json!({ "vin": "5YJSA1E26HF000337" }))).await;
    again.expect(StatusCode::CREATED);

    // The original's statements still work.
    let insert =
        "INSERT INTO vehicles (user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *";
    let none: Option<&str> = None;
    let row = client
        .query_one(insert, &[&"auth0|ada", &"JH4KA7561PC008269", &"Acura", &"Legend", &1993, &none, &none, &none, &0])
        .await
        .expect("added");
    let (id, version): (uuid::Uuid, i64) = (row.get("id"), row.get("version"));
    assert_eq!(version, 7);
    let update = "UPDATE vehicles SET nickname = $3, odometer_reading = $4, updated_at = NOW()
                  WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL RETURNING *";
    client.query_one(update, &[&id, &"auth0|ada", &"Legend", &120_000]).await.expect("changed");
    let shown = Answer::of(ask(Method::GET, &format!("/api/vehicles/{id}"))).await;
    assert_eq!((&shown.expect(StatusCode::OK)["nickname"], shown.header("etag")), (&json!("Legend"), "\"8\""));
    let select = "SELECT * FROM vehicles WHERE user_id = $1 AND deleted_at IS NULL ORDER BY created_at DESC";
    assert_eq!(client.query(select, &[&"auth0|ada"]).await.expect("rows").len(), 5);
    let delete = "UPDATE vehicles SET deleted_at = NOW() WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL";
    assert_eq!(client.execute(delete, &[&id, &"auth0|ada"]).await.expect("removed"), 1);
    Answer::of(ask(Method::GET, &format!("/api/vehicles/{id}")))
        .await
        .refused(StatusCode::NOT_FOUND, "Vehicle not found");
    let insert = "INSERT INTO vehicles (user_id, vin) VALUES ($1, $2)";
    let duplicate = client.execute(insert, &[&"auth0|ada", &ACCORD]).await.expect_err("a duplicate VIN");
    assert_eq!(duplicate.code(), Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION));
    sql.check_digests().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn failed_migrations_change_nothing() {
    let url = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let client = postgres(&url).await;
    client.batch_execute("CREATE TABLE vehicles (id INT PRIMARY KEY, brand TEXT)").await.expect("an unrelated table");
    let data = Data { folder: tempfile::tempdir().expect("a folder"), database: url };
    let output = data.command(&["migrate"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("the schema could not be brought up to date"), "{said}");
    let tables =
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'refinery_schema_history'";
    assert_eq!(client.query_one(tables, &[]).await.expect("a count").get::<_, i64>(0), 1);

    // A database of a newer version is not changed.
    let newer = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let data = Data { folder: tempfile::tempdir().expect("a folder"), database: newer };
    assert!(data.command(&["migrate"]).output().expect("it runs").status.success());
    let client = postgres(&data.database).await;
    let later =
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (99, 'later', '', '0')";
    client.batch_execute(later).await.expect("written");
    let output = data.command(&["serve", "--listen", "127.0.0.1:0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("written by a newer version (schema 99"), "{said}");
    assert!(said.contains("--database (GARAGE_DATABASE)"), "{said}");
}

/// Includes a column that a later migration could add.
#[tokio::test]
async fn changes_of_every_column_are_in_the_feed() {
    let (_data, mut sql) = Sql::new().await;
    let add = format!(
        "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at) VALUES ('{}', 'a', 'x', {{now}}, {{now}})",
        id('1')
    );
    sql.run(&add).await.expect("added");
    sql.run("ALTER TABLE vehicles ADD COLUMN later_column TEXT").await.expect("a column");
    let columns: Vec<String> = match &sql {
        Sql::Sqlite(connection) => {
            let names = "SELECT name FROM pragma_table_info('vehicles')";
            let mut statement = connection.prepare(names).expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.collect::<Result<_, _>>().expect("names")
        }
        Sql::Postgres(client) => {
            let names = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'vehicles'
                         AND is_generated = 'NEVER'";
            client.query(names, &[]).await.expect("rows").iter().map(|row| row.get(0)).collect()
        }
    };
    assert!(columns.len() > 20 && columns.contains(&"later_column".to_owned()), "{columns:?}");
    let mut version = 1;
    for column in columns {
        let value = if column == "version" { "99".to_owned() } else { column.clone() };
        sql.run(&format!("UPDATE vehicles SET {column} = {value}")).await.expect("changed");
        version += 1;
        assert_eq!(sql.records().await, [("a".to_owned(), id('1'), version, false)], "{column}");
        sql.check_digests().await;
    }
}

/// The role of an original backend has rights on `vehicles` only. The role of a server does not own the schema.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn roles_with_restricted_rights_can_write_vehicles_and_serve() {
    let url = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let client = postgres(&url).await;
    client.batch_execute(ORIGINAL).await.expect("the original's tables");
    let data = Data { folder: tempfile::tempdir().expect("a folder"), database: url.clone() };
    assert!(data.command(&["migrate"]).output().expect("it runs").status.success());
    let database = url.rsplit_once('/').expect("a URL").1;
    let (writer, server) = (format!("writer_{database}"), format!("server_{database}"));
    let roles = format!(
        "CREATE ROLE {writer} LOGIN; CREATE ROLE {server} LOGIN;
         REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON vehicles TO {writer};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {server}"
    );
    client.batch_execute(&roles).await.expect("roles");

    let as_role = |role: &str| url.replace("garage@", &format!("{role}@"));
    let other = postgres(&as_role(&writer)).await;
    for statement in [
        "INSERT INTO vehicles (user_id, vin) VALUES ('c', '11111'), ('c', '22222'), ('d', '33333')",
        "UPDATE vehicles SET nickname = 'x' WHERE user_id = 'c'",
        "UPDATE vehicles SET user_id = 'e' WHERE user_id = 'd'",
        "DELETE FROM vehicles WHERE vin = '11111'",
    ] {
        other.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    let sql = Sql::on(&data).await;
    sql.check_digests().await;
    let refused =
        other.batch_execute("SELECT motovault_next_version('c')").await.expect_err("the role has no right to call it");
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));

    // The schema is up to date, so a server needs no right to change it.
    let data = Data { database: as_role(&server), ..data };
    let running = Server::start_on(data, &["--open-registration"]);
    let ada = running.user("ada").await;
    ada.add(json!({ "vin": ACCORD })).await;
    other.batch_execute("TRUNCATE vehicles CASCADE").await.expect_err("the role has no right on fuel_logs");
    sql.check_digests().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask contract"]
async fn migrations_that_wait_for_another_program_print_a_message() {
    const MIGRATION_LOCK: i64 = 0x4d56_5376;
    let url = new_postgres(&postgres_url().expect("GARAGE_TEST_POSTGRES")).await;
    let client = postgres(&url).await;
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.expect("locked");
    let data = Data { folder: tempfile::tempdir().expect("a folder"), database: url };
    let mut migration = data.command(&["migrate"]).spawn().expect("it runs");
    let mut said = std::io::BufReader::new(migration.stderr.take().expect("an output"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    assert!(line.contains("waiting for another program that is changing the schema"), "{line}");
    client.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await.expect("unlocked");
    assert!(migration.wait().expect("it ends").success());
}
