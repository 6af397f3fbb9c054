//! Pages of the table `vehicles`, read through the search index and the indexes of the sort keys.

use garage_domain::{
    FilterChoices, OdometerUnit, PageEnd, RecordId, Sort, VEHICLES, Vehicle, VehiclePage, VehicleQuery, VehicleSummary,
    Vin,
};
use rusqlite::{
    Connection, OptionalExtension, Result, Row, ToSql,
    types::{Value, ValueRef},
};

use super::{
    records::{columns, is_object_or_null, record_of, text, time, time_or_null},
    text::{fold, letters_of},
};

/// The columns of a summary, in the order of [`summary_of`].
const SUMMARY: &str = "id, vin, license_plate, color, nickname, make, model, trim_level, engine, body_class, \
                       vehicle_type, year, odometer_reading, odometer_unit, is_active, deleted_at_us, origins, extra, \
                       created_at_us, updated_at_us";

/// Returns a sort's key column and direction.
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

/// A query's selection as SQL. It contains only constants; values from the caller are bound.
struct Selection {
    source: &'static str,
    /// The column with the row's position.
    position: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Selection {
    fn of(query: &VehicleQuery) -> Selection {
        let presence = if query.is_removed { "deleted_at_us IS NOT NULL" } else { "deleted_at_us IS NULL" };
        let mut selection = Selection {
            source: "vehicles",
            position: "position",
            conditions: vec![presence.to_owned()],
            values: Vec::new(),
        };
        let words = match_expression(&query.search);
        if words.is_none() && !query.search.trim().is_empty() {
            // The search contains no letter or digit, so nothing matches.
            selection.conditions.push("0".to_owned());
        }
        if let Some(words) = words {
            let words = selection.bind(words.into());
            if query.sort == Sort::Newest {
                // The search index returns matches by position, so the query stops at the end of the page.
                selection.source = "vehicle_words CROSS JOIN vehicles ON position = vehicle_words.rowid";
                selection.position = "vehicle_words.rowid";
                selection.conditions.push(format!("vehicle_words MATCH {words}"));
            } else {
                let matching =
                    format!("position IN (SELECT rowid FROM vehicle_words WHERE vehicle_words MATCH {words})");
                selection.conditions.push(matching);
            }
        }
        for (key, text) in [("make_key", &query.make), ("type_key", &query.vehicle_type)] {
            if let Some(text) = text {
                let folded = selection.bind(fold(text.trim()).into());
                selection.conditions.push(format!("{key} = {folded}"));
            }
        }
        if let Some(year) = query.year {
            let year = selection.bind(i64::from(year).into());
            selection.conditions.push(format!("year_key = {year}"));
        }
        if let Some(is_active) = query.is_active {
            let is_active = selection.bind(i64::from(is_active).into());
            selection.conditions.push(format!("is_active = {is_active}"));
        }
        selection
    }

    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn parameters(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| value as &dyn ToSql).collect()
    }
}

/// Reads the rows of a page and the page's end. Rows that cannot be read are left out.
fn rows<T>(
    connection: &Connection,
    query: &VehicleQuery,
    columns: &str,
    read: impl Fn(&Row<'_>) -> Result<Option<T>>,
) -> Result<(Vec<T>, Option<PageEnd>)> {
    let (key, direction) = order(query.sort);
    let mut selection = Selection::of(query);
    let position = selection.position;
    if let Some(PageEnd { key: last_key, position: last_position }) = &query.after {
        // `after` comes from the caller: an invalid position only ends the list.
        let last_position = selection.bind(last_position.parse().unwrap_or(0_i64).into());
        let comparison = if direction == "DESC" { '<' } else { '>' };
        let condition = if query.sort == Sort::Newest {
            format!("{position} < {last_position}")
        } else {
            let last_key = selection.bind(match query.sort {
                Sort::Name | Sort::Make => Value::Text(last_key.clone()),
                _ => Value::Integer(last_key.parse().unwrap_or_default()),
            });
            format!("({key}, position) {comparison} ({last_key}, {last_position})")
        };
        selection.conditions.push(condition);
    }
    let order = if query.sort == Sort::Newest {
        format!("{position} DESC")
    } else {
        format!("{key} {direction}, position {direction}")
    };
    let length = query.page_length() as usize;
    let sql = format!(
        "SELECT {columns}, {key} AS sort_key, position FROM {} WHERE {} ORDER BY {order} LIMIT {}",
        selection.source,
        selection.conditions.join(" AND "),
        // One row more than the page shows whether there is another page.
        length + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let key_index = statement.column_count() - 2;
    let mut rows = statement.query(&selection.parameters()[..])?;
    let mut vehicles = Vec::with_capacity(length.min(64));
    let mut end = None;
    for index in 0.. {
        let Some(row) = rows.next()? else { break };
        if index == length {
            return Ok((vehicles, end));
        }
        vehicles.extend(read(row)?);
        if index + 1 == length {
            let key = match row.get_ref(key_index)? {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Integer(integer) => integer.to_string(),
                _ => String::new(),
            };
            end = Some(PageEnd { key, position: row.get::<_, i64>(key_index + 1)?.to_string() });
        }
    }
    Ok((vehicles, None))
}

pub(crate) fn page(connection: &Connection, query: &VehicleQuery) -> Result<VehiclePage> {
    let (vehicles, next) = rows(connection, query, SUMMARY, summary_of)?;
    Ok(VehiclePage { vehicles, next })
}

/// Returns one page of complete vehicles.
pub(crate) fn whole_page(connection: &Connection, query: &VehicleQuery) -> Result<(Vec<Vehicle>, Option<PageEnd>)> {
    let read = |row: &Row<'_>| Ok(record_of(row, &VEHICLES)?.map(Vehicle::from));
    rows(connection, query, &columns(&VEHICLES), read)
}

/// Returns how many rows match, regardless of the page.
pub(crate) fn count(connection: &Connection, query: &VehicleQuery) -> Result<u32> {
    let selection = Selection::of(query);
    let sql = format!("SELECT count(*) FROM {} WHERE {}", selection.source, selection.conditions.join(" AND "));
    connection.prepare_cached(&sql)?.query_row(&selection.parameters()[..], |row| row.get(0))
}

/// Returns the values by which vehicles can be filtered. It seeks each distinct value in an index, so its time does not
/// depend on how many vehicles share one.
pub(crate) fn filter_choices(connection: &Connection) -> Result<FilterChoices> {
    let texts = |key: &str, column: &str| -> Result<Vec<String>> {
        // A vehicle without a make has the last of all characters as its key.
        let sql = format!(
            "SELECT {key}, {column} FROM vehicles
             WHERE deleted_at_us IS NULL AND {key} > ?1 AND {key} < char(0x10ffff) ORDER BY {key}, position LIMIT 1"
        );
        let mut next = connection.prepare_cached(&sql)?;
        let (mut texts, mut last) = (Vec::new(), String::new());
        // List one spelling per key: the filter ignores case.
        while let Some((key, text)) = next.query_row([&last], |row| Ok((row.get(0)?, row.get(1)?))).optional()? {
            texts.push(text);
            last = key;
        }
        Ok(texts)
    };
    let mut next_year = connection.prepare_cached(
        "SELECT year_key FROM vehicles
         WHERE deleted_at_us IS NULL AND year_key >= 0 AND year_key < ?1 ORDER BY year_key DESC LIMIT 1",
    )?;
    let (mut years, mut last) = (Vec::new(), i64::MAX);
    while let Some(year) = next_year.query_row([last], |row| row.get::<_, i64>(0)).optional()? {
        years.extend(i32::try_from(year).ok());
        last = year;
    }
    Ok(FilterChoices { makes: texts("make_key", "make")?, years, vehicle_types: texts("type_key", "vehicle_type")? })
}

/// Reads a summary from a row of [`SUMMARY`], by index: lookups by name would take a third of a page's time.
fn summary_of(row: &Row<'_>) -> Result<Option<VehicleSummary>> {
    let Some(id) = text(row, 0)?.and_then(|id| id.parse::<RecordId>().ok()) else { return Ok(None) };
    // Leave out what `record_of` cannot read: it could be opened nowhere.
    let is_readable = is_object_or_null(row, 16)?
        && is_object_or_null(row, 17)?
        && time(row, 18)?.is_some()
        && time(row, 19)?.is_some()
        && time_or_null(row, 15)?.is_some();
    if !is_readable {
        return Ok(None);
    }
    let owned = |index: usize| Ok::<_, rusqlite::Error>(text(row, index)?.map(str::to_owned));
    let integer = |index: usize| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.and_then(|integer| i32::try_from(integer).ok()))
    };
    Ok(Some(VehicleSummary {
        id,
        vin: owned(1)?.and_then(Vin::stored),
        license_plate: owned(2)?,
        color: owned(3)?,
        nickname: owned(4)?,
        make: owned(5)?,
        model: owned(6)?,
        trim_level: owned(7)?,
        engine: owned(8)?,
        body_class: owned(9)?,
        vehicle_type: owned(10)?,
        year: integer(11)?,
        odometer_reading: integer(12)?,
        odometer_unit: OdometerUnit::from(owned(13)?.unwrap_or_default()),
        is_active: row.get::<_, i64>(14)? != 0,
        deleted_at: time(row, 15)?,
    }))
}

/// Builds the full-text query: all words must match as prefixes. Returns `None` if there is no word.
fn match_expression(search: &str) -> Option<String> {
    let folded = fold(search);
    let words: Vec<String> = folded
        .split_whitespace()
        .map(|word| (word.replace('"', " "), letters_of(word)))
        .filter(|(_, letters)| !letters.is_empty())
        // Enough words to find one vehicle; bounds the query when a whole page is pasted.
        .take(16)
        .map(|(word, letters)| match word == letters {
            true => format!("\"{word}\"*"),
            // Match divided text such as `F-150` or `AB.123` both divided and joined. The index divides words itself.
            false => format!("(\"{word}\"* OR \"{letters}\"*)"),
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" AND "))
}
