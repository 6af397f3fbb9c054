//! SQL statements for both databases, completed with the declared fields of a vehicle. Parameters are written `$1`; SQLite
//! gets `?1`, because it takes `$1` for a name and numbers names by their first use.

use std::{fmt::Write, sync::LazyLock};

use garage_domain::VEHICLES;

/// A user's live vehicles, newest first, each row with the user's feed version. One statement reads both, so that they are
/// consistent. Without vehicles it returns one row whose vehicle is null.
pub static LIST: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "SELECT {columns}, feeds.version
         FROM feeds LEFT JOIN vehicles ON vehicles.user_id = $1 AND vehicles.deleted_at IS NULL
         WHERE feeds.user_id = $1 ORDER BY vehicles.created_at DESC, vehicles.id DESC",
        1,
    )
});

/// A live vehicle of a user.
pub static LIVE: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new("SELECT {columns} FROM vehicles WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL", 2)
});

/// The facts for an operation of user $1 on the id $2 that sets the VIN $3: the row, its `created_with`, whether another
/// vehicle has the VIN, and the number of the user's rows and tombstones.
pub static FACTS: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        // `twin.vin <> ''` is required to use PostgreSQL's partial index.
        "SELECT {columns}, vehicles.created_with,
             EXISTS (
                 SELECT 1 FROM vehicles AS twin WHERE twin.user_id = $1 AND twin.vin = $3 AND twin.id <> $2
                     AND twin.deleted_at IS NULL AND twin.vin <> ''
             ),
             COALESCE((SELECT record_count FROM feeds WHERE user_id = $1), 0)
         FROM (SELECT 1) AS one LEFT JOIN vehicles ON vehicles.id = $2",
        3,
    )
});

/// Adds a vehicle: id, user, time, digest of the request, fields.
pub static INSERT: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO vehicles (id, user_id, created_at, updated_at, created_with, {fields})
         VALUES ($1, $2, $3, $3, $4, {parameters})",
        4,
    )
});

/// Sets all fields of a vehicle: id, user, time, fields.
pub static UPDATE: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new("UPDATE vehicles SET updated_at = $3, {assignments} WHERE id = $1 AND user_id = $2", 3)
});

/// Marks a vehicle as removed: id, user, time.
pub static REMOVE: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new("UPDATE vehicles SET deleted_at = $3, updated_at = $3 WHERE id = $1 AND user_id = $2", 3)
});

/// One statement in both dialects.
pub struct Statement {
    pub sqlite: String,
    pub postgres: String,
    /// Returns the written row.
    pub postgres_returning: String,
}

impl Statement {
    /// Inserts only names of declared columns and numbers of parameters into the text. `others` is the number of parameters
    /// before those of the fields.
    fn new(text: &str, others: usize) -> Statement {
        let text = complete(text, others);
        Statement {
            sqlite: text.replace('$', "?"),
            postgres_returning: complete(&format!("{text} RETURNING {{columns}}"), others),
            postgres: text,
        }
    }
}

/// Completes a text:
///
/// - `{columns}`: the columns that a vehicle is read from, in the order that the stores expect: the fields as declared,
///   then id, user, image, times and version
/// - `{fields}`: the columns of the fields
/// - `{parameters}`: a parameter for each of them
/// - `{assignments}`: each of them set to its parameter
fn complete(text: &str, others: usize) -> String {
    let (mut columns, mut fields) = (String::new(), String::new());
    let (mut parameters, mut assignments) = (String::new(), String::new());
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let (column, number) = (field.column, others.saturating_add(index).saturating_add(1));
        // Writing to a String does not fail.
        let _ = write!(columns, "vehicles.{column}, ");
        let _ = write!(fields, "{separator}{column}");
        let _ = write!(parameters, "{separator}${number}");
        let _ = write!(assignments, "{separator}{column} = ${number}");
    }
    for column in ["id", "user_id", "image_url", "created_at", "updated_at", "deleted_at", "version"] {
        let separator = if column == "id" { "" } else { ", " };
        let _ = write!(columns, "{separator}vehicles.{column}");
    }
    text.replace("{columns}", &columns)
        .replace("{fields}", &fields)
        .replace("{parameters}", &parameters)
        .replace("{assignments}", &assignments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_and_written_in_the_order_of_the_declaration() {
        let all: Vec<_> = VEHICLES.fields.iter().map(|field| field.column).collect();
        let count = all.len();
        assert_eq!(complete("{fields}", 4).split(", ").collect::<Vec<_>>(), all);
        let read: Vec<_> = all.iter().map(|column| format!("vehicles.{column}")).collect();
        assert_eq!(complete("{columns}", 4).split(", ").take(count).collect::<Vec<_>>(), read);
        let numbers: Vec<_> = (5..5 + count).map(|number| format!("${number}")).collect();
        assert_eq!(complete("{parameters}", 4).split(", ").collect::<Vec<_>>(), numbers);
        let set: Vec<_> = all.iter().zip(&numbers).map(|(column, number)| format!("{column} = {number}")).collect();
        assert_eq!(complete("{assignments}", 4).split(", ").collect::<Vec<_>>(), set);
        let statement = Statement::new("UPDATE vehicles SET {assignments}", 1);
        assert!(statement.sqlite.contains("?2") && !statement.sqlite.contains('$'));
        assert!(statement.postgres_returning.ends_with("vehicles.version"));
    }
}
