//! SQLite: the schema, and opening the file.

use std::path::Path;

use garage_sqlite::{Database, Error, Schema};

mod migrations {
    refinery::embed_migrations!("../migrations/server-sqlite");
}

/// "MVSv", by which a file is known to be a server's.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVSv");

/// Opens the database, making it where it is missing, and brings its schema up to date.
///
/// # Errors
/// The file cannot be used, is another program's, or was written by a newer version.
pub async fn open(path: &Path) -> Result<Database, Error> {
    let schema = Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vehicles", "created_with"),
    };
    Database::open(path, schema).await
}

/// Whether the database answers.
pub(super) async fn ping(database: &Database) -> Result<(), Error> {
    database.read(|tx| Ok(tx.query_row("SELECT 1", [], |_| Ok(()))?)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every writer enters the feed, by hand as well: versions ascend for each user, and nothing vanishes unsaid.
    #[tokio::test]
    async fn any_statement_enters_the_feed() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = open(&folder.path().join("server.db")).await.expect("open");
        let versions = |sql: &'static str| {
            let database = database.clone();
            async move {
                let written = database.write::<_, Error>(move |tx| {
                    tx.execute_batch(sql)?;
                    let all = "SELECT user_id || ' ' || id || ' ' || version FROM vehicles
                               UNION ALL SELECT user_id || ' ' || id || ' gone ' || version FROM tombstones
                               ORDER BY 1";
                    let mut statement = tx.prepare(all)?;
                    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
                    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
                });
                written.await.expect("written")
            }
        };
        let add = "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at)
                   VALUES ('1', 'a', 'x', 0, 0), ('2', 'a', 'y', 0, 0), ('3', 'b', 'z', 0, 0)";
        assert_eq!(versions(add).await, ["a 1 1", "a 2 2", "b 3 1"]);
        assert_eq!(versions("UPDATE vehicles SET color = 'Red' WHERE id = '1'").await, ["a 1 3", "a 2 2", "b 3 1"]);
        let both = "UPDATE vehicles SET deleted_at = 1 WHERE user_id = 'a'";
        assert_eq!(versions(both).await, ["a 1 4", "a 2 5", "b 3 1"]);
        assert_eq!(versions("DELETE FROM vehicles WHERE id = '1'").await, ["a 1 gone 6", "a 2 5", "b 3 1"]);
        let given = "UPDATE vehicles SET user_id = 'b' WHERE id = '2'";
        assert_eq!(versions(given).await, ["a 1 gone 6", "a 2 gone 7", "b 2 2", "b 3 1"]);
        let back = "INSERT INTO vehicles (id, user_id, nickname, created_at, updated_at) VALUES ('1', 'a', 'x', 0, 0)";
        assert_eq!(versions(back).await, ["a 1 8", "a 2 gone 7", "b 2 2", "b 3 1"]);
    }
}
