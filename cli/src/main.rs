//! `garage`: the command line interface to the app's garage.

mod account;
mod args;
mod catalog;
mod decode;
mod doctor;
mod failure;
mod fields;
mod files;
mod garage;
mod history;
mod progress;
mod service;
mod sync;
mod table;
mod vehicle;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::{
    args::{Args, Command, Format},
    failure::Failure,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.command.json();
    let outcome = match args.command {
        Command::Decode(decode_args) => decode::run(args.garage, decode_args).await,
        Command::Catalog(command) => catalog::run(command),
        Command::Search { words, filters, output } => {
            vehicle::search(args.garage, filters.query(&words), output.json).await
        }
        Command::Export { file, format, csv, output } => {
            let format = if csv { Some(Format::Csv) } else { format };
            files::export(args.garage, file, format, output.json).await
        }
        Command::Import { file, preview, output } => files::import(args.garage, &file, preview, output.json).await,
        Command::Backup { file, output } => files::back_up(args.garage, &file, output.json).await,
        Command::Restore { file, output } => files::restore(args.garage, &file, output.json).await,
        Command::Doctor { repair, output } => doctor::run(args.garage, repair, output.json).await,
        Command::SignUp(sign_in) => account::sign_up(args.garage, sign_in).await,
        Command::SignIn(sign_in) => account::sign_in(args.garage, sign_in).await,
        Command::SignOut { output } => account::sign_out(args.garage, output.json).await,
        Command::Sync { watch, merge, output } => sync::sync(args.garage, watch, merge, output.json).await,
        Command::Status { output } => sync::status(args.garage, output.json).await,
        Command::Conflicts { output } => sync::conflicts(args.garage, output.json).await,
        Command::Resolve(resolve) => sync::resolve(args.garage, resolve).await,
        Command::Refused { command, output } => sync::refused(args.garage, command, output.json).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "garage", &mut script);
            io::stdout().write_all(&script).map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
        Command::Man { folder } => man(folder.as_deref()).map(|()| ExitCode::SUCCESS).map_err(Failure::from),
        Command::Service(command) => service::run(args.garage, command).await,
        Command::Vehicle(command) => vehicle::run(args.garage, command).await,
    };
    outcome.unwrap_or_else(|failure: Failure| failure.report(json))
}

/// Writes the manual page of `garage`, or into a folder one page per command, such as `garage-vehicle-add.1`.
fn man(folder: Option<&Path>) -> io::Result<()> {
    let mut command = Args::command();
    match folder {
        None => clap_mangen::Man::new(command).render(&mut io::stdout()),
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            command.build();
            clap_mangen::generate_to(command, folder)
        }
    }
}
