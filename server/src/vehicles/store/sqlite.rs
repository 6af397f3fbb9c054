//! Vehicles in SQLite.

use garage_domain::{ColumnKind, FieldAccess, FieldValue, VEHICLES, VehicleFields, VehicleId};
use garage_protocol::WireVehicle;
use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension, Row, Transaction,
    ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_TRIGGER, SQLITE_CONSTRAINT_UNIQUE},
    params, params_from_iter,
    types::{Type, Value},
};

use super::statements::{FACTS, INSERT, LIST, LIVE, REMOVE, UPDATE};
use crate::{
    store::StoreError,
    vehicles::decide::{self, Decision, Facts, Operation, Outcome, Refusal},
};

/// The indexes of the columns after those of the fields, as in `{columns}`.
const ID: usize = VEHICLES.fields.len();
const USER_ID: usize = ID + 1;
const IMAGE_URL: usize = ID + 2;
const CREATED_AT: usize = ID + 3;
const UPDATED_AT: usize = ID + 4;
const DELETED_AT: usize = ID + 5;
const VERSION: usize = ID + 6;
/// The first column after `{columns}`.
const AFTER_COLUMNS: usize = ID + 7;

/// A list of more vehicles, removed ones included, takes so long that other reads must not wait for it.
const MANY_RECORDS: i64 = 1_000;

pub async fn list<V>(database: &Database, user: &str, mut vehicles: V) -> Result<(i64, V), StoreError>
where
    V: Extend<WireVehicle> + Send + 'static,
{
    let count = |connection: &Connection| {
        let mut statement = connection.prepare_cached("SELECT record_count FROM feeds WHERE user_id = ?1")?;
        Ok::<i64, StoreError>(statement.query_row([user], |row| row.get(0)).optional()?.unwrap_or(0))
    };
    let is_long = database.read_here(count).await? > MANY_RECORDS;
    let user = user.to_owned();
    let read = move |tx: &Transaction<'_>| {
        let mut statement = tx.prepare_cached(&LIST.sqlite)?;
        let mut rows = statement.query([user])?;
        let mut version = 0;
        while let Some(row) = rows.next()? {
            version = row.get(AFTER_COLUMNS)?;
            vehicles.extend(vehicle_of(row)?);
        }
        Ok((version, vehicles))
    };
    if is_long { database.read_long(read).await } else { database.read(read).await }
}

pub async fn get(database: &Database, user: &str, id: VehicleId) -> Result<Option<WireVehicle>, StoreError> {
    database.read_here(|connection| Ok(live(connection, user, id)?)).await
}

pub async fn perform_all(
    database: &Database,
    user: &str,
    operations: Vec<Operation>,
    quota: i64,
) -> Result<Vec<Outcome>, StoreError> {
    let user = user.to_owned();
    let write = move |tx: &Transaction<'_>| {
        let outcomes = operations.iter().map(|operation| perform(tx, &user, operation, quota));
        Ok::<_, StoreError>(outcomes.collect::<rusqlite::Result<_>>()?)
    };
    database.write(write).await
}

/// Nothing is left of a statement that fails, so it needs no savepoint.
fn perform(tx: &Transaction<'_>, user: &str, operation: &Operation, quota: i64) -> rusqlite::Result<Outcome> {
    let facts = facts(tx, user, operation)?;
    let (id, at) = (operation.id.to_string(), operation.at.as_microsecond());
    let written = match operation.decide(user, facts, quota) {
        Decision::Keep(vehicle) => return Ok(Outcome::Kept(vehicle)),
        Decision::Refuse(refusal) => return Ok(Outcome::Refused(refusal)),
        Decision::Insert { fields, sent } => {
            let others: [Value; 4] = [id.into(), user.to_owned().into(), at.into(), sent.to_owned().into()];
            let values = params_from_iter(others.into_iter().chain(values(fields)));
            tx.prepare_cached(&INSERT.sqlite)?.execute(values)
        }
        Decision::Update(fields) => {
            let others: [Value; 3] = [id.into(), user.to_owned().into(), at.into()];
            let values = params_from_iter(others.into_iter().chain(values(&fields)));
            tx.prepare_cached(&UPDATE.sqlite)?.execute(values)
        }
        Decision::Remove => tx.prepare_cached(&REMOVE.sqlite)?.execute(params![id, user, at]),
    };
    if let Err(error) = written {
        return refusal_of(error).map(Outcome::Refused);
    }
    // Read again, because a trigger assigns the version.
    match row(tx, user, operation)?.0 {
        Some(row) => Ok(Outcome::Written(row.vehicle)),
        None => Err(rusqlite::Error::QueryReturnedNoRows),
    }
}

/// The refusal for a violated constraint, such as one that an operator has added.
fn refusal_of(error: rusqlite::Error) -> rusqlite::Result<Refusal> {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(SQLITE_CONSTRAINT_PRIMARYKEY) => Ok(Refusal::UsedId),
        Some(SQLITE_CONSTRAINT_UNIQUE) => Ok(Refusal::DuplicateVin),
        // The trigger `vehicles_are_no_aliases`, not one of an operator.
        Some(SQLITE_CONSTRAINT_TRIGGER) if error.to_string().starts_with("this id is an alias") => Ok(Refusal::UsedId),
        _ => Err(error),
    }
}

fn facts(tx: &Transaction<'_>, user: &str, operation: &Operation) -> rusqlite::Result<Facts> {
    let (row, has_twin, records) = row(tx, user, operation)?;
    Ok(Facts { row, has_twin, records })
}

fn row(tx: &Transaction<'_>, user: &str, operation: &Operation) -> rusqlite::Result<(Option<decide::Row>, bool, i64)> {
    let mut statement = tx.prepare_cached(&FACTS.sqlite)?;
    statement.query_row(params![user, operation.id.to_string(), operation.vin()], |row| {
        let created_with = row.get(AFTER_COLUMNS)?;
        let found = vehicle_of(row)?.map(|vehicle| decide::Row { vehicle, created_with });
        Ok((found, row.get(AFTER_COLUMNS + 1)?, row.get(AFTER_COLUMNS + 2)?))
    })
}

fn live(connection: &Connection, user: &str, id: VehicleId) -> rusqlite::Result<Option<WireVehicle>> {
    let found = connection.prepare_cached(&LIVE.sqlite)?.query_row([user, &id.to_string()], vehicle_of).optional()?;
    Ok(found.flatten())
}

/// The fields' parameters, in the order of the declaration.
fn values(fields: &VehicleFields) -> impl Iterator<Item = Value> + '_ {
    VEHICLES.fields.iter().map(|field| match fields.get(field) {
        Some(FieldValue::Text(text)) => text.into(),
        Some(FieldValue::Integer(integer)) => integer.into(),
        Some(FieldValue::Boolean(flag)) => flag.into(),
        // Declared fields have no values of other types.
        Some(FieldValue::Other(_)) | None => Value::Null,
    })
}

/// The vehicle of a row that begins with `{columns}`; `None` if an outer join found none.
fn vehicle_of(row: &Row<'_>) -> rusqlite::Result<Option<WireVehicle>> {
    let Some(id) = row.get_ref(ID)?.as_str_or_null()? else { return Ok(None) };
    let unreadable = |index: usize| {
        let reason = "the column holds a value that this version cannot read";
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, reason.into())
    };
    let time = |index: usize| Timestamp::from_microsecond(row.get(index)?).map_err(|_| unreadable(index));
    let mut fields = VehicleFields::default();
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.get::<_, Option<i32>>(index)?.map(|it| FieldValue::Integer(it.into())),
            ColumnKind::Boolean => row.get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.set(field, value);
    }
    Ok(Some(WireVehicle {
        id: id.parse().map_err(|_| unreadable(ID))?,
        user_id: row.get(USER_ID)?,
        fields,
        image_url: row.get(IMAGE_URL)?,
        created_at: time(CREATED_AT)?,
        updated_at: time(UPDATED_AT)?,
        deleted_at: match row.get::<_, Option<i64>>(DELETED_AT)? {
            Some(_) => Some(time(DELETED_AT)?),
            None => None,
        },
        version: row.get(VERSION)?,
    }))
}

#[cfg(test)]
mod tests {
    use garage_domain::{Field, Patch, Rule};
    use serde_json::{Map, json};

    use super::*;
    use crate::vehicles::decide::{Base, Kind};

    /// A valid value that is not the field's default.
    fn sample(field: &Field) -> serde_json::Value {
        match field.rule {
            Rule::Vin => json!("1HGCM82633A004352"),
            Rule::Text { .. } => json!(field.name),
            Rule::Year => json!(2003),
            Rule::Integer { greatest, .. } => json!(greatest),
            Rule::Choice(choices) => json!(choices.last()),
            Rule::Boolean => json!(field.default_value() != Some(FieldValue::Boolean(true))),
            Rule::Date => json!("2026-03-14"),
            Rule::Amount => json!("129.90"),
            Rule::Currency => json!("EUR"),
            Rule::Reference { .. } => json!("018f0000-0000-7000-8000-000000000001"),
        }
    }

    fn at() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().expect("a time")
    }

    fn fields_of(draft: &Map<String, serde_json::Value>) -> VehicleFields {
        let patch = Patch::parse(&VEHICLES, draft, at()).expect("a patch");
        patch.apply(VehicleFields::default()).expect("fields")
    }

    /// Asserts that the columns of the only row have the values of `fields`.
    async fn check_row(database: &Database, fields: VehicleFields) {
        let check = move |tx: &Transaction<'_>| {
            tx.query_row("SELECT * FROM vehicles", [], |row| {
                for field in VEHICLES.fields {
                    let expected = match fields.get(field) {
                        Some(FieldValue::Text(text)) => Value::Text(text),
                        Some(FieldValue::Integer(integer)) => Value::Integer(integer),
                        Some(FieldValue::Boolean(flag)) => Value::Integer(flag.into()),
                        other => {
                            assert_eq!(other, None);
                            Value::Null
                        }
                    };
                    assert_eq!(row.get::<_, Value>(field.column)?, expected, "{field:?}");
                }
                Ok(())
            })
        };
        database.read(move |tx| Ok::<_, StoreError>(check(tx)?)).await.expect("a row");
    }

    async fn written(database: &Database, operation: Operation) -> WireVehicle {
        match perform_all(database, "ada", vec![operation], 10).await.expect("outcomes").pop() {
            Some(Outcome::Written(vehicle)) => vehicle,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_declared_field_is_written_and_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = crate::store::sqlite::open(&folder.path().join("server.db")).await.expect("a database");
        let draft: Map<_, _> = VEHICLES.fields.iter().map(|field| (field.name.to_owned(), sample(field))).collect();
        let all = fields_of(&draft);
        for field in VEHICLES.fields {
            assert!(all.get(field).is_some() && all.get(field) != field.default_value(), "{field:?}");
        }
        let id: VehicleId = "018f0000-0000-7000-8000-000000000002".parse().expect("an id");
        let at = at();
        let kind = Kind::Create { fields: Box::new(all.clone()), sent: "digest".to_owned() };
        let created = written(&database, Operation { id, kind, at }).await;
        assert_eq!(created.fields, all);
        check_row(&database, all.clone()).await;

        let make = Map::from_iter([("make".to_owned(), json!("Other"))]);
        let mut cleared: Map<_, _> =
            VEHICLES.fields.iter().map(|field| (field.name.to_owned(), serde_json::Value::Null)).collect();
        cleared.extend(make.clone());
        for (draft, expected) in [(cleared, fields_of(&make)), (draft, all)] {
            let patch = Patch::parse(&VEHICLES, &draft, at).expect("a patch");
            let kind = Kind::Update { patch, decoded: Vec::new(), base: Base::Any };
            assert_eq!(written(&database, Operation { id, kind, at }).await.fields, expected);
            let (_, vehicles) = list(&database, "ada", Vec::new()).await.expect("a list");
            assert_eq!(vehicles.first().map(|it| &it.fields), Some(&expected));
            check_row(&database, expected).await;
        }
        database.close().await;
    }
}
