//! What may be said on the command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use garage_core::{Sort, VehicleDraft, VehicleQuery};
use serde_json::{Map, Value};

/// Your MotoVault garage from a terminal: the same vehicles as in the app, and VINs decoded with no network.
#[derive(Parser)]
#[command(name = "garage", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Args {
    /// The garage's file [default: the app's own]
    #[arg(long, global = true, value_name = "FILE", env = "GARAGE_FILE", hide_env_values = true)]
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
  cut -d, -f1 vins.csv | garage decode --stdin --json

Environment:
  GARAGE_FILE          the garage's file, as --garage
  GARAGE_VPIC_FILE     the vPIC data's file
  GARAGE_VPIC_ANSWERS  the file of vPIC's answers [default: beside the vPIC data]
  GARAGE_VPIC_URL      the address of vPIC's API, or of a mirror of it

Exit codes: 0 done, 1 refused or invalid, 2 wrong usage, 3 damaged file.";

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, for as long as the program runs")]
pub enum Command {
    /// Say what VINs mean, from the vPIC data on this device
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
        wanted: Wanted,
        #[command(flatten)]
        output: Output,
    },
    /// Add, list, show, edit, remove and restore vehicles; see what happened to them, and undo it
    #[command(subcommand)]
    Vehicle(VehicleCommand),
    /// Write the garage to a file: as JSON everything, as CSV the vehicles for a spreadsheet
    Export {
        /// The file to write; - or nothing for standard output
        file: Option<PathBuf>,
        /// CSV instead of JSON
        #[arg(long)]
        csv: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Take in vehicles from JSON: an export, or a list; what is here already stays as it is
    Import {
        /// The file to read; - for standard input
        file: PathBuf,
        /// Only say what would happen
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
    /// Replace the whole garage by a backup; what was there is backed up first
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Check the garage's file and say what is in it and where everything lies
    Doctor {
        /// Move a damaged file aside and save what can be read of it
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Write the completions for a shell to standard output
    Completions { shell: clap_complete::Shell },
    /// Write the manual page to standard output
    Man {
        /// Write a page for every command into this folder instead
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

impl Command {
    /// Whether the answer, and so a failure too, is wanted as JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Decode(args) => args.json,
            Command::Search { output, .. }
            | Command::Export { output, .. }
            | Command::Import { output, .. }
            | Command::Backup { output, .. }
            | Command::Restore { output, .. }
            | Command::Doctor { output, .. } => output.json,
            Command::Completions { .. } | Command::Man { .. } => false,
            Command::Vehicle(command) => command.json(),
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
        /// Only those that had a model in this year
        #[arg(long, value_name = "YEAR")]
        year: Option<i32>,
        #[command(flatten)]
        output: Output,
    },
    /// The models of a make
    Models {
        /// The make's name, such as Honda
        make: String,
        /// Only those of this year
        #[arg(long, value_name = "YEAR")]
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
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1886..=2100))]
    pub year: Option<i32>,
    /// Read VINs from standard input, one a line, and answer each as it comes
    #[arg(long)]
    pub stdin: bool,
    /// Use only the vPIC data that came with MotoVault, not what vPIC has said since
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

/// Vehicles can be named by id, by the beginning of an id (8 characters or more), by VIN, license plate or nickname.
#[derive(Subcommand)]
pub enum VehicleCommand {
    /// Add a vehicle; its VIN fills what you leave out
    Add {
        /// The VIN, with or without spaces and dashes, or a text in which it stands
        #[arg(value_name = "VIN")]
        vin: Option<String>,
        #[command(flatten)]
        fields: FieldArgs,
        #[command(flatten)]
        output: Output,
    },
    /// List the vehicles
    List {
        #[command(flatten)]
        wanted: Wanted,
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
        fields: FieldArgs,
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
    /// Show everything that happened to a vehicle, newest first
    History {
        /// Id, VIN, license plate or nickname; of a removed vehicle its id
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Show what decoding the VIN knows better by now; nothing you typed is touched
    Offers {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take what `offers` shows
    Accept {
        /// Id, VIN, license plate or nickname
        vehicle: String,
        /// Only these fields, by the names that `offers` shows [default: all]
        #[arg(value_name = "FIELD")]
        fields: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Take a change back; that is a change too, and can be taken back itself
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

/// Which vehicles, and in which order.
#[derive(ClapArgs)]
pub struct Wanted {
    /// What to sort by
    #[arg(long, value_enum, default_value_t)]
    sort: SortBy,
    /// Only of this make
    #[arg(long, value_name = "TEXT")]
    make: Option<String>,
    /// Only of this model year
    #[arg(long, value_name = "YEAR")]
    year: Option<i32>,
    /// Only of this vehicle type, such as "passenger car"
    #[arg(long = "type", value_name = "TEXT")]
    vehicle_type: Option<String>,
    /// Only those in use (true) or not in use (false)
    #[arg(long, value_name = "BOOLEAN")]
    active: Option<bool>,
    /// The removed ones instead
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

impl Wanted {
    /// The garage's query, with these words searched for.
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

#[derive(ClapArgs)]
pub struct Output {
    /// Answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// A vehicle's fields, as text: the garage validates, so that messages are the same everywhere.
#[derive(ClapArgs)]
pub struct FieldArgs {
    /// Up to 20 characters
    #[arg(long, visible_alias = "plate", value_name = "TEXT", allow_hyphen_values = true)]
    license_plate: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "What you call it")]
    nickname: Option<String>,
    /// Model year
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    year: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as HONDA")]
    make: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as Accord")]
    model: Option<String>,
    #[arg(long, visible_alias = "trim", value_name = "TEXT", allow_hyphen_values = true, help = "Such as EX-V6")]
    trim_level: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as 3.0L V6")]
    engine: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as Automatic")]
    transmission: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as AWD")]
    drive_type: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as Gasoline")]
    fuel_type: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as Coupe")]
    body_class: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as PASSENGER CAR")]
    vehicle_type: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Such as Blue")]
    color: Option<String>,
    /// 0 to 9999999
    #[arg(long, visible_alias = "odometer", value_name = "NUMBER", allow_hyphen_values = true)]
    odometer_reading: Option<String>,
    /// mi, km or h
    #[arg(long, value_name = "UNIT")]
    odometer_unit: Option<String>,
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help = "Up to 10000 characters, line breaks allowed")]
    notes: Option<String>,
    /// false for a vehicle that is kept but not in use
    #[arg(long, value_name = "BOOLEAN")]
    active: Option<String>,
}

impl FieldArgs {
    /// The fields that were given, and the VIN, as the garage takes them.
    pub fn draft(self, vin: Option<String>) -> VehicleDraft {
        let text = |value: Option<String>| value.map(Value::String);
        // What is no number or boolean stays text, and the garage says which field must be one.
        let literal = |value: Option<String>| {
            value.map(|text| match serde_json::from_str(&text) {
                _ if text.is_empty() => Value::Null,
                Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
                _ => Value::String(text),
            })
        };
        let fields = [
            ("vin", text(vin)),
            ("licensePlate", text(self.license_plate)),
            ("nickname", text(self.nickname)),
            ("year", literal(self.year)),
            ("make", text(self.make)),
            ("model", text(self.model)),
            ("trimLevel", text(self.trim_level)),
            ("engine", text(self.engine)),
            ("transmission", text(self.transmission)),
            ("driveType", text(self.drive_type)),
            ("fuelType", text(self.fuel_type)),
            ("bodyClass", text(self.body_class)),
            ("vehicleType", text(self.vehicle_type)),
            ("color", text(self.color)),
            ("odometerReading", literal(self.odometer_reading)),
            ("odometerUnit", text(self.odometer_unit)),
            ("notes", text(self.notes)),
            ("isActive", literal(self.active)),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
        VehicleDraft(given.collect::<Map<_, _>>())
    }
}
