//! Writes the records of a file in batches, so that other programs can write in between.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use garage_domain::{Record, RecordId, VEHICLES};
use rusqlite::Connection;
use serde::Serialize;

use super::{
    file::{self, Form},
    plan::{ImportProblem, Incoming, Plan, plan},
};
use crate::{
    Garage, GarageError, Progress,
    store::{
        journal::{Imported, Journal},
        records,
    },
};

/// The number of records per transaction: about 10 ms, so that other programs' writes do not wait long.
const BATCH: usize = 200;

/// How long the write lock is free between two batches.
const BETWEEN_BATCHES: Duration = Duration::from_millis(5);

/// The result of an import, or, for a preview, what it would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Vehicles that were added.
    pub added: u32,
    /// Records of other collections that were added, by the collection's name; for example service entries.
    pub others_added: BTreeMap<String, u32>,
    /// Records that already exist with the same content.
    pub unchanged: u32,
    /// Records that already exist with other content; the existing ones were kept.
    pub kept: Vec<ImportProblem>,
    /// Records that break rules, with the reason.
    pub refused: Vec<ImportProblem>,
}

/// Whether to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Writes the records.
    Write,
    /// Only reports what would happen.
    Preview,
}

enum Verdict {
    New,
    Unchanged,
    Kept(&'static str),
}

/// The records that this import has added so far, and their unique values.
#[derive(Default)]
struct Seen {
    records: HashMap<(&'static str, RecordId), Record>,
    /// The unique values of the added records.
    unique: HashSet<(&'static str, String)>,
}

impl Garage {
    /// Imports the records of a JSON text: an export, or a list of vehicles from any source. Existing records are not
    /// changed. Progress counts records.
    ///
    /// Records are written in batches of some milliseconds, and other programs can write in between. On an error or
    /// cancellation, the import is rolled back. After a crash, the finished batches remain, and the same import adds
    /// the rest. A preview only reads.
    ///
    /// # Errors
    /// [`GarageError::ImportUnreadable`] (`Invalid`) if the text is not JSON, not an export or a list, or from a newer
    /// version; [`GarageError::Canceled`]; [`GarageError::Store`] if the store cannot be read or written;
    /// [`GarageError::PartlyImported`], with the code of the first error, if the rollback fails.
    pub async fn import_json(
        &self,
        text: &str,
        mode: ImportMode,
        progress: Progress,
    ) -> Result<ImportReport, GarageError> {
        let file = file::read(text)?;
        let stamp = self.stamp();
        let Plan { form, incoming, foreign, refused } = plan(file, stamp.now, &|| RecordId((stamp.new_uuid)()));
        let report = ImportReport { refused, ..ImportReport::default() };
        if mode == ImportMode::Preview {
            return self
                .database
                .read_long(move |transaction| {
                    let (mut report, mut seen) = (report, Seen::default());
                    let total = incoming.len() as u64;
                    for (it, done) in incoming.into_iter().zip(0..) {
                        progress.at(done, total)?;
                        let verdict = seen.judge(transaction, form, &it)?;
                        report.count(&verdict, &it);
                        if matches!(verdict, Verdict::New) {
                            seen.note(it.record);
                        }
                    }
                    for (record, _) in foreign {
                        report.count_foreign(&record.collection);
                    }
                    progress.at(total, total)?;
                    Ok(report)
                })
                .await;
        }
        let total = incoming.len() as u64;
        let mut report = report;
        let mut brought = Vec::new();
        let mut seen = Seen::default();
        let mut incoming = incoming.into_iter();
        let mut done = 0;
        let outcome = loop {
            if let Err(stopped) = progress.at(done, total) {
                break Err(stopped);
            }
            let batch: Vec<Incoming> = incoming.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break Ok(report);
            }
            done += batch.len() as u64;
            if done > batch.len() as u64 {
                // Other programs try every two milliseconds to get the write lock.
                tokio::time::sleep(BETWEEN_BATCHES).await;
            }
            let written =
                self.write(self.stamp(), move |journal| write_batch(journal, form, batch, seen, report)).await;
            match written {
                Ok((now_seen, now_report, now_brought)) => {
                    (seen, report) = (now_seen, now_report);
                    brought.extend(now_brought);
                }
                Err(error) => break Err(error),
            }
        };
        match outcome {
            Ok(mut report) => {
                let write_foreign = self.write(self.stamp(), move |journal| {
                    for (record, history) in &foreign {
                        if journal.foreign(record, history)? {
                            report.count_foreign(&record.collection);
                        } else {
                            report.unchanged += 1;
                        }
                    }
                    Ok(report)
                });
                write_foreign.await
            }
            Err(error) => Err(self.taken_out_again(brought, error).await),
        }
    }

    /// Rolls the import back. Returns `error`, or [`GarageError::PartlyImported`] if the rollback fails.
    async fn taken_out_again(&self, brought: Vec<Imported>, error: GarageError) -> GarageError {
        let mut left = brought;
        while !left.is_empty() {
            let batch: Vec<Imported> = left.drain(left.len().saturating_sub(BATCH)..).collect();
            let count = batch.len();
            let taken_out = self.write(self.stamp(), move |journal| {
                for imported in batch {
                    journal.withdraw(&imported)?;
                }
                Ok(())
            });
            if let Err(failure) = taken_out.await {
                tracing::warn!(%failure, "the rollback of a failed import failed");
                return GarageError::PartlyImported { added: left.len() + count, source: Box::new(error) };
            }
        }
        error
    }
}

/// Writes a batch. Returns the updated state and the records that it added.
fn write_batch(
    journal: &mut Journal<'_>,
    form: Form,
    batch: Vec<Incoming>,
    mut seen: Seen,
    mut report: ImportReport,
) -> Result<(Seen, ImportReport, Vec<Imported>), GarageError> {
    let mut brought = Vec::new();
    for it in batch {
        let verdict = seen.judge(journal.reader(), form, &it)?;
        report.count(&verdict, &it);
        if matches!(verdict, Verdict::New) {
            brought.extend(journal.imported(it.record.clone(), &it.history)?);
            seen.note(it.record);
        }
    }
    Ok((seen, report, brought))
}

impl Seen {
    /// Decides about a record by the garage's content and the records that this import has added.
    fn judge(&self, connection: &Connection, form: Form, it: &Incoming) -> Result<Verdict, GarageError> {
        let record = &it.record;
        let ours = match self.records.get(&(record.collection.name, record.id)) {
            Some(record) => Some(record.clone()),
            None => records::by_id(connection, record.collection, record.id)?,
        };
        if let Some(ours) = ours {
            let is_same = holds_the_same(&ours, record);
            let kept = Verdict::Kept("The garage has it with other content, which was kept");
            return Ok(if is_same { Verdict::Unchanged } else { kept });
        }
        if records::exists(connection, record.collection, record.id)? {
            return Ok(Verdict::Kept("The garage has it with content that cannot be read, which was kept"));
        }
        if record.is_removed() {
            return Ok(Verdict::New);
        }
        // An export may have two live vehicles with one VIN: devices can add them before sync merges them.
        let unique = unique_value(record);
        let is_twin = unique.is_some_and(|unique| self.unique.contains(&unique)) && form == Form::List;
        let twin = records::twin(connection, record.collection, record)?;
        let is_here = twin.is_some_and(|id| !self.records.contains_key(&(record.collection.name, id)));
        Ok(if is_twin || is_here { Verdict::Kept("Vehicle with this VIN already exists") } else { Verdict::New })
    }

    fn note(&mut self, record: Record) {
        self.unique.extend(unique_value(&record).filter(|_| !record.is_removed()));
        self.records.insert((record.collection.name, record.id), record);
    }
}

fn unique_value(record: &Record) -> Option<(&'static str, String)> {
    let unique = record.collection.unique?;
    Some((record.collection.name, record.value(unique.name)?.to_string()))
}

/// Whether a record in the file equals the existing one, apart from times and origins.
fn holds_the_same(ours: &Record, theirs: &Record) -> bool {
    let differ = garage_domain::differences(Some(ours), theirs).iter().any(|it| it.old != it.new);
    !differ && ours.is_removed() == theirs.is_removed()
}

impl ImportReport {
    fn count(&mut self, verdict: &Verdict, it: &Incoming) {
        match verdict {
            Verdict::New if it.record.collection == &VEHICLES => self.added += 1,
            Verdict::New => self.count_foreign(it.record.collection.name),
            Verdict::Unchanged => self.unchanged += 1,
            Verdict::Kept(message) => self.kept.push(it.problem(message)),
        }
    }

    fn count_foreign(&mut self, collection: &str) {
        *self.others_added.entry(collection.to_owned()).or_default() += 1;
    }
}
