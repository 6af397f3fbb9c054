//! The table `vin_cache`.

use garage_decode::vpic::VpicAnswer;
use garage_domain::Vin;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Result, Transaction, params};

use super::{from_json, parsed, to_json};

/// A kept answer and when it came.
pub(crate) struct Cached {
    pub answer: VpicAnswer,
    pub fetched_at: Timestamp,
}

/// The kept answer about a VIN, asked with or without a model year.
pub(crate) fn get(transaction: &Transaction<'_>, vin: &Vin, model_year: Option<i32>) -> Result<Option<Cached>> {
    transaction
        .prepare_cached("SELECT answer, fetched_at_us FROM vin_cache WHERE vin = ?1 AND model_year = ?2")?
        .query_row(params![vin.as_str(), model_year.unwrap_or_default()], |row| {
            Ok(Cached {
                answer: from_json(row, "answer")?,
                fetched_at: parsed(row, "fetched_at_us", |us: i64| Timestamp::from_microsecond(us).ok())?,
            })
        })
        .optional()
        // A row that cannot be read is as good as none, and the next answer replaces it.
        .or_else(|error| match error {
            rusqlite::Error::FromSqlConversionFailure(..) => Ok(None),
            error => Err(error),
        })
}

/// Keeps an answer in place of an older one.
pub(crate) fn put(transaction: &Transaction<'_>, vin: &Vin, model_year: Option<i32>, cached: &Cached) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO vin_cache (vin, model_year, answer, fetched_at_us) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            vin.as_str(),
            model_year.unwrap_or_default(),
            to_json(&cached.answer)?,
            cached.fetched_at.as_microsecond()
        ])?;
    Ok(())
}

/// Removes what came before a time.
pub(crate) fn remove_older(transaction: &Transaction<'_>, oldest: Timestamp) -> Result<()> {
    transaction.execute("DELETE FROM vin_cache WHERE fetched_at_us < ?1", [oldest.as_microsecond()])?;
    Ok(())
}
