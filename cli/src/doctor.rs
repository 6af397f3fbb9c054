//! `garage doctor`.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::{ChangeListener, Examination, Garage, GarageError, Repair};
use serde::Serialize;

use crate::{
    failure::Failure,
    garage::{Missing, config, with_garage},
    table::{print_json, write_pairs},
};

/// What a script is told.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    examination: Examination,
    /// What was repaired before; null where nothing was.
    repair: Option<Repair>,
}

pub async fn run(garage_file: Option<PathBuf>, repair: bool, json: bool) -> Result<ExitCode, Failure> {
    let examined = examine(garage_file.clone()).await;
    let is_damaged = match &examined {
        Ok(examination) => !examination.problems.is_empty(),
        Err(failure) => failure.is_damage(),
    };
    let (examination, repair) = if repair && is_damaged {
        let repair = match Garage::repair(config(garage_file.clone())?, ChangeListener::none()).await {
            Ok((garage, repair)) => {
                garage.close().await;
                Some(repair)
            }
            // Another program was quicker.
            Err(GarageError::NotDamaged) => None,
            Err(error) => return Err(error.into()),
        };
        (examine(garage_file).await?, repair)
    } else {
        (examined?, None)
    };
    let is_sound = examination.problems.is_empty();
    if json {
        print_json(&Answer { examination, repair })?;
    } else {
        if let Some(repair) = repair {
            eprintln!(
                "The damaged file is kept as {}. Saved from it: {} vehicles, {} changes of history",
                repair.damaged_file.display(),
                repair.vehicles,
                repair.changes
            );
            if let Some(backup) = repair.newest_backup {
                eprintln!("The newest backup is {}; to use it: garage restore FILE", backup.display());
            }
        }
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

async fn examine(garage_file: Option<PathBuf>) -> Result<Examination, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| Ok(garage.examine().await?)).await
}
