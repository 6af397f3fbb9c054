//! `garage`: the same garage as the app's, from a terminal.

mod args;
mod catalog;
mod decode;
mod doctor;
mod failure;
mod files;
mod garage;
mod progress;
mod table;
mod vehicle;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    args::{Args, Command},
    failure::Failure,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.command.json();
    let outcome = match args.command {
        Command::Decode(decode_args) => decode::run(args.garage, decode_args).await,
        Command::Catalog(command) => catalog::run(command),
        Command::Search { words, wanted, output } => {
            vehicle::search(args.garage, wanted.query(&words), output.json).await
        }
        Command::Export { file, csv } => files::export(args.garage, file, csv).await,
        Command::Import { file, preview, output } => files::import(args.garage, &file, preview, output.json).await,
        Command::Backup { file, output } => files::back_up(args.garage, &file, output.json).await,
        Command::Restore { file, output } => files::restore(args.garage, &file, output.json).await,
        Command::Doctor { repair, output } => doctor::run(args.garage, repair, output.json).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "garage", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => clap_mangen::Man::new(Args::command())
            .render(&mut std::io::stdout())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Failure::from),
        Command::Vehicle(command) => vehicle::run(args.garage, command).await,
    };
    outcome.unwrap_or_else(|failure: Failure| failure.report(json))
}
