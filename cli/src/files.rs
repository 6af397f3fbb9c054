//! `garage export`, `import`, `backup` and `restore`.

use std::{
    io::{self, BufWriter, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use garage_core::{Existing, ExportFormat, ImportMode, ImportProblem};

use serde_json::json;

use crate::{failure::Failure, garage::with_garage, progress::Bar, table::print_json};

pub async fn export(garage_file: Option<PathBuf>, file: Option<PathBuf>, csv: bool) -> Result<ExitCode, Failure> {
    let format = if csv { ExportFormat::Csv } else { ExportFormat::Json };
    let (_bar, progress) = Bar::new("Exporting");
    with_garage(garage_file, async |garage| {
        match file.filter(|file| file != Path::new("-")) {
            // Somebody's file is never written over.
            Some(file) => garage.export_to_file(format, &file, Existing::Keep, progress).await?,
            None => garage.write_export(format, BufWriter::new(io::stdout()), progress).await?,
        }
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

pub async fn import(garage_file: Option<PathBuf>, file: &Path, preview: bool, json: bool) -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file)?;
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8 text"))?;
    let mode = if preview { ImportMode::Preview } else { ImportMode::Write };
    let (bar, progress) = Bar::new("Importing");
    let report = with_garage(garage_file, async |garage| Ok(garage.import_json(&text, mode, progress).await?)).await?;
    drop(bar);
    let is_complete = report.kept.is_empty() && report.refused.is_empty();
    if json {
        print_json(&report)?;
    } else {
        let verb = if preview { "would be added" } else { "added" };
        println!("{} {verb}, {} here already", report.added, report.unchanged);
        for (what, problems) in [("kept ours", &report.kept), ("refused", &report.refused)] {
            for ImportProblem { number, message } in problems {
                println!("vehicle {number} of the file, {what}: {message}");
            }
        }
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub async fn back_up(garage_file: Option<PathBuf>, file: &Path, json: bool) -> Result<ExitCode, Failure> {
    let (bar, progress) = Bar::new("Backing up");
    with_garage(garage_file, async |garage| Ok(garage.back_up(file, Existing::Keep, progress).await?)).await?;
    drop(bar);
    if json {
        print_json(&json!({ "file": file }))?;
    } else {
        println!("The garage is backed up in {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(garage_file: Option<PathBuf>, file: &Path, json: bool) -> Result<ExitCode, Failure> {
    let (bar, progress) = Bar::new("Restoring");
    let restored = with_garage(garage_file, async |garage| Ok(garage.restore_backup(file, progress).await?)).await;
    drop(bar);
    let replaced = restored?;
    if json {
        print_json(&json!({ "file": file, "replaced": replaced }))?;
    } else {
        println!("The garage is as in {}; what it held before is in {}", file.display(), replaced.display());
    }
    Ok(ExitCode::SUCCESS)
}
