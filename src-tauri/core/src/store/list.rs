//! Pages of the table `vehicles`, through the search index and the sort keys' indexes.

use std::collections::BTreeMap;

use rusqlite::{Result, ToSql, Transaction, types::Value};

use super::vehicles::{COLUMNS, vehicle_of};
use crate::vehicles::list::{FilterChoices, PageEnd, Sort, VehiclePage, VehicleQuery};

/// Of four letters both cases are looked for; names have fewer that are not ASCII, as a rule.
const MOST_SPELLINGS: usize = 16;

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

/// Which rows are wanted, as SQL. Only fixed text enters it; whatever the person gave is bound.
struct Wanted {
    source: &'static str,
    /// The column of the row's place.
    position: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Wanted {
    fn of(query: &VehicleQuery) -> Wanted {
        let presence = if query.is_removed { "deleted_at_us IS NOT NULL" } else { "deleted_at_us IS NULL" };
        let mut wanted = Wanted {
            source: "vehicles",
            position: "position",
            conditions: vec![presence.to_owned()],
            values: Vec::new(),
        };
        let words = match_expression(&query.search);
        if words.is_none() && !query.search.trim().is_empty() {
            // Nothing in it is a word, so no vehicle has it.
            wanted.conditions.push("0".to_owned());
        }
        if let Some(words) = words {
            let words = wanted.bind(words.into());
            if query.sort == Sort::Newest {
                // The index yields its matches newest first by itself, and stops at the page's end.
                wanted.source = "vehicle_words CROSS JOIN vehicles ON position = vehicle_words.rowid";
                wanted.position = "vehicle_words.rowid";
                wanted.conditions.push(format!("vehicle_words MATCH {words}"));
            } else {
                let matching =
                    format!("position IN (SELECT rowid FROM vehicle_words WHERE vehicle_words MATCH {words})");
                wanted.conditions.push(matching);
            }
        }
        if let Some(make) = &query.make {
            wanted.equals_in_any_case("make_key", make);
        }
        if let Some(year) = query.year {
            let year = wanted.bind(i64::from(year).into());
            wanted.conditions.push(format!("year_key = {year}"));
        }
        if let Some(vehicle_type) = &query.vehicle_type {
            wanted.equals_in_any_case("lower(vehicle_type)", vehicle_type);
        }
        if let Some(is_active) = query.is_active {
            let is_active = wanted.bind(i64::from(is_active).into());
            wanted.conditions.push(format!("is_active = {is_active}"));
        }
        wanted
    }

    /// SQLite's `lower` knows ASCII only, so other letters are asked for in both cases.
    fn equals_in_any_case(&mut self, key: &str, text: &str) {
        let mut spellings = vec![String::new()];
        for letter in text.trim().chars() {
            let cases = [letter.to_lowercase().to_string(), letter.to_uppercase().to_string()];
            let differ = cases[0] != cases[1] && !letter.is_ascii() && spellings.len() < MOST_SPELLINGS;
            let with = |case: &str| spellings.iter().map(|spelling| format!("{spelling}{case}")).collect::<Vec<_>>();
            spellings =
                if differ { cases.iter().flat_map(|case| with(case)).collect() } else { with(&letter.to_string()) };
        }
        let bound: Vec<String> =
            spellings.into_iter().map(|spelling| format!("lower({})", self.bind(spelling.into()))).collect();
        self.conditions.push(format!("{key} IN ({})", bound.join(", ")));
    }

    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn parameters(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| value as &dyn ToSql).collect()
    }
}

/// One page.
pub(crate) fn page(transaction: &Transaction<'_>, query: &VehicleQuery) -> Result<VehiclePage> {
    let (key, direction) = order(query.sort);
    let mut wanted = Wanted::of(query);
    let position = wanted.position;
    if let Some(PageEnd { key: last_key, position: last_position }) = &query.after {
        // A page end that was tampered with ends the list, at worst.
        let last_position = wanted.bind(last_position.parse().unwrap_or(0_i64).into());
        let comparison = if direction == "DESC" { '<' } else { '>' };
        let condition = if query.sort == Sort::Newest {
            format!("{position} < {last_position}")
        } else {
            let last_key = wanted.bind(match query.sort {
                Sort::Name | Sort::Make => Value::Text(last_key.clone()),
                _ => Value::Integer(last_key.parse().unwrap_or_default()),
            });
            format!("({key}, position) {comparison} ({last_key}, {last_position})")
        };
        wanted.conditions.push(condition);
    }
    let order = if query.sort == Sort::Newest {
        format!("{position} DESC")
    } else {
        format!("{key} {direction}, position {direction}")
    };
    let length = query.page_length();
    // One more than the page tells whether there is another.
    let sql = format!(
        "SELECT {COLUMNS}, {key} AS sort_key, position FROM {} WHERE {} ORDER BY {order} LIMIT {}",
        wanted.source,
        wanted.conditions.join(" AND "),
        length + 1
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(&wanted.parameters()[..])?;
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

/// How many rows are wanted, whatever the page.
pub(crate) fn count(transaction: &Transaction<'_>, query: &VehicleQuery) -> Result<u32> {
    let wanted = Wanted::of(query);
    let sql = format!("SELECT count(*) FROM {} WHERE {}", wanted.source, wanted.conditions.join(" AND "));
    transaction.prepare_cached(&sql)?.query_row(&wanted.parameters()[..], |row| row.get(0))
}

/// What the vehicles of the garage can be filtered by.
pub(crate) fn filter_choices(transaction: &Transaction<'_>) -> Result<FilterChoices> {
    // Of spellings that differ in case only, one is enough: the filter does not mind.
    let texts = |column: &str| -> Result<Vec<String>> {
        let sql = format!(
            "SELECT min({column}) FROM vehicles WHERE {column} IS NOT NULL AND deleted_at_us IS NULL
             GROUP BY lower({column})"
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
        let by_name = texts.map(|text| text.map(|text| (text.to_lowercase(), text)));
        Ok(by_name.collect::<Result<BTreeMap<_, _>>>()?.into_values().collect())
    };
    let years = "SELECT DISTINCT year_key FROM vehicles WHERE year_key >= 0 AND deleted_at_us IS NULL
                 ORDER BY year_key DESC";
    Ok(FilterChoices {
        makes: texts("make")?,
        years: transaction.prepare_cached(years)?.query_map([], |row| row.get(0))?.collect::<Result<_>>()?,
        vehicle_types: texts("vehicle_type")?,
    })
}

/// What the search index is asked: each word as a prefix, all of them. None where there is no word in it.
fn match_expression(search: &str) -> Option<String> {
    let letters = |word: &str| word.chars().filter(|character| character.is_alphanumeric()).collect::<String>();
    let words: Vec<String> = search
        .split_whitespace()
        .map(|word| (word.replace('"', " "), letters(word)))
        .filter(|(_, letters)| !letters.is_empty())
        // Enough to find one vehicle among any number; a pasted page must not become a query of its length.
        .take(16)
        .map(|(word, letters)| match word == letters {
            true => format!("\"{word}\"*"),
            // What is divided, as `F-150` or `AB.123`, may stand there so or together. The index itself divides the words.
            false => format!("(\"{word}\"* OR \"{letters}\"*)"),
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}
