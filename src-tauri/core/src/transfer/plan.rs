//! Validates the records of a file, one by one. Pure: the import compares them with the garage's content.

use std::collections::HashMap;

use garage_domain::{
    Collection, Extra, Field, FieldAccess, FieldError, FieldValue, HistoryEntry, Invalid, Json, Origin, Origins, Patch,
    Record, RecordId,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::file::{File, Form};
use crate::store::foreign::ForeignRecord;

/// The largest JSON of a record in bytes; same limit as the server's.
const LARGEST_RECORD: usize = 512 * 1024;

/// An item of a file that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ImportProblem {
    /// The kind of record, such as `vehicle`, or the name of a list that holds no known kind, such as `history`.
    pub what: String,
    /// Its position in its list in the file, from 1.
    pub number: u32,
    /// The reason.
    pub message: String,
}

/// The result of validating a file.
pub(super) struct Plan {
    pub form: Form,
    pub incoming: Vec<Incoming<Record>>,
    /// Records of collections that this version does not know.
    pub foreign: Vec<Incoming<ForeignRecord>>,
    pub refused: Vec<ImportProblem>,
}

/// A valid record, its place in the file, and its history in the file.
pub(super) struct Incoming<R> {
    /// See [`ImportProblem::what`].
    pub what: String,
    pub number: u32,
    pub record: R,
    pub history: Vec<HistoryEntry>,
}

impl<R> Incoming<R> {
    pub fn problem(&self, message: String) -> ImportProblem {
        ImportProblem { what: self.what.clone(), number: self.number, message }
    }
}

/// The changes in a file by their record.
type Histories = HashMap<(String, RecordId), Vec<HistoryEntry>>;

/// Validates every record of a file. Records without an id get a `new_id`; records without a creation time get `now`
/// plus one microsecond per record, in the file's order.
pub(super) fn plan(file: File, now: Timestamp, new_id: &dyn Fn() -> RecordId) -> Plan {
    let mut histories = Histories::new();
    for entry in file.history {
        histories.entry((entry.collection.clone(), entry.record_id)).or_default().push(entry);
    }
    let mut plan = Plan { form: file.form, incoming: Vec::new(), foreign: Vec::new(), refused: Vec::new() };
    if file.unreadable_history > 0 {
        plan.refuse("history", 1, format!("{} changes of history cannot be read", file.unreadable_history));
    }
    for name in file.not_lists {
        plan.refuse(&name, 1, "it is not a list".to_owned());
    }
    let mut order = 0;
    for (name, list) in file.lists {
        match Collection::by_name(&name) {
            Some(collection) => {
                let what = collection.noun.to_lowercase();
                for (number, json) in (1..).zip(list) {
                    order += 1;
                    let created_at = Timestamp::from_microsecond(now.as_microsecond() + order).unwrap_or(now);
                    let record = record_of(collection, file.form, &json, now, created_at, new_id);
                    plan.add(&what, number, record.and_then(|record| with_history(record, &mut histories, now)));
                }
            }
            None if file.form == Form::Export => {
                for (number, json) in (1..).zip(list) {
                    plan.add_foreign(&name, number, foreign_record(Some(&name), &json, now), &mut histories);
                }
            }
            // Unknown members of a list from another source are ignored.
            None => {}
        }
    }
    for (number, json) in (1..).zip(file.foreign) {
        const WHAT: &str = "foreignRecords";
        let read = foreign_record(None, &json, now);
        match read.as_ref().ok().and_then(|record| Collection::by_name(&record.collection)) {
            // This version knows a collection that the file's program did not know.
            Some(collection) => {
                let record = read.and_then(|record| adopted(record, collection, now));
                plan.add(WHAT, number, record.and_then(|record| with_history(record, &mut histories, now)));
            }
            None => plan.add_foreign(WHAT, number, read, &mut histories),
        }
    }
    for (number, _) in (1..).zip(0..file.unreadable_rows) {
        plan.refuse("unreadable", number, "the program that wrote the file could not read it".to_owned());
    }
    plan
}

impl Plan {
    fn refuse(&mut self, what: &str, number: u32, message: String) {
        self.refused.push(ImportProblem { what: what.to_owned(), number, message });
    }

    fn add(&mut self, what: &str, number: u32, read: Result<(Record, Vec<HistoryEntry>), String>) {
        match read {
            Ok((record, history)) => self.incoming.push(Incoming { what: what.to_owned(), number, record, history }),
            Err(message) => self.refuse(what, number, message),
        }
    }

    fn add_foreign(&mut self, what: &str, number: u32, read: Result<ForeignRecord, String>, histories: &mut Histories) {
        match read {
            Ok(record) => {
                let history = histories.remove(&(record.collection.clone(), record.id)).unwrap_or_default();
                self.foreign.push(Incoming { what: what.to_owned(), number, record, history });
            }
            Err(message) => self.refuse(what, number, message),
        }
    }
}

/// Takes the record's history, and validates it.
fn with_history(
    mut record: Record,
    histories: &mut Histories,
    now: Timestamp,
) -> Result<(Record, Vec<HistoryEntry>), String> {
    let history = histories.remove(&(record.collection.name.to_owned(), record.id)).unwrap_or_default();
    history.iter().try_for_each(|entry| judge(record.collection, entry, now))?;
    if history.is_empty() {
        note_imported(&mut record);
    }
    Ok((record, history))
}

/// What every record in a file has beside its fields.
struct Envelope {
    id: Option<RecordId>,
    origins: Origins,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    deleted_at: Option<Timestamp>,
    extra: Extra,
}

/// Separates a record's envelope from its fields. `noun` names the record in messages.
fn opened(noun: &str, json: &Json) -> Result<(Envelope, Extra), String> {
    if json.text().len() > LARGEST_RECORD {
        return Err(format!("it is larger than {} KiB", LARGEST_RECORD / 1024));
    }
    let mut object: Extra = serde_json::from_str(json.text()).map_err(|_| format!("A {noun} must be an object"))?;
    let id = taken(&mut object, "id").map_err(|_| "id must be a UUID".to_owned())?;
    let origins = taken(&mut object, "origins").map_err(|_| "origins cannot be read".to_owned())?;
    let mut time = |name: &str| taken(&mut object, name).map_err(|_| format!("{name} must be a time"));
    let (created_at, updated_at, deleted_at) = (time("createdAt")?, time("updatedAt")?, time("deletedAt")?);
    let extra = taken(&mut object, "extra").map_err(|_| "extra must be an object".to_owned())?;
    let (origins, extra) = (origins.unwrap_or_default(), extra.unwrap_or_default());
    Ok((Envelope { id, origins, created_at, updated_at, deleted_at, extra }, object))
}

/// Reads a record of a collection that the program that wrote the file knew, or, without a name, did not know: then it
/// names its collection, and its fields are an object of their own.
fn foreign_record(collection: Option<&str>, json: &Json, now: Timestamp) -> Result<ForeignRecord, String> {
    let (envelope, mut object) = opened("record", json)?;
    let (collection, mut fields) = match collection {
        Some(collection) => (collection.to_owned(), object),
        None => {
            let collection = taken(&mut object, "collection").ok().flatten();
            let fields = taken(&mut object, "fields").ok().flatten();
            (collection.ok_or("collection must be a string")?, fields.ok_or("fields must be an object")?)
        }
    };
    fields.extend(envelope.extra);
    let created_at = envelope.created_at.unwrap_or(now);
    Ok(ForeignRecord {
        collection,
        id: envelope.id.ok_or("id must be a UUID")?,
        fields,
        origins: envelope.origins,
        created_at,
        updated_at: envelope.updated_at.unwrap_or(created_at),
        deleted_at: envelope.deleted_at,
    })
}

/// Converts a record to a collection that this version knows, and validates it.
fn adopted(record: ForeignRecord, collection: &'static Collection, now: Timestamp) -> Result<Record, String> {
    let mut record = record.into_record(collection);
    let value = |field: &&'static Field| Some((*field, record.value(field.name)?));
    let values = collection.fields.iter().filter_map(value);
    let errors: Vec<String> = values.filter_map(|(field, value)| carried(field, value, now).err()).collect();
    if !errors.is_empty() {
        return Err(errors.join("; "));
    }
    check(&mut record, Form::Export)?;
    Ok(record)
}

/// Runs the collection's check on a record.
fn check(record: &mut Record, form: Form) -> Result<(), String> {
    match (record.collection.check)(record) {
        // A field of a newer version may identify the record.
        Err(Invalid::Incomplete(_)) if form == Form::Export && !record.extra.is_empty() => Ok(()),
        checked => checked.map_err(messages),
    }
}

/// Removes a member from an object. Returns `None` if it is missing or null.
fn taken<T: DeserializeOwned>(object: &mut Extra, name: &str) -> serde_json::Result<Option<T>> {
    object.remove(name).map_or(Ok(None), |json| serde_json::from_str(json.text()))
}

/// Reads a record from a file. The error lists every problem in one line.
fn record_of(
    collection: &'static Collection,
    form: Form,
    json: &Json,
    now: Timestamp,
    added_at: Timestamp,
    new_id: &dyn Fn() -> RecordId,
) -> Result<Record, String> {
    let (envelope, mut object) = opened(&collection.noun.to_lowercase(), json)?;
    let created_at = envelope.created_at.unwrap_or(added_at);
    let mut record = Record::new(collection, envelope.id.unwrap_or_else(new_id), created_at);
    match form {
        Form::List => {
            let draft = object.iter().map(|(name, json)| (name.clone(), json.value())).collect();
            let patch = Patch::parse(collection, &draft, now);
            let patch = patch.map_err(|invalid| messages(invalid.with_hints(collection, &draft)))?;
            record = patch.apply(record).map_err(messages)?;
        }
        Form::Export => {
            let mut errors = Vec::new();
            for field in collection.fields {
                let value = object.remove(field.name).and_then(FieldValue::of_json);
                match value.map(|value| carried(field, value, now)).transpose() {
                    Ok(value) => record.set(field, value),
                    Err(message) => errors.push(message),
                }
            }
            if !errors.is_empty() {
                return Err(errors.join("; "));
            }
            // The remaining members are fields of another version.
            record.extra.extend(object);
        }
    }
    for (name, json) in envelope.extra {
        match (collection.field(&name), FieldValue::of_json(json.clone())) {
            (Some(field), Some(value)) => record.set(field, Some(carried(field, value, now)?)),
            _ => drop(record.extra.insert(name, json)),
        }
    }
    check(&mut record, form)?;
    record.origins = envelope.origins;
    record.updated_at = envelope.updated_at.unwrap_or(created_at);
    record.deleted_at = envelope.deleted_at;
    Ok(record)
}

/// Accepts a value that obeys its rule, or that another version may have written.
fn carried(field: &Field, value: FieldValue, now: Timestamp) -> Result<FieldValue, String> {
    match field.validate(&value.to_json().value(), now) {
        // Keep the stored spelling instead of normalizing it, so that an export can be imported unchanged.
        Ok(_) => Ok(value),
        Err(_) if field.may_be_of_another_version(&value) => Ok(value),
        Err(message) => Err(message),
    }
}

/// Validates the values in a change, since undo would restore them.
fn judge(collection: &Collection, entry: &HistoryEntry, now: Timestamp) -> Result<(), String> {
    for change in &entry.fields {
        let Some(field) = collection.field(&change.field) else { continue };
        for value in [&change.old, &change.new].into_iter().flatten() {
            carried(field, value.clone(), now).map_err(|message| format!("its history: {message}"))?;
        }
    }
    Ok(())
}

/// Marks the values of a record without history as imported.
fn note_imported(record: &mut Record) {
    let names: Vec<String> = record.names().map(str::to_owned).collect();
    for name in names {
        let is_default = record.collection.field(&name).is_some_and(|field| field.default.is_some());
        if !is_default || record.value(&name) != record.collection.field(&name).and_then(Field::default_value) {
            record.origins.entry(name).or_insert(Origin::Imported);
        }
    }
}

/// Joins all messages to one line.
fn messages(invalid: Invalid) -> String {
    match invalid {
        Invalid::Fields(errors) => {
            errors.into_iter().map(|FieldError { message, .. }| message).collect::<Vec<_>>().join("; ")
        }
        Invalid::Incomplete(_) => invalid.to_string(),
    }
}
