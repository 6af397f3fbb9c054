//! Writing what a file brings, in batches, so that no other program waits for the whole of it.

use std::collections::{BTreeMap, HashMap, HashSet};

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

/// Records of one transaction: about ten milliseconds, so that another program's edit gets its turn.
const BATCH: usize = 200;

/// What an import did, or, as a preview, would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Vehicles that came in.
    pub added: u32,
    /// Records of other collections that came in, by the collection's name; service entries among them.
    pub others_added: BTreeMap<String, u32>,
    /// Records that were here already, exactly so.
    pub unchanged: u32,
    /// Records that are here with other content; ours was kept.
    pub kept: Vec<ImportProblem>,
    /// Records that break rules, with the reason.
    pub refused: Vec<ImportProblem>,
}

/// Whether an import is done or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Write what comes in.
    Write,
    /// Only say what would happen.
    Preview,
}

/// What becomes of a record of a file.
enum Verdict {
    New,
    Unchanged,
    Kept(&'static str),
}

/// What this import has brought so far, and what else is live with the same VIN only because of it.
#[derive(Default)]
struct Seen {
    records: HashMap<(&'static str, RecordId), Record>,
    /// Text of unique fields.
    unique: HashSet<(&'static str, String)>,
}

impl Garage {
    /// Takes in the records of a JSON text: an export, or a list of vehicles from anywhere. Records that are here
    /// already stay as they are. Progress counts records.
    ///
    /// Records are written in batches of some milliseconds, and other programs can write between them. On an error, and
    /// when it is stopped, what came in is taken out again. If the program is killed instead, the batches before stay;
    /// the same import then adds the rest. A preview only reads.
    ///
    /// # Errors
    /// [`GarageError::ImportUnreadable`] if the text is no JSON, or neither an export nor a list;
    /// [`GarageError::Canceled`] if it was stopped; [`GarageError::PartlyImported`] if what came in before another error
    /// could not be taken out again; [`GarageError::Store`] if the store cannot be written.
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

    /// The error, after what came in before it was taken out again.
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
                tracing::warn!(%failure, "an import that failed could not be taken out again");
                return GarageError::PartlyImported { added: left.len() + count, source: Box::new(error) };
            }
        }
        error
    }
}

/// Writes a batch; returns what is known after it, and what it brought.
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
    /// What becomes of a record, by what the garage holds and what the import has brought.
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
        // Two live vehicles of one export may share a VIN: devices add them apart, until they are joined.
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

/// Whether a record of a file says nothing new: times and origins are the garage's own business.
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
