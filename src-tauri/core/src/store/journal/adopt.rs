//! After an upgrade: what older versions carried without knowing it becomes what it is.

use garage_domain::{COLLECTIONS, Collection};
use rusqlite::{Connection, Result};

use super::{
    super::{foreign, records},
    rows,
};

/// Moves values from `extra` to the columns that this schema has for them, and records of collections that this version
/// knows from `foreign_records` to their tables. A value that its column cannot hold stays in `extra`. Neither is a
/// change: history, bases and marks stay as they are.
pub(crate) fn adopt_known(connection: &Connection, schema: i64) -> Result<()> {
    for collection in COLLECTIONS {
        for before in records::with_extra(connection, collection)? {
            let mut after = before.clone();
            after.adopt_known();
            rows::update(connection, &before, &after)?;
        }
    }
    let (foreign_records, _) = foreign::all(connection)?;
    for foreign in foreign_records {
        let Some(collection) = Collection::by_name(&foreign.collection) else { continue };
        let id = foreign.id;
        let record = records::with_resolved_ids(connection, foreign.into_record(collection))?;
        // If the record exists, it may hold other values, so the foreign one is kept where it is.
        if !records::exists(connection, collection, record.id)? {
            rows::insert(connection, &record)?;
            rows::delete_foreign(connection, collection.name, id)?;
        }
    }
    rows::execute(connection, "UPDATE upkeep SET adopted_schema = ?1", &[&schema])
}

#[cfg(test)]
mod tests {
    use garage_domain::{FieldValue, RecordId, SERVICE_ENTRIES, VEHICLES, service_entry};
    use garage_sqlite::Error;
    use uuid::Uuid;

    use super::*;
    use crate::store;

    /// An older version knew neither the year nor service entries.
    #[tokio::test]
    async fn an_upgrade_adopts_what_an_older_version_carried() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("garage.db");
        let database = store::open(&path).await.expect("open");
        let older = r#"
            INSERT INTO vehicles (position, id, nickname, odometer_unit, is_active, extra, created_at_us, updated_at_us)
            VALUES
                (1, '00000000-0000-0000-0000-000000000001', 'a', 'mi', 1, '{"year":2003,"wheels":4.0}', 1, 1),
                (2, '00000000-0000-0000-0000-000000000002', 'b', 'mi', 1, '{"year":99999999999999999999}', 1, 1),
                (3, '00000000-0000-0000-0000-000000000003', 'c', 'mi', 1, '{"year":"MMIII"}', 1, 1);
            INSERT INTO foreign_records (collection, record_id, fields, origins, created_at_us, updated_at_us) VALUES
                ('serviceEntries', '00000000-0000-0000-0000-000000000004',
                    '{"date":"2026-03-14","kind":"wash","odometerReading":7,"soap":true}', '{}', 1, 1),
                ('fuelEntries', '00000000-0000-0000-0000-000000000005', '{}', '{}', 1, 1);
            INSERT INTO foreign_records (collection, record_id, fields, origins, created_at_us, updated_at_us) VALUES
                ('serviceEntries', '00000000-0000-0000-0000-000000000006',
                    '{"vehicleId":"00000000-0000-0000-0000-000000000009","date":"2026-03-14"}', '{}', 1, 1);
            INSERT INTO alias (collection, alias_id, record_id) VALUES
                ('vehicles', '00000000-0000-0000-0000-000000000009', '00000000-0000-0000-0000-000000000001');
            UPDATE upkeep SET adopted_schema = 0;"#;
        database.write(|transaction| Ok::<_, Error>(transaction.execute_batch(older)?)).await.expect("written");
        database.close().await;
        let database = store::open(&path).await.expect("open");
        let read = database.read(|transaction| {
            let id = |number| RecordId(Uuid::from_u128(number));
            let vehicle = |number| records::by_id(transaction, &VEHICLES, id(number));
            let entry = records::by_id(transaction, &SERVICE_ENTRIES, id(4))?;
            let of_alias = records::referring(transaction, &SERVICE_ENTRIES, &service_entry::VEHICLE_ID, id(1))?;
            assert_eq!(of_alias.iter().map(|it| it.id).collect::<Vec<_>>(), [id(6)], "an alias is resolved");
            Ok::<_, Error>(([vehicle(1)?, vehicle(2)?, vehicle(3)?], entry, foreign::all(transaction)?))
        });
        let (vehicles, entry, left) = read.await.expect("read");
        let [known, huge, text] = vehicles.map(|vehicle| vehicle.expect("a vehicle"));
        let year = VEHICLES.field("year").expect("a field");
        assert_eq!(known.stored(year), Some(&FieldValue::Integer(2003)));
        assert_eq!(known.extra.keys().collect::<Vec<_>>(), ["wheels"]);
        assert_eq!((huge.stored(year), huge.extra["year"].text()), (None, "99999999999999999999"));
        assert_eq!((text.stored(year), text.extra["year"].text()), (None, "\"MMIII\""));
        let entry = entry.expect("it is a service entry now");
        assert_eq!(entry.value("odometerReading"), Some(FieldValue::Integer(7)));
        assert_eq!(entry.value("kind"), Some(FieldValue::Text("wash".to_owned())));
        assert_eq!(entry.extra["soap"].text(), "true");
        assert_eq!(left.0.iter().map(|it| it.collection.as_str()).collect::<Vec<_>>(), ["fuelEntries"]);
    }
}
