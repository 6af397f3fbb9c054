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
        foreign::{self, ForeignRecord, Stored},
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
    /// Items that break rules or cannot be read, with the reason.
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

/// What to do with a record of the file.
enum Verdict {
    Add,
    /// The garage has it with the same content.
    Unchanged,
    /// The garage keeps what it has, for this reason.
    Kept(String),
}

/// Why a record is kept that exists with other content.
const DIFFERS: &str = "The garage has it with other content, which was kept";
/// Why a record is kept that exists and cannot be read.
const CANNOT_BE_READ: &str = "The garage has it with content that cannot be read, which was kept";

/// The records that this import has added so far.
#[derive(Default)]
struct AddedSoFar {
    records: HashMap<(&'static str, RecordId), Record>,
    /// The values of unique fields, by the collection's name.
    unique: HashSet<(&'static str, String)>,
    foreign: HashMap<(String, RecordId), ForeignRecord>,
}

impl Garage {
    /// Imports the records of a JSON text: an export, or a list of vehicles from any source. Existing records are not
    /// changed. Progress counts records of known collections.
    ///
    /// Records are written in batches of some milliseconds, and other programs can write in between; records of unknown
    /// collections are the last batch. On an error or cancellation, the import is rolled back. After a crash, the
    /// finished batches remain, and the same import adds the rest. A preview only reads.
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
        let plan = plan(file, stamp.now, &|| RecordId((stamp.new_uuid)()));
        match mode {
            ImportMode::Preview => {
                self.database.read_long(move |transaction| preview(transaction, plan, &progress)).await
            }
            ImportMode::Write => {
                let mut written = Vec::new();
                match self.import(plan, &mut written, &progress).await {
                    Ok(report) => Ok(report),
                    Err(error) => Err(self.roll_back(written, error).await),
                }
            }
        }
    }

    /// Writes the records of a file, and lists in `written` those that must be deleted if it fails.
    async fn import(
        &self,
        plan: Plan,
        written: &mut Vec<Imported>,
        progress: &Progress,
    ) -> Result<ImportReport, GarageError> {
        let Plan { form, incoming, foreign, refused } = plan;
        let mut report = ImportReport { refused, ..ImportReport::default() };
        let mut added = AddedSoFar::default();
        let (total, mut done) = (incoming.len() as u64, 0);
        let mut incoming = incoming.into_iter();
        loop {
            progress.at(done, total)?;
            let batch: Vec<Incoming<Record>> = incoming.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            if done > 0 {
                // Other programs try every two milliseconds to get the write lock.
                tokio::time::sleep(BETWEEN_BATCHES).await;
            }
            done += batch.len() as u64;
            let write = self.write(self.stamp(), move |journal| write_batch(journal, form, batch, added, report));
            let written_now;
            (added, report, written_now) = write.await?;
            written.extend(written_now);
        }
        if foreign.is_empty() {
            return Ok(report);
        }
        // Nothing follows that can fail, so these need no rollback.
        let write = self.write(self.stamp(), move |journal| {
            for it in foreign {
                let verdict = added.judge_foreign(journal.reader(), &it)?;
                if matches!(verdict, Verdict::Add) {
                    journal.foreign(&it.record, &it.history)?;
                }
                report.count_foreign(verdict, it, &mut added);
            }
            Ok(report)
        });
        write.await
    }

    /// Rolls the import back. Returns `error`, or [`GarageError::PartlyImported`] if the rollback fails.
    async fn roll_back(&self, mut written: Vec<Imported>, error: GarageError) -> GarageError {
        while !written.is_empty() {
            let batch: Vec<Imported> = written.drain(written.len().saturating_sub(BATCH)..).collect();
            let count = batch.len();
            let withdrawn = self.write(self.stamp(), move |journal| {
                for imported in batch {
                    journal.withdraw(&imported)?;
                }
                Ok(())
            });
            if let Err(failure) = withdrawn.await {
                tracing::warn!(%failure, "the rollback of a failed import failed");
                return GarageError::PartlyImported { added: written.len() + count, source: Box::new(error) };
            }
        }
        error
    }
}

/// Reports what an import would do.
fn preview(connection: &Connection, plan: Plan, progress: &Progress) -> Result<ImportReport, GarageError> {
    let Plan { form, incoming, foreign, refused } = plan;
    let mut report = ImportReport { refused, ..ImportReport::default() };
    let mut added = AddedSoFar::default();
    let total = incoming.len() as u64;
    for (it, done) in incoming.into_iter().zip(0..) {
        progress.at(done, total)?;
        let verdict = added.judge(connection, form, &it)?;
        report.count(verdict, it, &mut added);
    }
    for it in foreign {
        let verdict = added.judge_foreign(connection, &it)?;
        report.count_foreign(verdict, it, &mut added);
    }
    progress.at(total, total)?;
    Ok(report)
}

/// Writes a batch. Returns the updated state, and what the journal wrote.
fn write_batch(
    journal: &mut Journal<'_>,
    form: Form,
    batch: Vec<Incoming<Record>>,
    mut added: AddedSoFar,
    mut report: ImportReport,
) -> Result<(AddedSoFar, ImportReport, Vec<Imported>), GarageError> {
    let mut written = Vec::new();
    for it in batch {
        let verdict = added.judge(journal.reader(), form, &it)?;
        if matches!(verdict, Verdict::Add) {
            written.extend(journal.imported(it.record.clone(), &it.history)?);
        }
        report.count(verdict, it, &mut added);
    }
    Ok((added, report, written))
}

impl AddedSoFar {
    /// Decides about a record by the garage's content and the records that this import has added.
    fn judge(&self, connection: &Connection, form: Form, it: &Incoming<Record>) -> Result<Verdict, GarageError> {
        let record = &it.record;
        let collection = record.collection;
        let ours = match self.records.get(&(collection.name, record.id)) {
            Some(record) => Some(record.clone()),
            None => records::by_id(connection, collection, record.id)?,
        };
        if let Some(ours) = ours {
            let is_same = holds_the_same(&ours, record);
            return Ok(if is_same { Verdict::Unchanged } else { Verdict::Kept(DIFFERS.to_owned()) });
        }
        if records::exists(connection, collection, record.id)? {
            return Ok(Verdict::Kept(CANNOT_BE_READ.to_owned()));
        }
        let Some(unique) = collection.unique.filter(|_| !record.is_removed()) else { return Ok(Verdict::Add) };
        // An export may have two live records with one value: devices can add them before sync merges them.
        let is_repeated = form == Form::List && unique_value(record).is_some_and(|value| self.unique.contains(&value));
        let twin = records::twin(connection, collection, record)?;
        let is_taken = twin.is_some_and(|id| !self.records.contains_key(&(collection.name, id)));
        Ok(match is_repeated || is_taken {
            true => Verdict::Kept(format!("{} with this {} already exists", collection.noun, unique.label)),
            false => Verdict::Add,
        })
    }

    /// Decides about a record of an unknown collection.
    fn judge_foreign(&self, connection: &Connection, it: &Incoming<ForeignRecord>) -> Result<Verdict, GarageError> {
        let ForeignRecord { collection, id, .. } = &it.record;
        let ours = match self.foreign.get(&(collection.clone(), *id)) {
            Some(record) => Stored::Readable(record.clone()),
            None => foreign::by_id(connection, collection, *id)?,
        };
        Ok(match ours {
            Stored::Missing => Verdict::Add,
            Stored::Unreadable => Verdict::Kept(CANNOT_BE_READ.to_owned()),
            Stored::Readable(ours) => {
                let is_removed = |record: &ForeignRecord| record.deleted_at.is_some();
                let is_same = ours.fields == it.record.fields && is_removed(&ours) == is_removed(&it.record);
                if is_same { Verdict::Unchanged } else { Verdict::Kept(DIFFERS.to_owned()) }
            }
        })
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
    fn count(&mut self, verdict: Verdict, it: Incoming<Record>, added: &mut AddedSoFar) {
        match verdict {
            Verdict::Add => {
                let record = it.record;
                match record.collection == &VEHICLES {
                    true => self.added += 1,
                    false => self.count_other(record.collection.name),
                }
                added.unique.extend(unique_value(&record).filter(|_| !record.is_removed()));
                added.records.insert((record.collection.name, record.id), record);
            }
            Verdict::Unchanged => self.unchanged += 1,
            Verdict::Kept(reason) => self.kept.push(it.problem(reason)),
        }
    }

    fn count_foreign(&mut self, verdict: Verdict, it: Incoming<ForeignRecord>, added: &mut AddedSoFar) {
        match verdict {
            Verdict::Add => {
                self.count_other(&it.record.collection);
                added.foreign.insert((it.record.collection.clone(), it.record.id), it.record);
            }
            Verdict::Unchanged => self.unchanged += 1,
            Verdict::Kept(reason) => self.kept.push(it.problem(reason)),
        }
    }

    fn count_other(&mut self, collection: &str) {
        *self.others_added.entry(collection.to_owned()).or_default() += 1;
    }
}
