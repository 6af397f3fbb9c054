//! The collection `serviceEntries`: the work done on a vehicle, with date, odometer reading and cost.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    DefaultValue, Extra, Field, FieldAccess, FieldError, FieldValue, Invalid, OdometerUnit, Origins, Record, RecordId,
    Rule, VehicleId, amount, declare::collection,
};

/// The id of a service entry.
pub type ServiceEntryId = RecordId;

/// The default kind.
const OTHER: &str = "other";

/// The known kinds.
pub const KINDS: [&str; 7] = ["reading", "service", "repair", "upgrade", "inspection", "tires", OTHER];

collection! {
    /// The service entries of all vehicles in a garage.
    SERVICE_ENTRIES {
        name: "serviceEntries",
        table: "service_entries",
        noun: "Service entry",
        unique: None,
        units: &[(&ODOMETER_READING, &ODOMETER_UNIT), (&COST, &CURRENCY)],
        check: refuse_unfounded,
    }

    /// The editable fields of a service entry, as stored in columns. A value that its column cannot hold is in the
    /// record's `extra`.
    view ServiceEntryFields, draft ServiceEntryDraft, typed as ServiceEntryDraftFields in draft;

    VEHICLE_ID vehicle_id: Option<VehicleId> = "vehicleId", "Vehicle", "The vehicle's id",
        Rule::Reference { collection: "vehicles" };
    DATE date: Option<String> = "date", "Date", "Such as 2026-03-14", Rule::Date;
    KIND kind: String = "kind", "Kind", "reading, service, repair, upgrade, inspection, tires or other",
        Rule::Choice(&KINDS), default DefaultValue::Text(OTHER);
    DESCRIPTION description: Option<String> = "description", "Description", "Such as \"Oil and filter\"",
        Rule::line(200);
    VENDOR vendor: Option<String> = "vendor", "Vendor", "Who did it", Rule::line(200);
    ODOMETER_READING odometer_reading: Option<i32> = "odometerReading", "Odometer", "0 to 9999999",
        Rule::Integer { least: 0, greatest: 9_999_999 };
    ODOMETER_UNIT odometer_unit: Option<OdometerUnit> = "odometerUnit", "Odometer unit", "mi, km or h",
        Rule::Choice(&OdometerUnit::NAMES);
    COST cost: Option<String> = "cost", "Cost", "Such as 129.90", Rule::Amount;
    CURRENCY currency: Option<String> = "currency", "Currency", "ISO 4217, such as EUR", Rule::Currency;
    NOTES notes: Option<String> = "notes", "Notes", "Up to 10 000 characters, with line breaks",
        Rule::Text { longest: 10_000, line_breaks: true };
}

/// Requires a vehicle, a date and some content, requires a currency for a cost, and normalizes the cost's decimal
/// places.
fn refuse_unfounded(fields: &mut dyn FieldAccess) -> Result<(), Invalid> {
    let has = |field| fields.get(field).is_some();
    let mut errors = Vec::new();
    let mut refuse = |field: &Field, message: String| {
        errors.push(FieldError { field: field.name.to_owned(), message });
    };
    for required in [&VEHICLE_ID, &DATE] {
        if !has(required) {
            refuse(required, format!("{} is required", required.name));
        }
    }
    let cost = match (fields.get(&COST), fields.get(&CURRENCY)) {
        (Some(FieldValue::Text(cost)), Some(FieldValue::Text(currency))) => {
            // The cost of a record from a file may not be an amount.
            let spelled = amount::parse(&cost).map_err(|error| error.message(COST.name)).and_then(|amount| {
                let places = amount::places(&currency);
                let message = || format!("cost must have at most {places} decimal places in {currency}");
                amount::in_currency(&amount, &currency).ok_or_else(message)
            });
            spelled.map_err(|message| refuse(&COST, message)).ok()
        }
        (Some(_), None) => {
            refuse(&CURRENCY, "currency is required with a cost".to_owned());
            None
        }
        _ => None,
    };
    let is_plain = fields.get(&KIND).is_none_or(|kind| kind == FieldValue::Text(OTHER.to_owned()));
    let says_nothing = is_plain && !has(&ODOMETER_READING) && !has(&DESCRIPTION);
    if !errors.is_empty() {
        return Err(Invalid::Fields(errors));
    }
    if says_nothing {
        return Err(Invalid::Incomplete(
            "A service entry needs an odometer reading, a description or a kind other than other",
        ));
    }
    if let Some(cost) = cost {
        fields.set(&COST, Some(FieldValue::Text(cost)));
    }
    Ok(())
}

/// A service entry. Its fields are flattened in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are documented in the contract")]
pub struct ServiceEntry {
    pub id: ServiceEntryId,
    #[serde(flatten)]
    pub fields: ServiceEntryFields,
    /// Origins by field name. A field without an entry was typed or is empty.
    pub origins: Origins,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub created_at: Timestamp,
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub updated_at: Timestamp,
    /// When the entry was removed; null if it is not. It can be restored.
    #[cfg_attr(feature = "specta", specta(type = Option<String>))]
    pub deleted_at: Option<Timestamp>,
    /// Values written by another version: unknown fields, and values that take precedence over the field above.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    #[cfg_attr(feature = "specta", specta(type = std::collections::BTreeMap<String, FieldValue>, optional))]
    pub extra: Extra,
}

impl From<Record> for ServiceEntry {
    fn from(record: Record) -> ServiceEntry {
        let fields = ServiceEntryFields::of(&record);
        let Record { id, origins, created_at, updated_at, deleted_at, extra, .. } = record;
        ServiceEntry { id, fields, origins, created_at, updated_at, deleted_at, extra }
    }
}
