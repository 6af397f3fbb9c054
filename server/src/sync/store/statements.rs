//! SQL statements for both databases. Parameters are written `$1`; SQLite gets `?1`, because it takes `$1` for a name.

use std::{collections::HashMap, sync::LazyLock};

use super::columns;

/// A statement in both dialects. In its text:
///
/// - `{vehicle}`, `{record}`, `{tombstone}`: the columns that a row is read from; the first six have the same places
/// - `{fields}`, `{parameters}`, `{assignments}`: the columns of a vehicle's fields, their parameters from `$7` on, and both
/// - `{vehicle_size}`, `{record_size}`: the size of a row in a response, about
/// - `{among}`: being one of the list that is parameter 2, an array in PostgreSQL and JSON in SQLite
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statement {
    VehiclesById,
    RecordsById,
    TombstonesById,
    VehiclesByVersion,
    RecordsByVersion,
    TombstonesByVersion,
    SizesByVersion,
    VehicleSizesById,
    RecordSizesById,
    VehiclesOfOthers,
    Aliases,
    VehiclesByVin,
    InsertVehicle,
    UpdateVehicle,
}

const ALL: [(Statement, &str); 14] = [
    (Statement::VehiclesById, "SELECT {vehicle} FROM vehicles WHERE user_id = $1 AND id {among}"),
    (Statement::RecordsById, "SELECT {record} FROM records WHERE user_id = $1 AND id {among} AND collection = $3"),
    (
        Statement::TombstonesById,
        "SELECT {tombstone} FROM tombstones WHERE user_id = $1 AND id {among} AND collection = $3",
    ),
    (
        Statement::VehiclesByVersion,
        "SELECT {vehicle} FROM vehicles WHERE user_id = $1 AND version > $2 AND version <= $3",
    ),
    (Statement::RecordsByVersion, "SELECT {record} FROM records WHERE user_id = $1 AND version > $2 AND version <= $3"),
    (
        Statement::TombstonesByVersion,
        "SELECT {tombstone} FROM tombstones WHERE user_id = $1 AND version > $2 AND version <= $3",
    ),
    (
        Statement::SizesByVersion,
        "SELECT version, {vehicle_size} FROM vehicles WHERE user_id = $1 AND version > $2
         UNION ALL SELECT version, {record_size} FROM records WHERE user_id = $1 AND version > $2
         UNION ALL SELECT version, 500 FROM tombstones WHERE user_id = $1 AND version > $2
         ORDER BY 1 LIMIT $3",
    ),
    (
        Statement::VehicleSizesById,
        "SELECT id, {vehicle_size} FROM vehicles WHERE user_id = $1 AND id > $2
         UNION ALL SELECT id, 500 FROM tombstones WHERE user_id = $1 AND collection = 'vehicles' AND id > $2
         ORDER BY 1 LIMIT $3",
    ),
    (
        Statement::RecordSizesById,
        "SELECT id, {record_size} FROM records WHERE user_id = $1 AND collection = $4 AND id > $2
         UNION ALL SELECT id, 500 FROM tombstones WHERE user_id = $1 AND collection = $4 AND id > $2
         ORDER BY 1 LIMIT $3",
    ),
    (Statement::VehiclesOfOthers, "SELECT id FROM vehicles WHERE user_id <> $1 AND id {among}"),
    (
        Statement::Aliases,
        "SELECT alias_id, record_id FROM aliases WHERE user_id = $1 AND alias_id {among} AND collection = $3",
    ),
    (
        Statement::VehiclesByVin,
        // `vin <> ''` is required to use PostgreSQL's partial index.
        "SELECT vin, id FROM vehicles WHERE user_id = $1 AND vin {among} AND deleted_at IS NULL AND vin <> ''",
    ),
    (
        Statement::InsertVehicle,
        "INSERT INTO vehicles (user_id, id, deleted_at, created_at, updated_at, extra{fields})
         VALUES ($1, $2, $3, $4, $5, $6{parameters}) RETURNING version",
    ),
    (
        Statement::UpdateVehicle,
        "UPDATE vehicles SET deleted_at = $3, created_at = $4, updated_at = $5, extra = $6{assignments}
         WHERE user_id = $1 AND id = $2 RETURNING version",
    ),
];

static SQLITE: LazyLock<HashMap<Statement, String>> = LazyLock::new(|| {
    let text = |text: &str| {
        // A trigger assigns the version later.
        let text = text.trim_end_matches(" RETURNING version");
        complete(text, "NULL", "IN (SELECT value FROM json_each($2))").replace('$', "?")
    };
    ALL.into_iter().map(|(statement, sql)| (statement, text(sql))).collect()
});
static POSTGRES: LazyLock<HashMap<Statement, String>> = LazyLock::new(|| {
    ALL.into_iter().map(|(statement, sql)| (statement, complete(sql, "NULL::uuid", "= ANY($2)"))).collect()
});

impl Statement {
    pub fn sqlite(self) -> &'static str {
        SQLITE.get(&self).map_or("", String::as_str)
    }

    pub fn postgres(self) -> &'static str {
        POSTGRES.get(&self).map_or("", String::as_str)
    }
}

/// Inserts only names of declared columns and numbers of parameters into the text.
fn complete(text: &str, no_alias: &str, among: &str) -> String {
    let vehicle = ["id, version, deleted_at, ", no_alias, ", created_at, updated_at, extra{fields}"].concat();
    let record =
        ["id, version, deleted_at, ", no_alias, ", created_at, updated_at, fields, origins, device_id, collection"]
            .concat();
    text.replace("{vehicle_size}", "1500 + COALESCE(octet_length(extra), 0) + COALESCE(octet_length(notes), 0)")
        .replace("{record_size}", "500 + octet_length(fields) + octet_length(origins)")
        .replace("{vehicle}", &vehicle)
        .replace("{record}", &record)
        .replace("{tombstone}", "id, version, deleted_at, alias_of, collection")
        .replace("{fields}", &columns::field_columns())
        .replace("{parameters}", &columns::parameters(7))
        .replace("{assignments}", &columns::assignments(7))
        .replace("{among}", among)
}
