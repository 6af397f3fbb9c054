//! Pages of the table `vehicles`, through the search index and the sort keys' indexes.

use rusqlite::{Result, ToSql, Transaction, types::Value};

use super::vehicles::{COLUMNS, vehicle_of};
use crate::vehicles::list::{PageEnd, Sort, VehiclePage, VehicleQuery};

/// How a sort is said in SQL: the key's column and its direction. All of it is fixed text.
fn order(sort: Sort) -> (&'static str, &'static str) {
    match sort {
        Sort::Newest => ("position", "DESC"),
        Sort::Name => ("name_key", "ASC"),
        Sort::Make => ("make_key", "ASC"),
        Sort::Year => ("year_key", "DESC"),
        Sort::Odometer => ("odometer_key", "DESC"),
        Sort::Updated => ("updated_at_us", "DESC"),
    }
}

/// One page. Only fixed text enters the statement; whatever the person gave is bound.
pub(crate) fn page(transaction: &Transaction<'_>, query: &VehicleQuery) -> Result<VehiclePage> {
    let (key, direction) = order(query.sort);
    let mut conditions =
        vec![if query.is_removed { "deleted_at_us IS NOT NULL" } else { "deleted_at_us IS NULL" }.to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut source = "vehicles";
    if let Some(words) = match_expression(&query.search) {
        let words = bind(words.into());
        if query.sort == Sort::Newest {
            // The index yields its matches newest first by itself, and stops at the page's end.
            source = "vehicle_words CROSS JOIN vehicles ON position = vehicle_words.rowid";
            conditions.push(format!("vehicle_words MATCH {words}"));
        } else {
            conditions.push(format!("position IN (SELECT rowid FROM vehicle_words WHERE vehicle_words MATCH {words})"));
        }
    }
    if let Some(make) = &query.make {
        conditions.push(format!("make_key = lower({})", bind(make.trim().to_owned().into())));
    }
    if let Some(year) = query.year {
        conditions.push(format!("year_key = {}", bind(i64::from(year).into())));
    }
    if let Some(vehicle_type) = &query.vehicle_type {
        conditions.push(format!("lower(vehicle_type) = lower({})", bind(vehicle_type.trim().to_owned().into())));
    }
    if let Some(is_active) = query.is_active {
        conditions.push(format!("is_active = {}", bind(i64::from(is_active).into())));
    }
    let position = if source == "vehicles" { "position" } else { "vehicle_words.rowid" };
    if let Some(PageEnd { key: last_key, position: last_position }) = &query.after {
        // A page end that was tampered with ends the list, at worst.
        let last_position = last_position.parse().unwrap_or(0_i64);
        let comparison = if direction == "DESC" { '<' } else { '>' };
        conditions.push(if query.sort == Sort::Newest {
            format!("{position} < {}", bind(last_position.into()))
        } else {
            let last_key = match query.sort {
                Sort::Name | Sort::Make => Value::Text(last_key.clone()),
                _ => Value::Integer(last_key.parse().unwrap_or_default()),
            };
            let (last_key, last_position) = (bind(last_key), bind(last_position.into()));
            format!("({key}, position) {comparison} ({last_key}, {last_position})")
        });
    }
    let order = if query.sort == Sort::Newest {
        format!("{position} DESC")
    } else {
        format!("{key} {direction}, position {direction}")
    };
    let length = query.page_length();
    // One more than the page tells whether there is another.
    let sql = format!(
        "SELECT {COLUMNS}, {key} AS sort_key, position FROM {source} WHERE {} ORDER BY {order} LIMIT {}",
        conditions.join(" AND "),
        length + 1
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let parameters: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    let mut rows = statement.query(&parameters[..])?;
    let mut vehicles = Vec::new();
    let mut end = None;
    while let Some(row) = rows.next()? {
        if vehicles.len() == length as usize {
            return Ok(VehiclePage { vehicles, next: end });
        }
        vehicles.push(vehicle_of(row)?);
        let sort_key = match row.get("sort_key")? {
            Value::Text(text) => text,
            Value::Integer(integer) => integer.to_string(),
            _ => String::new(),
        };
        end = Some(PageEnd { key: sort_key, position: row.get::<_, i64>("position")?.to_string() });
    }
    Ok(VehiclePage { vehicles, next: None })
}

/// What the search index is asked: each word as a prefix, all of them. None where there is nothing to look for.
fn match_expression(search: &str) -> Option<String> {
    let words: Vec<String> = search
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        // Enough to find one vehicle among any number; a pasted page must not become a query of its length.
        .take(16)
        .map(|word| format!("\"{word}\"*"))
        .collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}
