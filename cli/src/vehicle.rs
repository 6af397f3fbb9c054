//! `garage vehicle`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use garage_core::{ChangeId, Detail, Field, FieldValue, Garage, GarageError, Origin, Vehicle, VehicleQuery};

use crate::{
    args::VehicleCommand,
    failure::Failure,
    garage::{Missing, with_garage},
    table::{self, local_time, print_json, printable},
};

pub async fn run(garage_file: Option<PathBuf>, command: VehicleCommand) -> Result<ExitCode, Failure> {
    let missing = if matches!(command, VehicleCommand::Add { .. }) { Missing::IsMade } else { Missing::IsRefused };
    with_garage(garage_file, missing, async |garage| perform(garage, command).await).await
}

async fn perform(garage: &Garage, command: VehicleCommand) -> Result<ExitCode, Failure> {
    let json = command.json();
    let (verb, vehicle) = match command {
        VehicleCommand::List { wanted, .. } => {
            return list(
                garage,
                wanted.query(&[]),
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
            let added = garage.add_vehicle(&fields.draft(vin.clone())).await?;
            warn_of_vin(garage, vin).await;
            ("Added", added)
        }
        VehicleCommand::Edit { vehicle, vin, fields, .. } => {
            let id = find(garage, &vehicle).await?.id;
            let vin = vin.map(vin_in);
            let saved = garage.edit_vehicle(id, &fields.draft(vin.clone())).await?;
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
                Err(_) => {
                    find_among(garage, &id, VehicleQuery { is_removed: true, ..VehicleQuery::default() }).await?.id
                }
            };
            ("Restored", garage.restore_vehicle(id).await?)
        }
        VehicleCommand::History { vehicle, .. } => return history(garage, &vehicle, json).await,
        VehicleCommand::Offers { vehicle, .. } => return offers(garage, &vehicle, json).await,
        VehicleCommand::Accept { vehicle, fields, .. } => {
            let id = find(garage, &vehicle).await?.id;
            let on_offer = garage.decode_offers(id).await?;
            for name in &fields {
                if !on_offer.iter().any(|offer| offer.field.name() == name) {
                    return Err(Failure::Unclear(format!(
                        "Nothing is on offer for “{name}”; see: garage vehicle offers"
                    )));
                }
            }
            let is_wanted = |field: &Field| fields.is_empty() || fields.iter().any(|name| field.name() == name);
            let wanted = on_offer.into_iter().map(|offer| offer.field).filter(is_wanted).collect();
            ("Saved", garage.accept_offers(id, wanted).await?)
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

/// The VIN in a text; the text itself where none stands in it, for the garage to say what is wrong.
fn vin_in(text: String) -> String {
    let vin = garage_core::domain::vin::find(&text);
    if garage_core::domain::Vin::parse(&text).is_ok() { text } else { vin.map_or(text, |vin| vin.to_string()) }
}

/// Says what speaks against a VIN; it is saved all the same.
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
    let lines = offers
        .into_iter()
        .map(|offer| (offer.field.name(), Some(format!("{} → {}", shown(offer.current), shown(Some(offer.offered))))));
    table::write_pairs(&mut io::stdout().lock(), &lines.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

fn shown(value: Option<FieldValue>) -> String {
    match value {
        Some(FieldValue::Text(text)) => text,
        Some(FieldValue::Integer(integer)) => integer.to_string(),
        Some(FieldValue::Boolean(flag)) => flag.to_string(),
        None => "empty".to_owned(),
    }
}

async fn history(garage: &Garage, wanted: &str, json: bool) -> Result<ExitCode, Failure> {
    // A removed vehicle is found by its id only: names may have been given again.
    let id = match wanted.parse() {
        Ok(id) => id,
        Err(_) => find(garage, wanted).await?.id,
    };
    let entries = garage.history(id).await?;
    if json {
        print_json(&entries)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = io::stdout().lock();
    for entry in entries {
        let undoes = entry.undoes.map(|id| format!(", undoing {}", id.0)).unwrap_or_default();
        writeln!(
            out,
            "{} {} by {}{undoes} ({})",
            local_time(entry.at),
            entry.kind.name(),
            printable(&entry.program),
            entry.id.0
        )?;
        let by = |origin: Origin| match origin {
            Origin::Typed => "",
            Origin::Decoded { .. } => " (decoded)",
            Origin::Imported => " (imported)",
        };
        let changes = entry.fields.into_iter().map(|it| match it.old == it.new {
            // Only who set it is new.
            true => (it.field.name(), Some(format!("{}, confirmed{}", shown(it.new), by(it.origin)))),
            false => (it.field.name(), Some(format!("{} → {}{}", shown(it.old), shown(it.new), by(it.origin)))),
        });
        table::write_pairs(&mut out, &changes.collect::<Vec<_>>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(vehicle: &Vehicle) -> io::Result<()> {
    let fields = &vehicle.fields;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", printable(&name(vehicle)))?;
    table::write_pairs(
        &mut out,
        &[
            ("VIN", fields.vin.as_ref().map(ToString::to_string)),
            ("License plate", fields.license_plate.clone()),
            ("Year", fields.year.map(|year| year.to_string())),
            ("Make", fields.make.clone()),
            ("Model", fields.model.clone()),
            ("Trim", fields.trim_level.clone()),
            ("Engine", fields.engine.clone()),
            ("Transmission", fields.transmission.clone()),
            ("Drive", fields.drive_type.clone()),
            ("Fuel", fields.fuel_type.clone()),
            ("Body", fields.body_class.clone()),
            ("Type", fields.vehicle_type.clone()),
            ("Color", fields.color.clone()),
            ("Odometer", odometer(vehicle)),
            ("In use", (!fields.is_active).then(|| "no".to_owned())),
            ("Notes", fields.notes.clone()),
            ("Added", Some(local_time(vehicle.created_at))),
            ("Changed", Some(local_time(vehicle.updated_at))),
            ("Id", Some(vehicle.id.to_string())),
        ],
    )
}

/// Characters of an id's beginning that name a vehicle; fewer could be a plate that was mistyped.
const SHORTEST_ID: usize = 8;

/// The one vehicle that a person means.
async fn find(garage: &Garage, wanted: &str) -> Result<Vehicle, Failure> {
    find_among(garage, wanted, VehicleQuery::default()).await
}

async fn find_among(garage: &Garage, wanted: &str, query: VehicleQuery) -> Result<Vehicle, Failure> {
    let wanted = wanted.trim();
    let vin = garage_core::domain::vin::clean(wanted);
    let equals = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_lowercase() == wanted.to_lowercase());
    let is_meant = |vehicle: &Vehicle| {
        let fields = &vehicle.fields;
        vehicle.id.to_string() == wanted.to_lowercase()
            || fields.vin.as_ref().is_some_and(|it| it.as_str() == vin)
            || equals(&fields.license_plate)
            || equals(&fields.nickname)
    };
    let (mut meant, others): (Vec<Vehicle>, Vec<Vehicle>) =
        garage.all_vehicles(query).await?.into_iter().partition(is_meant);
    if meant.is_empty() && wanted.len() >= SHORTEST_ID {
        let begins = |vehicle: &Vehicle| vehicle.id.to_string().starts_with(&wanted.to_lowercase());
        meant = others.into_iter().filter(begins).collect();
    }
    match meant.len() {
        0 => Err(Failure::Unclear(format!("There is no vehicle “{wanted}”; see: garage vehicle list"))),
        1 => Ok(meant.remove(0)),
        count => Err(Failure::Unclear(format!("{count} vehicles are “{wanted}”; name one by its id or VIN"))),
    }
}

/// What a person calls it: its nickname, else year, make and model, else plate or VIN.
fn name(vehicle: &Vehicle) -> String {
    let fields = &vehicle.fields;
    let year = fields.make.as_ref().and(fields.year).map(|year| year.to_string());
    // Makers of trailers often name the model after themselves.
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
