//! Vehicles in the database. Each backend reads the facts of a write and applies the decision of `decide` in one
//! transaction.

mod postgres;
mod sqlite;
mod statements;

use garage_domain::VehicleId;
use garage_protocol::WireVehicle;

use super::decide::{Operation, Outcome};
use crate::store::{Store, StoreError};

/// Adds the user's live vehicles to `vehicles`, newest first, while they are read. Returns the feed version of the same
/// moment.
pub async fn list<V>(store: &Store, user: &str, vehicles: V) -> Result<(i64, V), StoreError>
where
    V: Extend<WireVehicle> + Send + 'static,
{
    match store {
        Store::Sqlite(database) => sqlite::list(database, user, vehicles).await,
        Store::Postgres(database) => postgres::list(database, user, vehicles).await,
    }
}

/// A live vehicle of the user.
pub async fn get(store: &Store, user: &str, id: VehicleId) -> Result<Option<WireVehicle>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::get(database, user, id).await,
        Store::Postgres(database) => postgres::get(database, user, id).await,
    }
}

/// Performs a write for the user, who may have `quota` rows and tombstones.
///
/// # Errors
/// With [`StoreError::Unavailable`] the write may have happened; performing the operation again is safe.
pub async fn perform(store: &Store, user: &str, operation: Operation, quota: i64) -> Result<Outcome, StoreError> {
    perform_all(store, user, vec![operation], quota).await?.pop().ok_or(StoreError::Failed)
}

/// Performs writes for the user in one transaction, in this order. Each sees what those before it did. One that is refused,
/// also by a constraint of the database, leaves the others; after an error nothing is written.
///
/// # Errors
/// As [`perform`].
pub async fn perform_all(
    store: &Store,
    user: &str,
    operations: Vec<Operation>,
    quota: i64,
) -> Result<Vec<Outcome>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::perform_all(database, user, operations, quota).await,
        Store::Postgres(database) => postgres::perform_all(database, user, &operations, quota).await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use garage_domain::{Patch, RecordId, VEHICLES, VehicleFields};
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{
        super::decide::{Base, Kind, Refusal},
        *,
    };
    use crate::store::Location;

    /// The database that `GARAGE_TEST_POSTGRES` names, else a new file.
    async fn store(folder: PathBuf) -> Store {
        let location = match std::env::var("GARAGE_TEST_POSTGRES") {
            Ok(url) => Location::Postgres(Box::new(crate::store::postgres::config(&url).expect("a URL"))),
            Err(_) => Location::Sqlite(folder.join("server.db")),
        };
        Store::open(&location).await.expect("open")
    }

    /// The operations as of one device: each on a vehicle by its number.
    fn operation(number: u128, kind: Kind) -> Operation {
        Operation { id: RecordId(Uuid::from_u128(number)), kind, at: at() }
    }

    fn at() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().expect("a time")
    }

    fn patch(draft: &Value) -> Patch {
        Patch::parse(&VEHICLES, draft.as_object().expect("an object"), at()).expect("a patch")
    }

    fn create(draft: &Value) -> Kind {
        let fields = patch(draft).apply(VehicleFields::default()).expect("fields");
        Kind::Create { fields: Box::new(fields), sent: draft.to_string() }
    }

    fn update(draft: &Value) -> Kind {
        Kind::Update { patch: patch(draft), decoded: Vec::new(), base: Base::Any }
    }

    /// What a test compares: times and versions differ between runs.
    fn summary(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Written(vehicle) | Outcome::Kept(vehicle) => {
                let kind = if matches!(outcome, Outcome::Written(_)) { "written" } else { "kept" };
                format!("{kind}: {:?}, {:?}, {:?}", vehicle.fields.nickname, vehicle.fields.vin, vehicle.deleted_at)
            }
            Outcome::Refused(Refusal::Changed(_)) => "changed".to_owned(),
            Outcome::Refused(refusal) => format!("{refusal:?}"),
        }
    }

    #[tokio::test]
    async fn a_batch_does_what_its_operations_do_one_by_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path().to_owned()).await;
        let base = Uuid::now_v7().as_u128() & !0xff;
        let vin = json!({ "vin": "1HGCM82633A004352", "nickname": "Blue" });
        let operations = |base: u128| {
            vec![
                operation(base + 1, create(&vin)),
                // The same again, its VIN again, and its id again.
                operation(base + 1, create(&vin)),
                operation(base + 2, create(&vin)),
                operation(base + 1, create(&json!({ "nickname": "Other" }))),
                operation(base + 3, create(&json!({ "nickname": "Red" }))),
                operation(base + 3, update(&json!({ "vin": "1HGCM82633A004352" }))),
                operation(base + 1, Kind::Remove { base: Base::OneOf(vec![-1]) }),
                operation(base + 1, Kind::Remove { base: Base::Any }),
                operation(base + 3, update(&json!({ "vin": "1HGCM82633A004352", "nickname": "Green" }))),
                operation(base + 4, update(&json!({ "nickname": "Nobody's" }))),
                // Above the quota.
                operation(base + 5, create(&json!({ "nickname": "Third" }))),
            ]
        };
        let (ada, bob) = (format!("ada-{base}"), format!("bob-{base}"));
        let batch = perform_all(&store, &ada, operations(base), 2).await.expect("outcomes");
        let mut single = Vec::new();
        for operation in operations(base + 0x80) {
            single.push(perform(&store, &bob, operation, 2).await.expect("an outcome"));
        }
        let summaries = |outcomes: &[Outcome]| outcomes.iter().map(summary).collect::<Vec<_>>();
        assert_eq!(summaries(&batch), summaries(&single));
        let refused = batch.iter().filter(|outcome| matches!(outcome, Outcome::Refused(_))).count();
        let written = batch.iter().filter(|outcome| matches!(outcome, Outcome::Written(_))).count();
        assert_eq!((written, refused), (4, 6), "{batch:#?}");
        let (_, vehicles) = list(&store, &ada, Vec::new()).await.expect("a list");
        assert_eq!(vehicles.iter().map(|it| it.fields.nickname.as_deref()).collect::<Vec<_>>(), [Some("Green")]);
        assert_eq!(perform_all(&store, &ada, Vec::new(), 2).await.expect("outcomes"), []);
        store.close().await;
    }

    /// Executes a statement of an operator.
    async fn execute(store: &Store, sql: String) {
        match store {
            Store::Sqlite(database) => {
                let execute = move |tx: &rusqlite::Transaction<'_>| Ok::<_, StoreError>(tx.execute_batch(&sql)?);
                database.write(execute).await.expect("executed");
            }
            Store::Postgres(database) => {
                // It waits for the transactions of other tests.
                let sql = format!("SET lock_timeout = 0; {sql}; SET lock_timeout = 5000");
                database.connection().await.expect("a connection").batch_execute(&sql).await.expect("executed");
            }
        }
    }

    #[tokio::test]
    async fn a_write_in_a_batch_that_violates_a_constraint_of_an_operator_is_refused_and_the_others_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path().to_owned()).await;
        let base = Uuid::now_v7().as_u128() & !0xff;
        let ada = format!("ada-{base}");
        let index = format!("plates_{base} ON vehicles (license_plate) WHERE user_id = '{ada}'");
        execute(&store, format!("CREATE UNIQUE INDEX {index}")).await;
        let operations = vec![
            operation(base + 1, create(&json!({ "licensePlate": "BE 1" }))),
            operation(base + 2, create(&json!({ "licensePlate": "BE 1" }))),
            operation(base + 3, create(&json!({ "licensePlate": "BE 2" }))),
            operation(base + 3, update(&json!({ "licensePlate": "BE 1" }))),
            operation(base + 3, update(&json!({ "licensePlate": "BE 3" }))),
        ];
        let outcomes = perform_all(&store, &ada, operations, 10).await.expect("outcomes");
        let is_written = |outcome: &Outcome| matches!(outcome, Outcome::Written(_));
        assert_eq!(outcomes.iter().map(is_written).collect::<Vec<_>>(), [true, false, true, false, true]);
        for refused in [&outcomes[1], &outcomes[3]] {
            assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
        }
        let (_, vehicles) = list(&store, &ada, Vec::new()).await.expect("a list");
        let plates: Vec<_> = vehicles.iter().map(|it| it.fields.license_plate.as_deref()).collect();
        assert_eq!(plates, [Some("BE 3"), Some("BE 1")]);
        store.close().await;
    }

    #[tokio::test]
    async fn a_list_of_any_length_is_complete_and_newest_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path().to_owned()).await;
        let base = Uuid::now_v7().as_u128() & !0xffff;
        let ada = format!("ada-{base}");
        let mut expected = Vec::new();
        for length in [1, 1_100] {
            let new = expected.len() as u128..length;
            let creation = |number: u128| operation(base + number, create(&json!({ "nickname": number.to_string() })));
            perform_all(&store, &ada, new.clone().map(creation).collect(), 2_000).await.expect("outcomes");
            expected.extend(new.map(|number| Some(number.to_string())));
            let (version, vehicles) = list(&store, &ada, Vec::new()).await.expect("a list");
            // All were created at the same time, so their ids decide.
            let listed: Vec<_> = vehicles.into_iter().rev().map(|vehicle| vehicle.fields.nickname).collect();
            assert_eq!(listed, expected);
            assert_eq!(store.feed_version(&ada).await.expect("a version"), version);
        }
        store.close().await;
    }
}
