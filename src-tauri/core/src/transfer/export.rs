//! Export of the garage as JSON. It is complete: it includes values and collections that this version does not know,
//! and rows that it cannot read.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use garage_domain::{COLLECTIONS, Collection, HistoryEntry, Record};
use garage_files::{Existing, PartialFile};
use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{ExportFormat, FORMAT, VERSION};
use crate::{
    Garage, GarageError, Progress,
    error::of_target,
    store::{
        foreign::{self, ForeignRecord},
        history,
        records::{self, Unreadable},
    },
};

/// The content of a garage: every record, including removed ones, and all history.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    exported_at: Timestamp,
    records: Vec<(&'static Collection, Vec<Record>)>,
    foreign: Vec<ForeignRecord>,
    history: Vec<HistoryEntry>,
    unreadable: Vec<Unreadable>,
}

impl Serialize for Export {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", FORMAT)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("exportedAt", &self.exported_at)?;
        for (collection, records) in &self.records {
            map.serialize_entry(collection.name, &records.iter().map(RecordJson).collect::<Vec<_>>())?;
        }
        if !self.foreign.is_empty() {
            map.serialize_entry("foreignRecords", &self.foreign)?;
        }
        map.serialize_entry("history", &self.history)?;
        if !self.unreadable.is_empty() {
            map.serialize_entry("unreadable", &self.unreadable)?;
        }
        map.end()
    }
}

/// A record as JSON, flat except for `origins` and `extra`; the same form as the typed records'.
struct RecordJson<'a>(&'a Record);

impl Serialize for RecordJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &record.id)?;
        for field in record.collection.fields {
            map.serialize_entry(field.name, &record.stored(field))?;
        }
        map.serialize_entry("origins", &record.origins)?;
        map.serialize_entry("createdAt", &record.created_at)?;
        map.serialize_entry("updatedAt", &record.updated_at)?;
        map.serialize_entry("deletedAt", &record.deleted_at)?;
        if !record.extra.is_empty() {
            map.serialize_entry("extra", &record.extra)?;
        }
        map.end()
    }
}

impl Garage {
    /// Reads the garage's content in one transaction. Writers are not blocked. Progress counts records and changes.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read; [`GarageError::Canceled`].
    pub async fn export(&self, progress: Progress) -> Result<Export, GarageError> {
        let exported_at = self.environment.now();
        self.database
            .read_long(move |transaction| {
                let mut total = history::count(transaction)?;
                for collection in COLLECTIONS {
                    total += records::count(transaction, collection)?;
                }
                let mut done = 0;
                let mut one_more = || {
                    done += 1;
                    progress.at(done, total)
                };
                let (mut kept, mut unreadable) = (Vec::new(), Vec::new());
                for collection in COLLECTIONS {
                    let found = records::all(transaction, collection, &mut one_more)?;
                    kept.push((collection, found.records));
                    unreadable.extend(found.unreadable);
                }
                let (history, unreadable_history) = history::all(transaction, &mut one_more)?;
                let (foreign, unreadable_foreign) = foreign::all(transaction)?;
                unreadable.extend(unreadable_foreign.into_iter().chain(unreadable_history));
                Ok(Export { exported_at, records: kept, foreign, history, unreadable })
            })
            .await
    }

    /// Writes the garage in this format. Progress counts records and changes.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read; [`GarageError::Export`] if `out` cannot be written;
    /// [`GarageError::Canceled`]. `out` may then hold partial content.
    pub async fn write_export(
        &self,
        format: ExportFormat,
        mut out: impl Write,
        progress: Progress,
    ) -> Result<(), GarageError> {
        match format {
            ExportFormat::Csv => self.export_csv(out, progress).await,
            ExportFormat::Json => {
                let export = self.export(progress).await?;
                serde_json::to_writer_pretty(&mut out, &export).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
                Ok(out.flush()?)
            }
        }
    }

    /// Same as [`Garage::write_export`], but writes to a temporary file and renames it when it is complete.
    ///
    /// # Errors
    /// Same as [`Garage::write_export`]; [`GarageError::Unwritable`] if the file cannot be written (`FileFailed`), or
    /// if it exists and `existing` is [`Existing::Keep`] (`FileExists`). No partial file is left.
    pub async fn export_to_file(
        &self,
        format: ExportFormat,
        file: &Path,
        existing: Existing,
        progress: Progress,
    ) -> Result<(), GarageError> {
        self.database.refuse_own_file(file).map_err(of_target)?;
        let partial = PartialFile::beside(file).map_err(of_target)?;
        let out = partial.create().map_err(of_target)?;
        self.write_export(format, BufWriter::new(out), progress).await?;
        partial.finish(existing).map_err(of_target)
    }
}
