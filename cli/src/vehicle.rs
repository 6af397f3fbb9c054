//! `garage vehicle`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use garage_core::{
    ChangeId, Detail, Field, FieldAccess, Garage, GarageError, RecordId, VEHICLES, Vehicle, VehicleDraft, VehicleId,
    VehicleQuery, domain::Vin,
};

use crate::{
    args::VehicleCommand,
    failure::Failure,
    fields::{self, FieldArgs, OfVehicle},
    garage::{Missing, with_garage},
    history,
    table::{self, local_time, print_json, printable},
};

pub async fn run(garage_file: Option<PathBuf>, command: VehicleCommand) -> Result<ExitCode, Failure> {
    let missing = if matches!(command, VehicleCommand::Add { .. }) { Missing::IsMade } else { Missing::IsRefused };
    with_garage(garage_file, missing, async |garage| perform(garage, command).await).await
}

async fn perform(garage: &Garage, command: VehicleCommand) -> Result<ExitCode, Failure> {
    let json = command.json();
    let (verb, vehicle) = match command {
        VehicleCommand::List { filters, .. } => {
            return list(
                garage,
                filters.query(&[]),
                "The garage has none. Add a vehicle with: garage vehicle add VIN",
                json,
            )
            .await;
        }
        VehicleCommand::Show { vehicle, .. } => {
            let vehicle = find(garage, &vehicle).await?;
            if !json {
                show(&vehicle)?;
                return Ok(ExitCode::SUCCESS);
            }
            ("", vehicle)
        }
        VehicleCommand::Add { vin, fields, .. } => {
            let vin = vin.map(vin_in);
            let draft = draft(fields, vin.clone());
            let added = garage.add_vehicle(&draft).await.map_err(|error| with_hints(error, &draft))?;
            warn_of_vin(garage, vin).await;
            ("Added", added)
        }
        VehicleCommand::Edit { vehicle, vin, fields, .. } => {
            let id = find(garage, &vehicle).await?.id;
            let vin = vin.map(vin_in);
            let draft = draft(fields, vin.clone());
            let saved = garage.edit_vehicle(id, &draft).await.map_err(|error| with_hints(error, &draft))?;
            warn_of_vin(garage, vin).await;
            ("Saved", saved)
        }
        VehicleCommand::Remove { vehicle, .. } => {
            let id = find(garage, &vehicle).await?.id;
            ("Removed", garage.remove_vehicle(id).await?)
        }
        VehicleCommand::Restore { id, .. } => {
            let id = match id.parse() {
                Ok(id) => id,
                Err(_) => find_among(garage, &id, true).await?.id,
            };
            ("Restored", garage.restore_vehicle(id).await?)
        }
        VehicleCommand::History { vehicle, .. } => return print_history(garage, &vehicle, json).await,
        VehicleCommand::Offers { vehicle, .. } => return offers(garage, &vehicle, json).await,
        VehicleCommand::Accept { vehicle, fields, .. } => {
            let id = find(garage, &vehicle).await?.id;
            let on_offer = garage.decode_offers(id).await?;
            for name in &fields {
                if !on_offer.iter().any(|offer| offer.field.name == name) {
                    return Err(Failure::Unclear(format!(
                        "Nothing is on offer for “{name}”; see: garage vehicle offers"
                    )));
                }
            }
            let is_wanted = |field: &&Field| fields.is_empty() || fields.iter().any(|name| field.name == name);
            let wanted = on_offer.into_iter().map(|offer| offer.field).filter(is_wanted);
            ("Saved", garage.accept_offers(id, wanted.map(|field| field.name.to_owned()).collect()).await?)
        }
        VehicleCommand::Undo { change, .. } => {
            let id = change.parse().map_err(|_| Failure::Unclear(format!("“{change}” is no id of a change")))?;
            ("Undone, saved", garage.undo(ChangeId(id)).await?)
        }
    };
    if json {
        print_json(&vehicle)?;
    } else {
        writeln!(io::stdout(), "{verb} {} ({})", printable(&name(&vehicle)), vehicle.id)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draft(fields: FieldArgs<OfVehicle>, vin: Option<String>) -> VehicleDraft {
    let mut draft = fields.into_map();
    draft.extend(vin.map(|vin| ("vin".to_owned(), vin.into())));
    VehicleDraft(draft)
}

fn with_hints(error: GarageError, draft: &VehicleDraft) -> GarageError {
    fields::with_hints(error, &VEHICLES, &draft.0)
}

/// The VIN in a text; without one the text itself, so that validation reports what is wrong with it.
fn vin_in(text: String) -> String {
    let vin = garage_core::domain::vin::find(&text);
    if Vin::parse(&text).is_ok() { text } else { vin.map_or(text, |vin| vin.to_string()) }
}

/// Warns about a VIN that is saved but looks wrong.
async fn warn_of_vin(garage: &Garage, vin: Option<String>) {
    let Some(vin) = vin else { return };
    let decode = match garage.decode_vin(&vin, None, Detail::Fields).await {
        Ok(decode) => decode,
        Err(error @ GarageError::Snapshot(_)) => return eprintln!("warning: saved without decoding: {error}"),
        Err(_) => return,
    };
    for it in &decode.possible {
        eprintln!("warning: position {} of the VIN does not fit; {} would", it.position, it.characters);
    }
    if let Some(check_digit) = decode.check_digit.filter(|it| !it.valid) {
        eprintln!(
            "warning: the VIN's check digit does not fit: if the rest is right, position 9 is {}",
            check_digit.expected
        );
    }
    if let Some(vin) = decode.suggested_vin {
        eprintln!("warning: perhaps {vin} is meant");
    }
}

/// `garage search`. Exits with 1 where nothing is found, as grep does.
pub async fn search(garage_file: Option<PathBuf>, query: VehicleQuery, json: bool) -> Result<ExitCode, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        let is_found = !garage.list_vehicles(VehicleQuery { limit: 1, ..query.clone() }).await?.vehicles.is_empty();
        list(garage, query, "Nothing found", json).await?;
        Ok(if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
    .await
}

async fn list(garage: &Garage, query: VehicleQuery, if_none: &str, json: bool) -> Result<ExitCode, Failure> {
    let vehicles = garage.all_vehicles(query).await?;
    if json {
        print_json(&vehicles)?;
        return Ok(ExitCode::SUCCESS);
    }
    if vehicles.is_empty() {
        eprintln!("{if_none}");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 5]> = vehicles
        .iter()
        .map(|vehicle| {
            let fields = &vehicle.fields;
            [
                name(vehicle),
                fields.license_plate.clone().unwrap_or_default(),
                fields.vin.as_ref().map(ToString::to_string).unwrap_or_default(),
                odometer(vehicle).unwrap_or_default(),
                vehicle.id.to_string(),
            ]
        })
        .collect();
    table::write_rows(&mut io::stdout().lock(), ["Name", "Plate", "VIN", "Odometer", "Id"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

async fn offers(garage: &Garage, wanted: &str, json: bool) -> Result<ExitCode, Failure> {
    let offers = garage.decode_offers(find(garage, wanted).await?.id).await?;
    if json {
        print_json(&offers)?;
        return Ok(ExitCode::SUCCESS);
    }
    if offers.is_empty() {
        eprintln!("Nothing is on offer: the vehicle has all that decoding knows");
    }
    let lines = offers.into_iter().map(|offer| {
        (offer.field.name, Some(format!("{} → {}", history::shown(offer.current.as_ref()), offer.offered)))
    });
    table::write_pairs(&mut io::stdout().lock(), &lines.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

async fn print_history(garage: &Garage, wanted: &str, json: bool) -> Result<ExitCode, Failure> {
    // A removed vehicle is found by its id only, since its names may be in use again.
    let id = match wanted.parse() {
        Ok(id) => id,
        Err(_) => find(garage, wanted).await?.id,
    };
    history::print(garage.history(id).await?, json)?;
    Ok(ExitCode::SUCCESS)
}

fn show(vehicle: &Vehicle) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", printable(&name(vehicle)))?;
    let mut pairs = fields::lines(&VEHICLES, |field| vehicle.fields.get(field), &vehicle.extra);
    pairs.push(("Added".to_owned(), Some(local_time(vehicle.created_at))));
    pairs.push(("Changed".to_owned(), Some(local_time(vehicle.updated_at))));
    pairs.push(("Id".to_owned(), Some(vehicle.id.to_string())));
    table::write_pairs(&mut out, &pairs)
}

/// The fewest characters of an id that name a record; fewer could be a mistyped plate.
pub const SHORTEST_ID: usize = 8;

/// Whether text can be the beginning of an id.
pub fn is_id_beginning(text: &str) -> bool {
    text.len() >= SHORTEST_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Finds the one vehicle with this id, VIN, plate or nickname.
pub async fn find(garage: &Garage, wanted: &str) -> Result<Vehicle, Failure> {
    find_among(garage, wanted, false).await
}

async fn find_among(garage: &Garage, wanted: &str, is_removed: bool) -> Result<Vehicle, Failure> {
    let wanted = wanted.trim();
    let mut found = named(garage, wanted, is_removed).await?;
    match found.len() {
        0 => Err(Failure::Unclear(format!("There is no vehicle “{wanted}”; see: garage vehicle list"))),
        1 => Ok(found.remove(0)),
        _ => Err(several("vehicles", wanted, found.iter().map(|vehicle| vehicle.id))),
    }
}

/// The failure if several records have the name that was given.
pub fn several(nouns: &str, wanted: &str, ids: impl Iterator<Item = RecordId>) -> Failure {
    /// The most ids that a message lists.
    const MOST: usize = 10;
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    let (listed, more) = (ids.get(..MOST).unwrap_or(&ids).join(", "), if ids.len() > MOST { ", …" } else { "" });
    Failure::Unclear(format!("{} {nouns} are “{wanted}”; name one by its id: {listed}{more}", ids.len()))
}

/// The vehicles of this name. Ids and full VINs are looked up by index; other names need all vehicles.
async fn named(garage: &Garage, wanted: &str, is_removed: bool) -> Result<Vec<Vehicle>, GarageError> {
    if let Ok(id) = wanted.parse::<VehicleId>() {
        return garage.vehicles_by_id_beginning(&id.to_string(), is_removed).await;
    }
    if is_id_beginning(wanted) {
        let found = garage.vehicles_by_id_beginning(wanted, is_removed).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let vin = Vin::parse(wanted).ok();
    if let Some(vin) = vin.clone().filter(|vin| vin.is_full() && !is_removed) {
        let found = garage.vehicles_by_vin(vin).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let equals = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_lowercase() == wanted.to_lowercase());
    let has_name = |vehicle: &Vehicle| {
        let fields = &vehicle.fields;
        (vin.is_some() && fields.vin == vin) || equals(&fields.license_plate) || equals(&fields.nickname)
    };
    let vehicles = garage.all_vehicles(VehicleQuery { is_removed, ..VehicleQuery::default() }).await?;
    Ok(vehicles.into_iter().filter(has_name).collect())
}

/// A vehicle's display name: its nickname, else year, make and model, else plate or VIN.
pub fn name(vehicle: &Vehicle) -> String {
    let fields = &vehicle.fields;
    let year = fields.make.as_ref().and(fields.year).map(|year| year.to_string());
    // The model of a trailer often repeats the make.
    let model = fields
        .model
        .clone()
        .filter(|model| Some(model.to_lowercase()) != fields.make.as_ref().map(|it| it.to_lowercase()));
    let described = [year, fields.make.clone(), model].into_iter().flatten().collect::<Vec<_>>().join(" ");
    fields
        .nickname
        .clone()
        .or((fields.make.is_some()).then_some(described))
        .or_else(|| fields.license_plate.clone())
        .or_else(|| fields.vin.as_ref().map(ToString::to_string))
        .unwrap_or_default()
}

fn odometer(vehicle: &Vehicle) -> Option<String> {
    let fields = &vehicle.fields;
    fields.odometer_reading.map(|reading| format!("{reading} {}", fields.odometer_unit.as_str()))
}
