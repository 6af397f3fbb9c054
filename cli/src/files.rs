//! `garage export`, `import`, `backup` and `restore`.

use std::{
    io::{self, BufWriter, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use garage_core::{Existing, ExportFormat, GarageError, ImportMode, ImportProblem};
use serde_json::json;

use crate::{
    args::Format,
    failure::Failure,
    garage::{Missing, with_garage},
    progress::Bar,
    table::{print_json, printable},
};

pub async fn export(
    garage_file: Option<PathBuf>,
    file: Option<PathBuf>,
    format: Option<Format>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let file = file.filter(|file| file != Path::new("-"));
    let ending = file.as_ref().and_then(|file| file.extension());
    let format = match format {
        Some(Format::Csv) => ExportFormat::Csv,
        None if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) => ExportFormat::Csv,
        Some(Format::Json) | None => ExportFormat::Json,
    };
    let (bar, progress) = if file.is_some() { Bar::stoppable("Exporting") } else { Bar::new("Exporting") };
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        match &file {
            // Never overwrite a file.
            Some(file) => garage.export_to_file(format, file, Existing::Keep, progress).await?,
            None => garage.write_export(format, BufWriter::new(io::stdout()), progress).await?,
        }
        Ok(())
    })
    .await?;
    drop(bar);
    match file {
        Some(file) if json => print_json(&json!({ "file": file }))?,
        Some(file) => println!("The garage is written to {}", printable(&file.display().to_string())),
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn import(garage_file: Option<PathBuf>, file: &Path, preview: bool, json: bool) -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes)?;
    } else {
        let unreadable = |source| GarageError::Unreadable { path: file.to_owned(), source };
        bytes = std::fs::read(file).map_err(unreadable)?;
    }
    let not_text = |_| GarageError::ImportUnreadable("it is not UTF-8 text".to_owned());
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let mode = if preview { ImportMode::Preview } else { ImportMode::Write };
    let (bar, progress) = Bar::stoppable("Importing");
    let report =
        with_garage(garage_file, Missing::IsMade, async |garage| Ok(garage.import_json(&text, mode, progress).await?))
            .await?;
    drop(bar);
    let is_complete = report.kept.is_empty() && report.refused.is_empty();
    if json {
        print_json(&report)?;
    } else {
        let verb = if preview { "would be added" } else { "added" };
        println!("{} {verb}, {} here already", report.added, report.unchanged);
        for (collection, count) in &report.others_added {
            println!("{}: {count} {verb}", printable(&as_words(collection)));
        }
        for (what, problems) in [("kept ours", &report.kept), ("refused", &report.refused)] {
            for ImportProblem { what: record, number, message } in problems {
                println!("{} {number} of the file, {what}: {}", printable(record), printable(message));
            }
        }
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The name of a collection in words: `service entries` for `serviceEntries`.
pub fn as_words(name: &str) -> String {
    let words =
        name.chars().flat_map(|letter| letter.is_uppercase().then_some(' ').into_iter().chain(letter.to_lowercase()));
    words.collect()
}

pub async fn back_up(garage_file: Option<PathBuf>, file: &Path, json: bool) -> Result<ExitCode, Failure> {
    let (bar, progress) = Bar::stoppable("Backing up");
    with_garage(garage_file, Missing::IsRefused, async |garage| {
        Ok(garage.back_up(file, Existing::Keep, progress).await?)
    })
    .await?;
    drop(bar);
    if json {
        print_json(&json!({ "file": file }))?;
    } else {
        println!("The garage is backed up in {}", printable(&file.display().to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(garage_file: Option<PathBuf>, file: &Path, json: bool) -> Result<ExitCode, Failure> {
    let (bar, progress) = Bar::stoppable("Restoring");
    let restored =
        with_garage(garage_file, Missing::IsMade, async |garage| Ok(garage.restore_backup(file, progress).await?))
            .await;
    drop(bar);
    let replaced = restored?;
    if json {
        print_json(&json!({ "file": file, "replaced": replaced }))?;
    } else {
        let [file, replaced] = [file, &replaced].map(|path| printable(&path.display().to_string()));
        println!("The garage is as in {file}; what it held before is in {replaced}");
    }
    Ok(ExitCode::SUCCESS)
}
