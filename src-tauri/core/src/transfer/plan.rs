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

/// A record of a file that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ImportProblem {
    /// The kind of record, such as `vehicle`.
    pub what: String,
    /// Its position in its list in the file, from 1.
    pub number: u32,
    /// The reason.
    pub message: String,
}

/// The result of validating a file.
pub(super) struct Plan {
    pub form: Form,
    pub incoming: Vec<Incoming>,
    /// Records of collections that this version does not know, with their history.
    pub foreign: Vec<(ForeignRecord, Vec<HistoryEntry>)>,
    pub refused: Vec<ImportProblem>,
}

/// A valid record and its history in the file.
pub(super) struct Incoming {
    pub number: u32,
    pub record: Record,
    pub history: Vec<HistoryEntry>,
}

impl Incoming {
    pub fn problem(&self, message: &str) -> ImportProblem {
        ImportProblem {
            what: self.record.collection.noun.to_lowercase(),
            number: self.number,
            message: message.to_owned(),
        }
    }
}

/// Validates every record of a file. Records without an id get a `new_id`; records without a creation time get `now`
/// plus one microsecond per record, in the file's order.
pub(super) fn plan(file: File, now: Timestamp, new_id: &dyn Fn() -> RecordId) -> Plan {
    let mut histories: HashMap<(String, RecordId), Vec<HistoryEntry>> = HashMap::new();
    for entry in file.history {
        histories.entry((entry.collection.clone(), entry.record_id)).or_default().push(entry);
    }
    let mut plan = Plan { form: file.form, incoming: Vec::new(), foreign: Vec::new(), refused: Vec::new() };
    if file.unreadable_history > 0 {
        let message = format!("{} changes of history cannot be read", file.unreadable_history);
        plan.refused.push(ImportProblem { what: "history".to_owned(), number: 1, message });
    }
    let mut order = 0;
    for (name, list) in file.lists {
        let Some(collection) = Collection::by_name(&name) else {
            if file.form == Form::Export {
                let records = list.iter().filter_map(|json| foreign_record(&name, json, now));
                plan.foreign.extend(records.map(|record| (record, Vec::new())));
            }
            continue;
        };
        for (number, json) in (1..).zip(list) {
            order += 1;
            let created_at = Timestamp::from_microsecond(now.as_microsecond() + order).unwrap_or(now);
            let judged = record_of(collection, file.form, &json, now, created_at, new_id).and_then(|record| {
                let history = histories.remove(&(name.clone(), record.id)).unwrap_or_default();
                history.iter().try_for_each(|entry| judge(collection, entry, now))?;
                Ok(Incoming { number, record, history })
            });
            match judged {
                Ok(mut incoming) => {
                    if incoming.history.is_empty() {
                        note_imported(&mut incoming.record);
                    }
                    plan.incoming.push(incoming);
                }
                Err(message) => {
                    plan.refused.push(ImportProblem { what: collection.noun.to_lowercase(), number, message });
                }
            }
        }
    }
    for json in file.foreign {
        let Ok(foreign) = serde_json::from_str::<ForeignRecord>(json.text()) else { continue };
        match Collection::by_name(&foreign.collection) {
            None => plan.foreign.push((foreign, Vec::new())),
            // This version knows a collection that the file's program did not know.
            Some(collection) => plan.incoming.push(Incoming {
                number: u32::try_from(plan.incoming.len()).unwrap_or(u32::MAX).saturating_add(1),
                record: foreign.into_record(collection),
                history: Vec::new(),
            }),
        }
    }
    for (record, history) in &mut plan.foreign {
        *history = histories.remove(&(record.collection.clone(), record.id)).unwrap_or_default();
    }
    plan
}

fn foreign_record(collection: &str, json: &Json, now: Timestamp) -> Option<ForeignRecord> {
    let mut fields: Extra = serde_json::from_str(json.text()).ok()?;
    let created_at = taken(&mut fields, "createdAt").ok()?.unwrap_or(now);
    let extra: Extra = taken(&mut fields, "extra").ok()?.unwrap_or_default();
    let record = ForeignRecord {
        collection: collection.to_owned(),
        id: taken(&mut fields, "id").ok()??,
        origins: taken(&mut fields, "origins").ok()?.unwrap_or_default(),
        updated_at: taken(&mut fields, "updatedAt").ok()?.unwrap_or(created_at),
        deleted_at: taken(&mut fields, "deletedAt").ok()?,
        created_at,
        fields: Extra::new(),
    };
    fields.extend(extra);
    Some(ForeignRecord { fields, ..record })
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
    if json.text().len() > LARGEST_RECORD {
        return Err(format!("it is larger than {} KiB", LARGEST_RECORD / 1024));
    }
    let noun = collection.noun.to_lowercase();
    let mut object: Extra = serde_json::from_str(json.text()).map_err(|_| format!("A {noun} must be an object"))?;
    let id = taken(&mut object, "id").map_err(|_| "id must be a UUID".to_owned())?.unwrap_or_else(new_id);
    let origins = taken::<Origins>(&mut object, "origins").map_err(|_| "origins cannot be read".to_owned())?;
    let mut time = |name: &str| taken::<Timestamp>(&mut object, name).map_err(|_| format!("{name} must be a time"));
    let created_at = time("createdAt")?.unwrap_or(added_at);
    let updated_at = time("updatedAt")?.unwrap_or(created_at);
    let deleted_at = time("deletedAt")?;
    let extra = taken::<Extra>(&mut object, "extra").map_err(|_| "extra must be an object".to_owned())?;
    let mut record = Record::new(collection, id, created_at);
    match form {
        Form::List => {
            let draft = object.iter().map(|(name, json)| (name.clone(), json.value())).collect();
            let patch = Patch::parse(collection, &draft, now).map_err(messages)?;
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
    for (name, json) in extra.unwrap_or_default() {
        match (collection.field(&name), FieldValue::of_json(json.clone())) {
            (Some(field), Some(value)) => record.set(field, Some(carried(field, value, now)?)),
            _ => drop(record.extra.insert(name, json)),
        }
    }
    match (collection.check)(&mut record) {
        // A field of a newer version may identify the record.
        Err(Invalid::Incomplete(_)) if form == Form::Export && !record.extra.is_empty() => {}
        checked => checked.map_err(messages)?,
    }
    record.origins = origins.unwrap_or_default();
    (record.updated_at, record.deleted_at) = (updated_at, deleted_at);
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
