//! `garage`: the same garage as the app's, from a terminal.

mod args;
mod decode;
mod failure;
mod table;
mod vehicle;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Args, Command},
    failure::Failure,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.command.json();
    let outcome = match args.command {
        Command::Decode(args) => decode::run(&args),
        Command::Search { words, wanted, output } => {
            vehicle::search(args.garage, wanted.query(&words), output.json).await
        }
        Command::Vehicle(command) => vehicle::run(args.garage, command).await,
    };
    outcome.unwrap_or_else(|failure: Failure| failure.report(json))
}
