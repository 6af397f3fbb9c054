//! The command line: commands, arguments and options.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use garage_core::{Sort, VehicleQuery, domain::vehicle::YEAR};

use crate::fields::{FieldArgs, OfServiceEntry, OfVehicle};

/// Your MotoVault garage from a terminal: the same vehicles as in the app, and VINs decoded with no network.
#[derive(Parser)]
#[command(name = "garage", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Args {
    /// The garage's file [default: the app's own]
    #[arg(long, global = true, value_name = "FILE", env = "GARAGE_FILE", hide_env_values = true, display_order = 900)]
    pub garage: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  garage decode 1HGCM82633A004352
  garage vehicle add 1HGCM82633A004352 --nickname Blue --odometer-reading 50000
  garage vehicle list --sort odometer
  garage search honda 4352
  garage vehicle edit Blue --odometer-reading 51000
  garage service add Blue --kind service --cost 129.90 --currency EUR --description \"Oil and filter\"
  garage service list Blue
  cut -d, -f1 vins.csv | garage decode --stdin --json

Environment:
  GARAGE_FILE          the garage's file, as --garage
  GARAGE_VPIC_FILE     the vPIC data's file
  GARAGE_VPIC_ANSWERS  the file of vPIC's answers [default: beside the vPIC data]
  GARAGE_VPIC_URL      the address of vPIC's API, or of a mirror of it
  GARAGE_SERVER, GARAGE_TOKEN
                       a server and an access token to use instead of signing in

Exit codes: 0 done, 1 refused or invalid, 2 wrong usage, 3 damaged file.";

#[derive(Subcommand)]
pub enum Command {
    /// Decode VINs with the vPIC data on this device
    Decode(DecodeArgs),
    /// List the model years, makes and models that vPIC knows, for a vehicle without a VIN
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Find vehicles by beginnings of words, or by any fragment of a VIN or plate
    #[command(after_help = "Exits with 1 where nothing is found.")]
    Search {
        /// All of them must match; case and accents do not matter
        #[arg(required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        words: Vec<String>,
        #[command(flatten)]
        filters: ListFilters,
        #[command(flatten)]
        output: Output,
    },
    /// Add, list, show, edit, remove and restore vehicles; see their history, and undo changes
    #[command(subcommand)]
    Vehicle(VehicleCommand),
    /// Add, list, show, edit, remove and restore a vehicle's service entries; see their history, and undo changes
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Export the garage: everything as JSON, or the vehicles as CSV for a spreadsheet
    Export {
        /// The file to write; - or nothing for standard output
        file: Option<PathBuf>,
        /// The file's format [default: csv for a file that ends in .csv, else json]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Same as --format csv
        #[arg(long, conflicts_with = "format")]
        csv: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Import an export, or a JSON list of vehicles; records that exist already are not changed
    Import {
        /// The file to read; - for standard input
        file: PathBuf,
        /// Report what the import would do, and change nothing
        #[arg(long)]
        preview: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Copy the whole garage into one file
    Backup {
        /// The file to write; it must not exist yet
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Replace the whole garage with a backup; the current garage is backed up first
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Check the garage's file, count its records, and list the files in use
    Doctor {
        /// Repair a damaged file: keep the damaged one, and save the records that can be read
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Create an account on a server, and sign in to it
    SignUp(SignInArgs),
    /// Sign in to a server; the session is kept in the system's key store
    SignIn(SignInArgs),
    /// End the session with the server; the garage keeps everything
    SignOut {
        #[command(flatten)]
        output: Output,
    },
    /// Exchange changes with the server; the session is that of `sign-in`, or of GARAGE_SERVER and GARAGE_TOKEN
    Sync {
        /// Go on until Ctrl-C: after each change on this device, and now and then
        #[arg(long)]
        watch: bool,
        /// Merge with a server whose database is not the one that this garage was synced with
        #[arg(long)]
        merge: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show whether everything is on the server, and what is not
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// List fields that were set to different values on different devices
    Conflicts {
        #[command(flatten)]
        output: Output,
    },
    /// Settle a conflict; that is a change too, and can be undone
    Resolve(ResolveArgs),
    /// List what the server has refused; send it again, or discard it
    #[command(subcommand_negates_reqs = true)]
    Refused {
        #[command(subcommand)]
        command: Option<RefusedCommand>,
        #[command(flatten)]
        output: Output,
    },
    /// Write a shell's completion script to standard output
    Completions { shell: clap_complete::Shell },
    /// Write the manual page to standard output
    Man {
        /// Write a page for every command into this folder instead
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

impl Command {
    /// Whether output and errors are JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Decode(args) => args.json,
            Command::Search { output, .. }
            | Command::Export { output, .. }
            | Command::Import { output, .. }
            | Command::Backup { output, .. }
            | Command::Restore { output, .. }
            | Command::Doctor { output, .. }
            | Command::SignOut { output }
            | Command::Sync { output, .. }
            | Command::Status { output }
            | Command::Conflicts { output }
            | Command::Refused { output, .. } => output.json,
            Command::Resolve(args) => args.output.json,
            Command::SignUp(args) | Command::SignIn(args) => args.output.json,
            Command::Completions { .. } | Command::Man { .. } => false,
            Command::Vehicle(command) => command.json(),
            Command::Service(command) => command.json(),
            Command::Catalog(command) => command.json(),
        }
    }
}

#[derive(Subcommand)]
pub enum CatalogCommand {
    /// The model years, the latest first
    Years {
        #[command(flatten)]
        output: Output,
    },
    /// The makes
    Makes {
        /// Only makes with a model in this year
        #[arg(long, value_name = "YEAR", value_parser = year)]
        year: Option<i32>,
        #[command(flatten)]
        output: Output,
    },
    /// The models of a make
    Models {
        /// The make's name, such as Honda
        make: String,
        /// Only models of this year
        #[arg(long, value_name = "YEAR", value_parser = year)]
        year: Option<i32>,
        #[command(flatten)]
        output: Output,
    },
}

impl CatalogCommand {
    pub fn json(&self) -> bool {
        match self {
            CatalogCommand::Years { output }
            | CatalogCommand::Makes { output, .. }
            | CatalogCommand::Models { output, .. } => output.json,
        }
    }
}

#[derive(ClapArgs)]
pub struct DecodeArgs {
    /// VINs, whole or in part; * stands for an unknown character
    #[arg(value_name = "VIN", required_unless_present = "stdin")]
    pub vins: Vec<String>,
    /// The model year, where a VIN fits two
    #[arg(long, value_name = "YEAR", value_parser = decodable_year)]
    pub year: Option<i32>,
    /// Read VINs from standard input, one a line, and answer each as it comes
    #[arg(long)]
    pub stdin: bool,
    /// Use only the vPIC data that came with MotoVault, not later answers from vPIC
    #[arg(long)]
    pub offline: bool,
    /// Ask vPIC first, over the network, unless it was asked in the last 30 days
    #[arg(long, conflicts_with = "offline")]
    pub refresh: bool,
    /// Every fact that vPIC knows, not only a vehicle's fields
    #[arg(long)]
    pub full: bool,
    /// One JSON object a line, in the order asked; text that is no VIN has `error` set
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct SignInArgs {
    /// The server, such as https://garage.example.org
    #[arg(value_name = "URL")]
    pub server: String,
    /// The account's email address
    #[arg(long, value_name = "EMAIL")]
    pub email: String,
    /// Read the password from the first line of standard input, not from the terminal
    #[arg(long)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
}

#[derive(ClapArgs)]
pub struct ResolveArgs {
    /// The conflict's number, as `conflicts` shows it
    pub number: usize,
    /// `keep` for the value that the record has, or the letter of another value
    pub choice: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Subcommand)]
pub enum RefusedCommand {
    /// List it
    List,
    /// Send what is refused of a record once more
    Retry {
        /// The number that `refused` shows
        number: usize,
    },
    /// Set what is refused of a record back to what the server has
    Discard {
        /// The number that `refused` shows
        number: usize,
    },
}

#[derive(ClapArgs)]
pub struct Connection {
    /// Accept an http URL of another device: anybody on the way can then read and change the password, the vehicles and
    /// everything else that is sent
    #[arg(long)]
    pub allow_unencrypted: bool,
}

/// Vehicles can be named by id, by the beginning of an id (8 characters or more), by VIN, license plate or nickname.
#[derive(Subcommand)]
pub enum VehicleCommand {
    /// Add a vehicle; decoding its VIN fills the fields that you leave out
    Add {
        /// The VIN, with or without spaces and dashes, or a text that contains it
        #[arg(value_name = "VIN")]
        vin: Option<String>,
        #[command(flatten)]
        fields: FieldArgs<OfVehicle>,
        #[command(flatten)]
        output: Output,
    },
    /// List the vehicles
    List {
        #[command(flatten)]
        filters: ListFilters,
        #[command(flatten)]
        output: Output,
    },
    /// Show one vehicle
    Show {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change fields of a vehicle; an empty value clears a field
    Edit {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        /// The VIN
        #[arg(long)]
        vin: Option<String>,
        #[command(flatten)]
        fields: FieldArgs<OfVehicle>,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a vehicle; it can be restored
    Remove {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Bring a removed vehicle back
    Restore {
        /// Its id, VIN, license plate or nickname
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show the changes of a vehicle, newest first
    History {
        /// Id, VIN, license plate or nickname; of a removed vehicle its id
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show newer decoded values for fields that you did not type
    Offers {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Set fields to the values that `offers` shows
    Accept {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        /// Only these fields, by the names that `offers` shows [default: all]
        #[arg(value_name = "FIELD")]
        fields: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Undo a change of a vehicle; that is a change too, and can be undone itself
    Undo {
        /// The change's id, as `history` shows it
        #[arg(value_name = "CHANGE")]
        change: String,
        #[command(flatten)]
        output: Output,
    },
}

impl VehicleCommand {
    pub fn json(&self) -> bool {
        match self {
            VehicleCommand::Add { output, .. }
            | VehicleCommand::List { output, .. }
            | VehicleCommand::Show { output, .. }
            | VehicleCommand::Edit { output, .. }
            | VehicleCommand::Remove { output, .. }
            | VehicleCommand::Restore { output, .. }
            | VehicleCommand::History { output, .. }
            | VehicleCommand::Offers { output, .. }
            | VehicleCommand::Accept { output, .. }
            | VehicleCommand::Undo { output, .. } => output.json,
        }
    }
}

/// Service entries are named by id, or by the first 8 or more characters of an id.
#[derive(Subcommand)]
pub enum ServiceCommand {
    /// Add a service entry to a vehicle
    #[command(after_help = ADD_SERVICE_NOTES)]
    Add {
        /// The vehicle's id, VIN, license plate or nickname
        vehicle: String,
        #[command(flatten)]
        fields: FieldArgs<OfServiceEntry>,
        #[command(flatten)]
        output: Output,
    },
    /// List the service entries of a vehicle, the latest date first
    List {
        /// The vehicle's id, VIN, license plate or nickname; of a removed vehicle its id
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show one service entry
    Show {
        /// The entry's id, or the first 8 or more characters of it
        entry: String,
        #[command(flatten)]
        output: Output,
    },
    /// Change fields of a service entry; an empty value clears a field
    Edit {
        /// The entry's id, or the first 8 or more characters of it
        entry: String,
        #[command(flatten)]
        fields: FieldArgs<OfServiceEntry>,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a service entry; it can be restored
    Remove {
        /// The entry's id, or the first 8 or more characters of it
        entry: String,
        #[command(flatten)]
        output: Output,
    },
    /// Bring a removed service entry back
    Restore {
        /// The entry's id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show the changes of a service entry, newest first
    History {
        /// The entry's id, or the first 8 or more characters of it; of a removed entry its whole id
        entry: String,
        #[command(flatten)]
        output: Output,
    },
    /// Undo a change of a service entry; that is a change too, and can be undone itself
    Undo {
        /// The change's id, as `history` shows it
        #[arg(value_name = "CHANGE")]
        change: String,
        #[command(flatten)]
        output: Output,
    },
}

const ADD_SERVICE_NOTES: &str = "\
Without --date, the date is today. A cost needs a currency.
A reading without a unit is in the vehicle's unit. It becomes the vehicle's odometer reading,
unless an entry of a later date has one.";

impl ServiceCommand {
    pub fn json(&self) -> bool {
        match self {
            ServiceCommand::Add { output, .. }
            | ServiceCommand::List { output, .. }
            | ServiceCommand::Show { output, .. }
            | ServiceCommand::Edit { output, .. }
            | ServiceCommand::Remove { output, .. }
            | ServiceCommand::Restore { output, .. }
            | ServiceCommand::History { output, .. }
            | ServiceCommand::Undo { output, .. } => output.json,
        }
    }
}

/// Parses a year. The message says how to write one that was given with separators.
fn year(text: &str) -> Result<i32, String> {
    text.parse().map_err(|error: std::num::ParseIntError| YEAR.with_hint(error.to_string(), text))
}

fn decodable_year(text: &str) -> Result<i32, String> {
    const YEARS: std::ops::RangeInclusive<i32> = 1886..=2100;
    let year = year(text)?;
    let is_possible = YEARS.contains(&year);
    if is_possible { Ok(year) } else { Err(format!("{year} is not in {}..={}", YEARS.start(), YEARS.end())) }
}

/// Filters and sort order of a list of vehicles.
#[derive(ClapArgs)]
pub struct ListFilters {
    /// What to sort by
    #[arg(long, value_enum, default_value_t)]
    sort: SortBy,
    /// Only of this make
    #[arg(long, value_name = "TEXT")]
    make: Option<String>,
    /// Only of this model year
    #[arg(long, value_name = "YEAR", value_parser = year)]
    year: Option<i32>,
    /// Only of this vehicle type, such as "passenger car"
    #[arg(long = "type", value_name = "TEXT")]
    vehicle_type: Option<String>,
    /// Only those in use (true) or not in use (false)
    #[arg(long, value_name = "BOOLEAN")]
    active: Option<bool>,
    /// List removed vehicles instead
    #[arg(long)]
    removed: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum SortBy {
    /// The last added first
    #[default]
    Newest,
    /// From A to Z
    Name,
    /// From A to Z
    Make,
    /// The latest first
    Year,
    /// The highest first
    Odometer,
    /// The last changed first
    Updated,
}

impl ListFilters {
    /// Builds the query, with these words as its search.
    pub fn query(self, words: &[String]) -> VehicleQuery {
        VehicleQuery {
            search: words.join(" "),
            sort: match self.sort {
                SortBy::Newest => Sort::Newest,
                SortBy::Name => Sort::Name,
                SortBy::Make => Sort::Make,
                SortBy::Year => Sort::Year,
                SortBy::Odometer => Sort::Odometer,
                SortBy::Updated => Sort::Updated,
            },
            make: self.make,
            year: self.year,
            vehicle_type: self.vehicle_type,
            is_active: self.active,
            is_removed: self.removed,
            ..VehicleQuery::default()
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// Everything, to be imported again
    Json,
    /// The vehicles, for a spreadsheet
    Csv,
}

#[derive(ClapArgs)]
pub struct Output {
    /// Answer as JSON
    #[arg(long)]
    pub json: bool,
}
