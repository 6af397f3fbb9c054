//! The bare insert of a pull: the same rows into an empty garage, by prepared statements.

use std::path::Path;

use anyhow::ensure;
use rusqlite::{Connection, params_from_iter, types::Value};

/// The columns that triggers set.
const SET_BY_TRIGGERS: [&str; 3] = ["name_key", "make_key", "type_key"];

/// The rows of a table, in the order in which the pull wrote them.
struct Table {
    insert: String,
    rows: Vec<Vec<Value>>,
}

/// What a pull has written: each vehicle with its base and its history.
pub struct Rows([Table; 3]);

impl Rows {
    /// Reads them from the garage's file.
    pub fn read(file: &Path) -> anyhow::Result<Rows> {
        let connection = Connection::open(file)?;
        let read = |table: &str, of_base: &str| -> anyhow::Result<Table> {
            let names = "SELECT name FROM pragma_table_info(?1)";
            let mut statement = connection.prepare(names)?;
            let names = statement.query_map([table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            let columns: Vec<String> =
                names.into_iter().filter(|name| !SET_BY_TRIGGERS.contains(&name.as_str())).collect();
            let selected = columns.iter().map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ");
            let mut statement =
                connection.prepare(&format!("SELECT {selected} FROM {table} {of_base} ORDER BY base.version"))?;
            let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|index| row.get(index)).collect();
            let rows = statement.query_map([], row)?.collect::<Result<_, _>>()?;
            let parameters = vec!["?"; columns.len()].join(", ");
            Ok(Table { insert: format!("INSERT INTO {table} ({}) VALUES ({parameters})", columns.join(", ")), rows })
        };
        let rows = Rows([
            read("vehicles", "JOIN base ON base.record_id = vehicles.id")?,
            read("history", "JOIN base ON base.record_id = history.record_id")?,
            read("base", "")?,
        ]);
        let [vehicles, history, bases] = &rows.0;
        ensure!(vehicles.rows.len() == bases.rows.len() && history.rows.len() == bases.rows.len(), "other rows");
        Ok(rows)
    }

    pub fn len(&self) -> usize {
        self.0[0].rows.len()
    }

    /// Inserts them, this many vehicles in each transaction.
    pub fn insert(&self, connection: &mut Connection, page: usize) -> anyhow::Result<()> {
        for first in (0..self.len()).step_by(page) {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut statements = Vec::new();
            for table in &self.0 {
                statements.push((transaction.prepare_cached(&table.insert)?, &table.rows));
            }
            for index in first..self.len().min(first + page) {
                for (statement, rows) in &mut statements {
                    statement.execute(params_from_iter(&rows[index]))?;
                }
            }
            drop(statements);
            transaction.commit()?;
        }
        Ok(())
    }
}

/// Opens a database with the settings of the program that it belongs to.
pub fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL;")?;
    garage_core::register_sql_functions(&connection)?;
    Ok(connection)
}
