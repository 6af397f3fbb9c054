//! `garage catalog`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use garage_core::{
    CatalogEntry, Environment, GarageError,
    decoding::{Catalog, Snapshot, default_packed_paths, default_snapshot_path},
};

use crate::{
    args::CatalogCommand,
    failure::Failure,
    table::{print_json, printable},
};

pub fn run(command: CatalogCommand) -> Result<ExitCode, Failure> {
    let path = default_snapshot_path().map_err(GarageError::from)?;
    let snapshot = Snapshot::open_or_unpack(&path, &default_packed_paths()).map_err(GarageError::from)?;
    let catalog = Catalog::open_or_build(&snapshot, &path);
    let entries = match command {
        CatalogCommand::Years { output } => {
            let years = catalog.years(Environment::system().now());
            if output.json {
                print_json(&years)?;
            } else {
                print_lines(years.iter().map(i32::to_string))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        CatalogCommand::Makes { year, .. } => catalog.makes(year),
        CatalogCommand::Models { ref make, year, .. } => {
            let wanted = make.trim().to_lowercase();
            let known = catalog.makes(None).into_iter().find(|entry| entry.name.to_lowercase() == wanted);
            let Some(known) = known else {
                let message = format!("vPIC knows no make “{make}”; see: garage catalog makes");
                return Err(Failure::Unclear(message));
            };
            catalog.models(known.id, year)
        }
    };
    if command.json() {
        print_json(&entries)?;
    } else {
        print_lines(entries.into_iter().map(|CatalogEntry { name, .. }| name))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_lines(lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in lines {
        writeln!(out, "{}", printable(&line))?;
    }
    out.flush()
}
