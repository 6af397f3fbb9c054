//! `garage doctor`.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::Garage;

use crate::{
    failure::Failure,
    garage::{config, open},
    table::{print_json, write_pairs},
};

pub async fn run(garage_file: Option<PathBuf>, repair: bool, json: bool) -> Result<ExitCode, Failure> {
    let garage = match open(garage_file.clone()).await {
        Err(failure) if repair && failure.is_damage() => {
            let (garage, repair) = Garage::repair(config(garage_file)?).await?;
            eprintln!(
                "The damaged file is kept as {}. Saved from it: {} vehicles, {} changes of history",
                repair.damaged_file.display(),
                repair.vehicles,
                repair.changes
            );
            garage
        }
        opened => opened?,
    };
    let examined = garage.examine().await;
    garage.close().await;
    let examination = examined?;
    let is_sound = examination.problems.is_empty();
    if json {
        print_json(&examination)?;
    } else {
        let problems = if is_sound { "none".to_owned() } else { examination.problems.join("\n") };
        let vpic = examination.snapshot_month.as_deref().unwrap_or("missing or damaged");
        write_pairs(
            &mut io::stdout().lock(),
            &[
                ("Problems", Some(problems)),
                ("Vehicles", Some(format!("{}, and {} removed", examination.vehicles, examination.removed))),
                ("Changes", Some(examination.changes.to_string())),
                ("Garage", Some(examination.garage_file.display().to_string())),
                ("Size", Some(format!("{} bytes, schema {}", examination.size_bytes, examination.schema))),
                ("Backups", Some(examination.backup_folder.display().to_string())),
                ("vPIC data", Some(format!("{vpic}, {}", examination.snapshot_file.display()))),
            ],
        )?;
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(Failure::DAMAGED) })
}
