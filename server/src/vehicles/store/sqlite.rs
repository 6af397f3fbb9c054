//! The operations on SQLite.

use std::sync::LazyLock;

use garage_domain::{ColumnKind, FieldAccess, FieldValue, VEHICLES, VehicleFields, VehicleId, Vin};
use garage_protocol::WireVehicle;
use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{
    OptionalExtension, Row, Transaction, params_from_iter,
    types::{Type, Value},
};

use super::statements::complete;
use crate::{
    error::ApiError,
    http::IfMatch,
    vehicles::{Created, Creation, Update},
};

static LIVE: LazyLock<String> = LazyLock::new(|| {
    complete("SELECT {columns} FROM vehicles WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL", '?', 2)
});

static LIST: LazyLock<String> = LazyLock::new(|| {
    complete(
        "SELECT {columns} FROM vehicles WHERE user_id = ?1 AND deleted_at IS NULL ORDER BY created_at DESC, id DESC",
        '?',
        1,
    )
});

static INSERT: LazyLock<String> = LazyLock::new(|| {
    complete(
        "INSERT INTO vehicles (id, user_id, created_at, updated_at, created_with, {fields})
         VALUES (?1, ?2, ?3, ?3, ?4, {parameters})",
        '?',
        4,
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    complete("UPDATE vehicles SET updated_at = ?3, {assignments} WHERE id = ?1 AND user_id = ?2", '?', 3)
});

/// The number that stands for all of the user's vehicles as they are: the last version given.
pub async fn feed_version(database: &Database, user: &str) -> Result<i64, ApiError> {
    let user = user.to_owned();
    let sql = "SELECT version FROM feeds WHERE user_id = ?1";
    database
        .read(move |tx| Ok(tx.prepare_cached(sql)?.query_row([user], |row| row.get(0)).optional()?.unwrap_or(0)))
        .await
}

/// The user's live vehicles, newest first, and the version of all of them, of one moment.
pub async fn list(database: &Database, user: &str) -> Result<(i64, Vec<WireVehicle>), ApiError> {
    let user = user.to_owned();
    database
        .read(move |tx| {
            let version = "SELECT version FROM feeds WHERE user_id = ?1";
            let version = tx.prepare_cached(version)?.query_row([&user], |row| row.get(0)).optional()?.unwrap_or(0);
            let mut statement = tx.prepare_cached(&LIST)?;
            let vehicles = statement.query_map([&user], vehicle_of)?.collect::<rusqlite::Result<_>>()?;
            Ok((version, vehicles))
        })
        .await
}

/// A live vehicle of the user.
pub async fn get(database: &Database, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    let user = user.to_owned();
    database.read(move |tx| live(tx, &user, id)).await
}

/// Adds a vehicle, unless the same request has done so before.
pub async fn create(database: &Database, user: &str, creation: Creation) -> Result<Created, ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            let Creation { id, fields, sent, at } = creation;
            let taken = "SELECT user_id, created_with, deleted_at IS NOT NULL FROM vehicles WHERE id = ?1";
            let taken = tx.prepare_cached(taken)?.query_row([id.to_string()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
            });
            if let Some((owner, sent_before, is_deleted)) = taken.optional()? {
                let is_the_same = owner == user && sent_before.as_deref() == Some(&sent) && !is_deleted;
                return if is_the_same { Ok(Created::Before(live(tx, &user, id)?)) } else { Err(ApiError::USED_ID) };
            }
            refuse_duplicate_vin(tx, &user, fields.vin.as_ref(), id)?;
            let others = [id.to_string().into(), user.clone().into(), at.as_microsecond().into(), sent.into()];
            tx.prepare_cached(&INSERT)?.execute(params_from_iter(others.into_iter().chain(values(&fields))))?;
            Ok(Created::New(live(tx, &user, id)?))
        })
        .await
}

/// Changes a vehicle, if it is at one of the versions that are meant.
pub async fn update(database: &Database, user: &str, update: Update) -> Result<WireVehicle, ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            let Update { id, at, .. } = update;
            let before = live_at(tx, &user, id, &update.if_match)?;
            let Some(fields) = update.changed(&before.fields)? else { return Ok(before) };
            refuse_duplicate_vin(tx, &user, fields.vin.as_ref(), id)?;
            let others: [Value; 3] = [id.to_string().into(), user.clone().into(), at.as_microsecond().into()];
            tx.prepare_cached(&UPDATE)?.execute(params_from_iter(others.into_iter().chain(values(&fields))))?;
            live(tx, &user, id)
        })
        .await
}

/// Marks a vehicle as removed, if it is at one of the versions that are meant.
pub async fn remove(
    database: &Database,
    user: &str,
    id: VehicleId,
    if_match: IfMatch,
    at: Timestamp,
) -> Result<(), ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            live_at(tx, &user, id, &if_match)?;
            tx.prepare_cached("UPDATE vehicles SET deleted_at = ?1, updated_at = ?1 WHERE user_id = ?2 AND id = ?3")?
                .execute(rusqlite::params![at.as_microsecond(), user, id.to_string()])?;
            Ok(())
        })
        .await
}

/// The fields' parameters, in the order of the declaration.
fn values(fields: &VehicleFields) -> impl Iterator<Item = Value> + '_ {
    VEHICLES.fields.iter().map(|field| match fields.get(field) {
        Some(FieldValue::Text(text)) => text.into(),
        Some(FieldValue::Integer(integer)) => integer.into(),
        Some(FieldValue::Boolean(flag)) => flag.into(),
        // A typed view never gives a value of another kind.
        Some(FieldValue::Other(_)) | None => Value::Null,
    })
}

fn live(tx: &Transaction<'_>, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    let vehicle = tx.prepare_cached(&LIVE)?.query_row([user, &id.to_string()], vehicle_of).optional()?;
    vehicle.ok_or(ApiError::NO_VEHICLE)
}

fn live_at(tx: &Transaction<'_>, user: &str, id: VehicleId, if_match: &IfMatch) -> Result<WireVehicle, ApiError> {
    let vehicle = live(tx, user, id)?;
    if if_match.allows(vehicle.version) { Ok(vehicle) } else { Err(ApiError::Changed(Box::new(vehicle))) }
}

fn refuse_duplicate_vin(tx: &Transaction<'_>, user: &str, vin: Option<&Vin>, id: VehicleId) -> Result<(), ApiError> {
    let Some(vin) = vin else { return Ok(()) };
    let sql = "SELECT id <> ?3 FROM vehicles WHERE user_id = ?1 AND vin = ?2 AND deleted_at IS NULL";
    let other =
        tx.prepare_cached(sql)?.query_row([user, vin.as_str(), &id.to_string()], |row| row.get(0)).optional()?;
    if other.unwrap_or(false) { Err(ApiError::DUPLICATE_VIN) } else { Ok(()) }
}

/// A vehicle from a row of `{columns}`.
fn vehicle_of(row: &Row<'_>) -> rusqlite::Result<WireVehicle> {
    let unreadable = |column: &str| {
        let reason = format!("column {column} holds a value that this version cannot read");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
    };
    let time = |column: &str| Timestamp::from_microsecond(row.get(column)?).map_err(|_| unreadable(column));
    let mut fields = VehicleFields::default();
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.get::<_, Option<i32>>(index)?.map(|it| FieldValue::Integer(it.into())),
            ColumnKind::Boolean => row.get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.set(field, value);
    }
    Ok(WireVehicle {
        id: row.get::<_, String>("id")?.parse().map_err(|_| unreadable("id"))?,
        user_id: row.get("user_id")?,
        fields,
        image_url: row.get("image_url")?,
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
        deleted_at: match row.get::<_, Option<i64>>("deleted_at")? {
            Some(_) => Some(time("deleted_at")?),
            None => None,
        },
        version: row.get("version")?,
    })
}

#[cfg(test)]
mod tests {
    use garage_domain::{Field, Patch, Rule};
    use serde_json::{Map, json};

    use super::*;

    /// A value that the field does not hold by default.
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

    /// The trigger that gives a changed vehicle its version fires for the columns in its list only.
    #[tokio::test]
    async fn a_change_of_any_field_gets_a_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = crate::store::sqlite::open(&folder.path().join("garage.db")).await.expect("open");
        let sql = "SELECT sql FROM sqlite_schema WHERE name = 'vehicles_updated'";
        let read =
            database.read::<String, garage_sqlite::Error>(move |tx| Ok(tx.query_row(sql, [], |row| row.get(0))?));
        let trigger = read.await.expect("the trigger");
        let (columns, _) = trigger.split_once("ON vehicles").expect("a trigger of vehicles");
        let listed: Vec<&str> = columns.split([',', ' ', '\n']).filter(|word| !word.is_empty()).collect();
        for field in VEHICLES.fields {
            assert!(listed.contains(&field.column), "{} is missing from vehicles_updated", field.column);
        }
    }

    fn at() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().expect("a time")
    }

    fn fields_of(draft: &Map<String, serde_json::Value>) -> VehicleFields {
        let patch = Patch::parse(&VEHICLES, draft, at()).expect("a patch");
        patch.apply(VehicleFields::default()).expect("fields")
    }

    /// Each column of the only row, and what `fields` has for it.
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
        database.read(move |tx| Ok::<_, ApiError>(check(tx)?)).await.expect("a row");
    }

    #[tokio::test]
    async fn every_declared_field_is_written_and_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = crate::store::sqlite::open(&folder.path().join("server.db")).await.expect("a database");
        let draft: Map<_, _> = VEHICLES.fields.iter().map(|field| (field.name.to_owned(), sample(field))).collect();
        let all = fields_of(&draft);
        for field in VEHICLES.fields {
            assert!(all.get(field).is_some() && all.get(field) != field.default_value(), "{field:?}");
        }
        let id: VehicleId = "018f0000-0000-7000-8000-000000000002".parse().expect("an id");
        let at = at();
        let creation = Creation { id, fields: all.clone(), sent: "digest".to_owned(), at };
        let Created::New(created) = create(&database, "ada", creation).await.expect("a vehicle") else {
            panic!("it is new")
        };
        assert_eq!(created.fields, all);
        check_row(&database, all.clone()).await;

        let make = Map::from_iter([("make".to_owned(), json!("Other"))]);
        let mut cleared: Map<_, _> =
            VEHICLES.fields.iter().map(|field| (field.name.to_owned(), serde_json::Value::Null)).collect();
        cleared.extend(make.clone());
        for (draft, expected) in [(cleared, fields_of(&make)), (draft, all)] {
            let patch = Patch::parse(&VEHICLES, &draft, at).expect("a patch");
            let change = Update { id, patch, decoded: Vec::new(), if_match: IfMatch::of(&Default::default()), at };
            assert_eq!(update(&database, "ada", change).await.expect("a vehicle").fields, expected);
            assert_eq!(list(&database, "ada").await.expect("a list").1.first().map(|it| &it.fields), Some(&expected));
            check_row(&database, expected).await;
        }
        database.close().await;
    }
}
