//! `garage export`, `import`, `backup` and `restore`.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use garage_core::{ImportMode, ImportProblem};

use crate::{failure::Failure, garage::with_garage, table::print_json};

pub async fn export(garage_file: Option<PathBuf>, file: Option<PathBuf>, csv: bool) -> Result<ExitCode, Failure> {
    let text = with_garage(garage_file, async |garage| {
        let mut text = Vec::new();
        if csv {
            garage.export_csv(&mut text).await?;
        } else {
            serde_json::to_writer_pretty(&mut text, &garage.export().await?).map_err(io::Error::from)?;
            text.push(b'\n');
        }
        Ok(text)
    })
    .await?;
    match file.filter(|file| file != Path::new("-")) {
        // Somebody's file is never written over.
        Some(file) => OpenOptions::new().write(true).create_new(true).open(file)?.write_all(&text)?,
        None => io::stdout().write_all(&text)?,
    }
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
    let report = with_garage(garage_file, async |garage| Ok(garage.import_json(&text, mode).await?)).await?;
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

pub async fn back_up(garage_file: Option<PathBuf>, file: &Path) -> Result<ExitCode, Failure> {
    with_garage(garage_file, async |garage| Ok(garage.back_up(file).await?)).await?;
    println!("The garage is backed up in {}", file.display());
    Ok(ExitCode::SUCCESS)
}

pub async fn restore(garage_file: Option<PathBuf>, file: &Path) -> Result<ExitCode, Failure> {
    let replaced = with_garage(garage_file, async |garage| Ok(garage.restore_backup(file).await?)).await?;
    println!("The garage is as in {}; what it held before is in {}", file.display(), replaced.display());
    Ok(ExitCode::SUCCESS)
}
