//! `garage doctor`.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::{ChangeListener, Examination, FileState, Garage, GarageError, RecordCount, Repair};
use serde::Serialize;

use crate::{
    failure::Failure,
    files::as_words,
    garage::{Missing, config, with_garage},
    table::{print_json, write_pairs},
};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    examination: Examination,
    /// The repair; null if there was none.
    repair: Option<Repair>,
}

pub async fn run(garage_file: Option<PathBuf>, repair: bool, json: bool) -> Result<ExitCode, Failure> {
    let examined = examine(garage_file.clone()).await;
    let is_damaged = match &examined {
        Ok(examination) => matches!(examination.file, FileState::Damaged { .. }),
        Err(failure) => failure.is_damage(),
    };
    let (examination, repair) = if repair && is_damaged {
        let repair = match Garage::repair(config(garage_file.clone())?, ChangeListener::none()).await {
            Ok((garage, repair)) => {
                garage.close().await;
                Some(repair)
            }
            // Another program has repaired it meanwhile.
            Err(GarageError::NotDamaged) => None,
            Err(error) => return Err(error.into()),
        };
        (examine(garage_file).await?, repair)
    } else {
        (examined?, None)
    };
    let exit_code = match examination.file {
        FileState::Sound if examination.sync_problems.is_empty() => ExitCode::SUCCESS,
        FileState::Sound => ExitCode::FAILURE,
        FileState::Damaged { .. } => ExitCode::from(Failure::DAMAGED),
        FileState::CouldNotCheck { .. } => ExitCode::FAILURE,
    };
    if json {
        print_json(&Answer { examination, repair })?;
    } else {
        if let Some(repair) = repair {
            if !repair.mended.is_empty() {
                eprintln!("Parts of the schema were created again: {}", repair.mended.join(", "));
            }
            if let Some(damaged_file) = &repair.damaged_file {
                eprintln!("The damaged file is kept as {}", damaged_file.display());
            }
            let records =
                repair.records.iter().map(|it| format!("{} {}", it.count + it.removed, as_words(it.collection)));
            let records: Vec<String> = records.collect();
            eprintln!("In the repaired garage: {}, {} changes of history", records.join(", "), repair.changes);
            if let Some(backup) = repair.newest_backup {
                eprintln!("The newest backup is {}; to use it: garage restore FILE", backup.display());
            }
        }
        let if_any = |count: u64| (count > 0).then(|| count.to_string());
        let vpic = examination.snapshot_month.as_deref().unwrap_or("missing or damaged");
        let foreign = if_any(examination.foreign_records).map(|it| format!("{it} records, kept as they are"));
        let unreadable = if_any(examination.unreadable).map(|it| format!("{it} rows, left out of lists and kept"));
        let named = |name: &str, value: Option<String>| (name.to_owned(), value);
        let sync = Some(examination.sync_problems.join("\n")).filter(|problems| !problems.is_empty());
        let mut pairs = vec![named("File", Some(state(&examination.file))), named("Sync", sync)];
        pairs.extend(examination.records.iter().map(count_line));
        pairs.extend([
            named("Of unknown collections", foreign),
            named("Cannot be read", unreadable),
            named("Changes", Some(examination.changes.to_string())),
            named("Garage", Some(examination.garage_file.display().to_string())),
            named("Size", Some(format!("{} bytes, schema {}", examination.size_bytes, examination.schema))),
            named("Backups", Some(examination.backup_folder.display().to_string())),
            named("vPIC data", Some(format!("{vpic}, {}", examination.snapshot_file.display()))),
        ]);
        pairs.retain(|(_, value)| value.is_some());
        write_pairs(&mut io::stdout().lock(), &pairs)?;
    }
    Ok(exit_code)
}

/// `Service entries` and `5, and 2 removed`.
fn count_line(records: &RecordCount) -> (String, Option<String>) {
    let words = as_words(records.collection);
    let mut letters = words.chars();
    let name = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    (name, Some(format!("{}, and {} removed", records.count, records.removed)))
}

fn state(file: &FileState) -> String {
    match file {
        FileState::Sound => "Sound".to_owned(),
        FileState::Damaged { problems } => format!("Damaged\n{}", problems.join("\n")),
        FileState::CouldNotCheck { reason } => format!("Could not be checked: {reason}"),
    }
}

async fn examine(garage_file: Option<PathBuf>) -> Result<Examination, Failure> {
    with_garage(garage_file, Missing::IsRefused, async |garage| Ok(garage.examine().await?)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_failed_is_not_reported_as_sound() {
        let problems = vec!["table changes is missing".to_owned(), "row 7 missing from index".to_owned()];
        let damaged = state(&FileState::Damaged { problems });
        assert_eq!(damaged, "Damaged\ntable changes is missing\nrow 7 missing from index");
        let reason = "disk I/O error".to_owned();
        assert_eq!(state(&FileState::CouldNotCheck { reason }), "Could not be checked: disk I/O error");
    }
}
