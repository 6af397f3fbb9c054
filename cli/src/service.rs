//! `garage service`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use garage_core::{
    ChangeId, FieldAccess, Garage, GarageError, SERVICE_ENTRIES, ServiceEntry, ServiceEntryDraft, ServiceEntryId,
    VehicleId,
};
use jiff::Zoned;
use serde_json::Value;

use crate::{
    args::ServiceCommand,
    failure::Failure,
    fields,
    garage::{Missing, with_garage},
    history,
    table::{self, local_time, print_json, printable},
    vehicle::{SHORTEST_ID, find, is_id_beginning, several},
};

pub async fn run(garage_file: Option<PathBuf>, command: ServiceCommand) -> Result<ExitCode, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| perform(garage, command).await).await
}

async fn perform(garage: &Garage, command: ServiceCommand) -> Result<ExitCode, Failure> {
    let json = command.json();
    let (verb, entry) = match command {
        ServiceCommand::List { vehicle, .. } => return list(garage, &vehicle, json).await,
        ServiceCommand::Show { entry, .. } => {
            let entry = garage.service_entry(find_entry(garage, &entry).await?).await?;
            if !json {
                show(garage, &entry).await?;
                return Ok(ExitCode::SUCCESS);
            }
            ("", entry)
        }
        ServiceCommand::Add { vehicle, fields, .. } => {
            let vehicle = find(garage, &vehicle).await?.id;
            let mut draft = fields.into_map();
            draft.insert("vehicleId".to_owned(), Value::String(vehicle.to_string()));
            draft.entry("date").or_insert_with(|| Value::String(Zoned::now().date().to_string()));
            let draft = ServiceEntryDraft(draft);
            let added = garage.add_service_entry(&draft).await.map_err(|error| with_hints(error, &draft))?;
            ("Added", added)
        }
        ServiceCommand::Edit { entry, fields, .. } => {
            let id = find_entry(garage, &entry).await?;
            let draft = ServiceEntryDraft(fields.into_map());
            let saved = garage.edit_service_entry(id, &draft).await.map_err(|error| with_hints(error, &draft))?;
            ("Saved", saved)
        }
        ServiceCommand::Remove { entry, .. } => {
            ("Removed", garage.remove_service_entry(find_entry(garage, &entry).await?).await?)
        }
        ServiceCommand::Restore { id, .. } => {
            let id = id.parse().map_err(|_| Failure::Unclear(format!("“{id}” is no id of a service entry")))?;
            ("Restored", garage.restore_service_entry(id).await?)
        }
        ServiceCommand::History { entry, .. } => {
            let id = find_entry(garage, &entry).await?;
            history::print(garage.service_history(id).await?, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        ServiceCommand::Undo { change, .. } => {
            let id = change.parse().map_err(|_| Failure::Unclear(format!("“{change}” is no id of a change")))?;
            ("Undone, saved", garage.undo_service_change(ChangeId(id)).await?)
        }
    };
    if json {
        print_json(&entry)?;
    } else {
        writeln!(io::stdout(), "{verb} {} ({})", printable(&name(&entry)), entry.id)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn with_hints(error: GarageError, draft: &ServiceEntryDraft) -> GarageError {
    fields::with_hints(error, &SERVICE_ENTRIES, &draft.0)
}

async fn list(garage: &Garage, wanted: &str, json: bool) -> Result<ExitCode, Failure> {
    // A removed vehicle is found by its id only, since its names may be in use again.
    let vehicle: VehicleId = match wanted.trim().parse() {
        Ok(id) => id,
        Err(_) => find(garage, wanted).await?.id,
    };
    let log = garage.service_log(vehicle).await?;
    if json {
        print_json(&log)?;
        return Ok(ExitCode::SUCCESS);
    }
    if log.entries.is_empty() {
        eprintln!("The vehicle has no service entries. Add one with: garage service add VEHICLE");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 6]> = log
        .entries
        .iter()
        .map(|entry| {
            let value = |name: &str| value_of(entry, name);
            let [reading, unit, cost, currency] = ["odometerReading", "odometerUnit", "cost", "currency"].map(value);
            [
                value("date").unwrap_or_default(),
                value("kind").unwrap_or_default(),
                with_unit(reading, unit),
                with_unit(cost, currency),
                value("description").unwrap_or_default(),
                entry.id.to_string(),
            ]
        })
        .collect();
    let header = ["Date", "Kind", "Odometer", "Cost", "Description", "Id"];
    table::write_rows(&mut io::stdout().lock(), header, &rows)?;
    match log.added_after_removal {
        0 => {}
        1 => eprintln!("1 of them was added on another device after the vehicle was removed"),
        count => eprintln!("{count} of them were added on another device after the vehicle was removed"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A number with its unit; empty without a number.
fn with_unit(number: Option<String>, unit: Option<String>) -> String {
    number.map_or_else(String::new, |number| [Some(number), unit].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// A field's value as text. A value of another version wins over the column.
fn value_of(entry: &ServiceEntry, name: &str) -> Option<String> {
    let stored = || entry.fields.get(SERVICE_ENTRIES.field(name)?);
    let value = match entry.extra.get(name) {
        Some(json) => garage_core::FieldValue::of_json(json.clone()),
        None => stored(),
    };
    value.map(|value| value.to_string())
}

async fn show(garage: &Garage, entry: &ServiceEntry) -> Result<(), Failure> {
    let vehicle = match entry.fields.vehicle_id {
        Some(id) => garage.vehicle_or_removed(id).await.ok(),
        None => None,
    };
    let vehicle_text = match (&vehicle, entry.fields.vehicle_id) {
        (Some(vehicle), _) => Some(format!("{} ({})", crate::vehicle::name(vehicle), vehicle.id)),
        (None, id) => id.map(|id| id.to_string()),
    };
    let mut pairs = vec![("Vehicle".to_owned(), vehicle_text)];
    pairs.extend(fields::lines(&SERVICE_ENTRIES, |field| entry.fields.get(field), &entry.extra));
    pairs.push(("Added".to_owned(), Some(local_time(entry.created_at))));
    pairs.push(("Changed".to_owned(), Some(local_time(entry.updated_at))));
    pairs.push(("Removed".to_owned(), entry.deleted_at.map(local_time)));
    pairs.push(("Id".to_owned(), Some(entry.id.to_string())));
    let mut out = io::stdout().lock();
    writeln!(out, "{}", printable(&name(entry)))?;
    Ok(table::write_pairs(&mut out, &pairs)?)
}

/// The entry's date, kind and description, such as `2026-03-14 service: Oil and filter`.
fn name(entry: &ServiceEntry) -> String {
    let head = ["date", "kind"].into_iter().filter_map(|name| value_of(entry, name)).collect::<Vec<_>>().join(" ");
    match value_of(entry, "description") {
        Some(description) => format!("{head}: {description}"),
        None => head,
    }
}

/// The id of an entry that is named by its id, or by the beginning of the id of an entry that is not removed.
async fn find_entry(garage: &Garage, wanted: &str) -> Result<ServiceEntryId, Failure> {
    let wanted = wanted.trim();
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    if !is_id_beginning(wanted) {
        return Err(Failure::Unclear(format!(
            "“{wanted}” is no id of a service entry, nor the first {SHORTEST_ID} or more characters of one; \
             see: garage service list VEHICLE"
        )));
    }
    let found = garage.service_entries_by_id_beginning(wanted).await?;
    match &found[..] {
        [] => Err(Failure::Unclear(format!("There is no service entry “{wanted}”; see: garage service list VEHICLE"))),
        [entry] => Ok(entry.id),
        _ => Err(several("service entries", wanted, found.iter().map(|entry| entry.id))),
    }
}
