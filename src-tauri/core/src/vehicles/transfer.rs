//! Everything a garage holds as a file, and back: JSON loses nothing, CSV is for spreadsheets.

use std::{
    collections::{HashMap, HashSet},
    io::{BufWriter, Write},
    path::Path,
};

use garage_domain::{
    Field, FieldError, FieldValue, Invalid, Origin, Vehicle, VehicleDraft, VehicleFields, VehicleId, VehiclePatch,
};
use garage_sqlite::{Existing, PartialFile};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    history::{ChangeId, ChangeKind, HistoryEntry},
    write::{field_changes, refuse_duplicate_vin},
};
use crate::{
    Garage, GarageError, Progress,
    backup::of_target,
    store::{history as history_table, vehicles as vehicles_table},
};

/// What marks a file as ours.
const FORMAT: &str = "motovault-garage";
/// Raised when a file of the new form cannot be read by an older version.
const VERSION: u32 = 1;

/// A garage as a file: every vehicle, the removed ones too, and all history.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    format: &'static str,
    version: u32,
    exported_at: Timestamp,
    vehicles: Vec<Vehicle>,
    history: Vec<HistoryEntry>,
}

/// What an import did, or, as a preview, would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Vehicles that came in.
    pub added: u32,
    /// Vehicles that were here already, exactly so.
    pub unchanged: u32,
    /// Vehicles that are here with other content; ours was kept.
    pub kept: Vec<ImportProblem>,
    /// Vehicles that break rules, with the reason.
    pub refused: Vec<ImportProblem>,
}

/// A vehicle of a file that did not come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ImportProblem {
    /// Its place in the file, from 1.
    pub number: u32,
    /// Why.
    pub message: String,
}

/// In which form a garage is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Everything, to be read again.
    Json,
    /// The vehicles, for a spreadsheet.
    Csv,
}

/// Whether an import is done or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Write what comes in.
    Write,
    /// Only say what would happen.
    Preview,
}

/// A vehicle of a file, read but not yet in the garage.
struct Incoming {
    number: u32,
    vehicle: Vehicle,
    /// Whether the file tells how it came to be what it is.
    has_history: bool,
}

impl Garage {
    /// Everything the garage holds, of one moment. Progress counts vehicles and changes.
    ///
    /// # Errors
    /// The store cannot be read, or it was stopped.
    pub async fn export(&self, progress: Progress) -> Result<Export, GarageError> {
        let exported_at = self.environment.now();
        self.database
            .read_long(move |transaction| {
                let total = vehicles_table::count_all(transaction)? + history_table::count_all(transaction)?;
                let mut done = 0;
                let mut one_more = || {
                    done += 1;
                    progress.at(done, total)
                };
                let vehicles = vehicles_table::all(transaction, &mut one_more)?;
                let history = history_table::all(transaction, &mut one_more)?;
                Ok(Export { format: FORMAT, version: VERSION, exported_at, vehicles, history })
            })
            .await
    }

    /// Writes the garage in this form. Progress counts vehicles and changes.
    ///
    /// # Errors
    /// The store cannot be read, `out` cannot be written, or it was stopped; `out` may hold a part then.
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

    /// As [`Garage::write_export`], into a file that is complete once it is there.
    ///
    /// # Errors
    /// As there, or the file exists and is to be kept; no half file is left.
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

    /// Takes in the vehicles of a JSON text: an export, or a list of vehicles from anywhere. All or, on an error,
    /// nothing; vehicles that are here already stay as they are. Progress counts vehicles.
    ///
    /// # Errors
    /// The text is no JSON, or neither an export nor a list; or it was stopped.
    pub async fn import_json(
        &self,
        text: &str,
        mode: ImportMode,
        progress: Progress,
    ) -> Result<ImportReport, GarageError> {
        let now = self.environment.now();
        let mut report = ImportReport::default();
        let (vehicles, history) = read_file(text)?;
        // By vehicle, what is wrong with its history, if anything.
        let mut judged: HashMap<VehicleId, Result<(), String>> = HashMap::new();
        for entry in &history {
            let judgment = judged.entry(entry.vehicle_id).or_insert(Ok(()));
            if judgment.is_ok() {
                *judgment = judge(entry, now);
            }
        }
        let mut incoming = Vec::with_capacity(vehicles.len());
        for (number, value) in (1..).zip(vehicles) {
            let judged_vehicle = self.incoming_vehicle(value, now).and_then(|vehicle| {
                let judgment = judged.get(&vehicle.id);
                judgment.cloned().unwrap_or(Ok(()))?;
                Ok(Incoming { number, has_history: judgment.is_some(), vehicle })
            });
            match judged_vehicle {
                Ok(it) => incoming.push(it),
                Err(message) => report.refused.push(ImportProblem { number, message }),
            }
        }
        let new_ids: Vec<ChangeId> = incoming.iter().map(|_| ChangeId(self.environment.new_uuid())).collect();
        let program = self.program.name();
        let import = move |transaction: &rusqlite::Transaction<'_>| {
            let device_id = history_table::device_id(transaction)?;
            let total = incoming.len() as u64;
            let mut added = HashSet::new();
            for ((it, id), done) in incoming.into_iter().zip(new_ids).zip(0..) {
                progress.at(done, total)?;
                let Incoming { number, mut vehicle, has_history } = it;
                match vehicles_table::by_id(transaction, vehicle.id)? {
                    Some(ours) if is_same(&ours, &vehicle) => report.unchanged += 1,
                    Some(_) => {
                        let message = "The garage has this vehicle with other content, which was kept".to_owned();
                        report.kept.push(ImportProblem { number, message });
                    }
                    None => {
                        if vehicle.deleted_at.is_none() {
                            match refuse_duplicate_vin(transaction, vehicle.fields.vin.as_ref(), vehicle.id) {
                                Err(GarageError::DuplicateVin) => {
                                    let message = GarageError::DuplicateVin.to_string();
                                    report.kept.push(ImportProblem { number, message });
                                    continue;
                                }
                                other => other?,
                            }
                        }
                        if !has_history {
                            for field in Field::ALL {
                                if vehicle.fields.get(field).is_some() {
                                    vehicle.origins.entry(field).or_insert(Origin::Imported);
                                }
                            }
                        }
                        vehicles_table::insert(transaction, &vehicle)?;
                        if !has_history {
                            let fields = field_changes(None, &vehicle);
                            let kind = ChangeKind::Added;
                            let (vehicle_id, undoes, at) = (vehicle.id, None, now);
                            let (device_id, program) = (device_id.clone(), program.to_owned());
                            let entry = HistoryEntry { id, vehicle_id, kind, fields, undoes, at, device_id, program };
                            history_table::insert(transaction, &entry)?;
                        }
                        added.insert(vehicle.id);
                        report.added += 1;
                    }
                }
            }
            // In the file's own order, in which the changes of all vehicles took turns.
            for entry in history.iter().filter(|entry| added.contains(&entry.vehicle_id)) {
                history_table::insert_if_new(transaction, entry)?;
            }
            progress.at(total, total)?;
            Ok::<_, GarageError>(report)
        };
        let report = match mode {
            ImportMode::Write => self.database.write(import).await?,
            ImportMode::Preview => self.database.try_write(import).await?,
        };
        if mode == ImportMode::Write && report.added > 0 {
            self.back_up_on_first_write();
            self.on_change.many_changed();
        }
        Ok(report)
    }

    /// A vehicle from a file, judged by the rules that everything typed obeys.
    fn incoming_vehicle(&self, value: Value, now: Timestamp) -> Result<Vehicle, String> {
        let Value::Object(object) = value else { return Err("A vehicle must be an object".to_owned()) };
        let time = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Timestamp::deserialize(value).map(Some).map_err(|_| format!("{name} must be a time")),
        };
        let id = match object.get("id") {
            None | Some(Value::Null) => VehicleId(self.environment.new_uuid()),
            Some(value) => VehicleId::deserialize(value).map_err(|_| "id must be a UUID".to_owned())?,
        };
        let origins = match object.get("origins") {
            None | Some(Value::Null) => Default::default(),
            Some(value) => Deserialize::deserialize(value).map_err(|_| "origins cannot be read".to_owned())?,
        };
        let created_at = time("createdAt")?.unwrap_or(now);
        let updated_at = time("updatedAt")?.unwrap_or(created_at);
        let deleted_at = time("deletedAt")?;
        let fields = VehiclePatch::parse(&VehicleDraft(object), now)
            .and_then(|patch| patch.apply(VehicleFields::default()))
            .map_err(messages)?;
        Ok(Vehicle { id, fields, origins, created_at, updated_at, deleted_at })
    }

    /// Writes the vehicles that are not removed as CSV (RFC 4180), newest first, a column a field.
    ///
    /// Text that a spreadsheet would take for a formula gets an apostrophe before it.
    ///
    /// # Errors
    /// The store cannot be read, `out` cannot be written, or it was stopped.
    pub async fn export_csv(&self, out: impl Write, progress: Progress) -> Result<(), GarageError> {
        let vehicles = self.all_vehicles(crate::VehicleQuery::default()).await?;
        let mut csv = csv::Writer::from_writer(out);
        let names = Field::ALL.into_iter().map(Field::name);
        csv.write_record(["id"].into_iter().chain(names).chain(["createdAt", "updatedAt"]))?;
        let total = vehicles.len() as u64;
        for (vehicle, done) in vehicles.into_iter().zip(0..) {
            progress.at(done, total)?;
            let fields = Field::ALL.into_iter().map(|field| match vehicle.fields.get(field) {
                None => String::new(),
                Some(FieldValue::Text(text)) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
                Some(FieldValue::Text(text)) => text,
                Some(FieldValue::Integer(integer)) => integer.to_string(),
                Some(FieldValue::Boolean(flag)) => flag.to_string(),
            });
            let times = [vehicle.created_at.to_string(), vehicle.updated_at.to_string()];
            csv.write_record([vehicle.id.to_string()].into_iter().chain(fields).chain(times))?;
        }
        Ok(csv.flush()?)
    }
}

/// Whether a vehicle of a file says nothing new: times and origins are the garage's own business.
fn is_same(ours: &Vehicle, theirs: &Vehicle) -> bool {
    ours.fields == theirs.fields && ours.deleted_at.is_some() == theirs.deleted_at.is_some()
}

/// Whether the values of a change obey the rules: undo would bring them back.
fn judge(entry: &HistoryEntry, now: Timestamp) -> Result<(), String> {
    let judge = |values: &mut dyn Iterator<Item = (Field, Option<FieldValue>)>| {
        VehiclePatch::of_values(values, now).map(drop).map_err(|invalid| format!("its history: {}", messages(invalid)))
    };
    judge(&mut entry.fields.iter().map(|it| (it.field, it.old.clone())))?;
    judge(&mut entry.fields.iter().map(|it| (it.field, it.new.clone())))
}

/// Everything that is wrong, in a line.
fn messages(invalid: Invalid) -> String {
    match invalid {
        Invalid::Fields(errors) => {
            errors.into_iter().map(|FieldError { message, .. }| message).collect::<Vec<_>>().join("; ")
        }
        Invalid::NotIdentifiable => invalid.to_string(),
    }
}

/// The vehicles and the history of a file, in its own order.
fn read_file(text: &str) -> Result<(Vec<Value>, Vec<HistoryEntry>), GarageError> {
    let unreadable = |reason: &str| GarageError::ImportUnreadable(reason.to_owned());
    // Some editors put a byte order mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: Value = serde_json::from_str(text).map_err(|error| unreadable(&format!("it is not JSON: {error}")))?;
    let mut file: Map<String, Value> = match file {
        Value::Array(vehicles) => return Ok((vehicles, Vec::new())),
        Value::Object(file) => file,
        _ => return Err(unreadable("it is neither an export nor a list of vehicles")),
    };
    if file.get("format").is_some_and(|format| format != FORMAT) {
        return Err(unreadable("it is of another program"));
    }
    if file.get("version").is_some_and(|version| version.as_u64().is_none_or(|it| it > VERSION.into())) {
        return Err(unreadable("it comes from a newer version of MotoVault"));
    }
    let Some(Value::Array(vehicles)) = file.remove("vehicles") else {
        return Err(unreadable("it has no list of vehicles"));
    };
    let history = file.remove("history").unwrap_or(Value::Array(Vec::new()));
    let history = serde_json::from_value(history).map_err(|error| unreadable(&format!("its history: {error}")))?;
    Ok((vehicles, history))
}
