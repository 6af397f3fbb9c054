//! The fields of a collection as options, as drafts and as lines of text. All of it follows from the declaration.

use std::marker::PhantomData;

use clap::{Arg, ArgMatches, Command, Error, FromArgMatches};
use garage_core::{
    Field, FieldValue, GarageError, SERVICE_ENTRIES, VEHICLES,
    domain::{Collection, ColumnKind, DefaultValue, Json, Rule},
};
use serde_json::{Map, Value};

/// Short names of options, by field name.
const ALIASES: [(&str, &str); 4] =
    [("licensePlate", "plate"), ("trimLevel", "trim"), ("odometerReading", "odometer"), ("isActive", "active")];

/// Fields that are listed first, in this order; the others follow in the declaration's order.
const FIRST: [&str; 20] = [
    "date",
    "kind",
    "description",
    "vendor",
    "vin",
    "licensePlate",
    "nickname",
    "year",
    "make",
    "model",
    "trimLevel",
    "engine",
    "transmission",
    "driveType",
    "fuelType",
    "bodyClass",
    "vehicleType",
    "color",
    "odometerReading",
    "odometerUnit",
];

/// A number and its unit, which are shown in one line.
const WITH_UNIT: [(&str, &str); 2] = [("odometerReading", "odometerUnit"), ("cost", "currency")];

/// A collection whose fields are options of a command.
pub trait Options {
    const COLLECTION: &'static Collection;
    /// The field that an argument of the command sets, and no option.
    const ARGUMENT: &'static str;
}

pub struct OfVehicle;

impl Options for OfVehicle {
    const COLLECTION: &'static Collection = &VEHICLES;
    const ARGUMENT: &'static str = "vin";
}

pub struct OfServiceEntry;

impl Options for OfServiceEntry {
    const COLLECTION: &'static Collection = &SERVICE_ENTRIES;
    const ARGUMENT: &'static str = "vehicleId";
}

/// The fields that were given as options, as JSON. The core validates them, so that messages are the same everywhere.
pub struct FieldArgs<C> {
    given: Map<String, Value>,
    collection: PhantomData<C>,
}

impl<C: Options> FieldArgs<C> {
    /// The fields that were given.
    pub fn into_map(self) -> Map<String, Value> {
        self.given
    }

    fn options() -> impl Iterator<Item = &'static Field> {
        in_order(C::COLLECTION).into_iter().filter(|field| field.name != C::ARGUMENT)
    }
}

impl<C: Options> clap::Args for FieldArgs<C> {
    fn augment_args(command: Command) -> Command {
        command.args(FieldArgs::<C>::options().map(|field| {
            let alias = ALIASES.into_iter().find(|(name, _)| *name == field.name).map(|(_, alias)| alias);
            let argument = Arg::new(field.name).long(field.column.replace('_', "-")).help(field.help);
            let argument = argument.value_name(value_name(&field.rule)).allow_hyphen_values(true);
            argument.visible_aliases(alias)
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        FieldArgs::<C>::augment_args(command)
    }
}

impl<C: Options> FromArgMatches for FieldArgs<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<FieldArgs<C>, Error> {
        let given = FieldArgs::<C>::options().filter_map(|field| {
            let text = matches.get_one::<String>(field.name)?;
            Some((field.name.to_owned(), raw(field, text)))
        });
        Ok(FieldArgs { given: given.collect(), collection: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = FieldArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The fields of a collection in the order in which help and `show` list them.
fn in_order(collection: &'static Collection) -> Vec<&'static Field> {
    let mut fields = collection.fields.to_vec();
    let place = |field: &&Field| FIRST.iter().position(|name| *name == field.name).unwrap_or(FIRST.len());
    fields.sort_by_key(place);
    // Notes can be long.
    fields.sort_by_key(|field| matches!(field.rule, Rule::Text { line_breaks: true, .. }));
    fields
}

fn value_name(rule: &Rule) -> &'static str {
    match rule {
        Rule::Vin => "VIN",
        Rule::Text { .. } => "TEXT",
        Rule::Year | Rule::Integer { .. } => "NUMBER",
        Rule::Choice(_) => "CHOICE",
        Rule::Boolean => "BOOLEAN",
        Rule::Date => "DATE",
        Rule::Amount => "AMOUNT",
        Rule::Currency => "CODE",
        Rule::Reference { .. } => "ID",
    }
}

/// The JSON of an option's value. An empty value clears the field, except a choice that is never empty: its default
/// would silently change the unit of a reading, so the core refuses the empty text. Text that is no integer or boolean
/// stays text, and the core's message says what the field must be: parsed as JSON, 50.000 would be 50.
fn raw(field: &Field, text: &str) -> Value {
    let is_required_choice = matches!(field.rule, Rule::Choice(_)) && field.default.is_some();
    if text.is_empty() && !is_required_choice {
        return Value::Null;
    }
    let parsed = match field.rule.column_kind() {
        ColumnKind::Integer if is_integer(text) => serde_json::from_str(text).ok(),
        ColumnKind::Boolean => text.parse().ok().map(Value::Bool),
        ColumnKind::Integer | ColumnKind::Text => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Adds to the message of each field that was given a number with separators how to write it.
pub fn with_hints(error: GarageError, collection: &'static Collection, draft: &Map<String, Value>) -> GarageError {
    match error {
        GarageError::Invalid(invalid) => GarageError::Invalid(invalid.with_hints(collection, draft)),
        error => error,
    }
}

/// What `show` prints of a record's fields: labels with values, in order, then values of fields that this version does
/// not know. `value` reads a field; a value in `extra` wins over it.
pub fn lines(
    collection: &'static Collection,
    value: impl Fn(&Field) -> Option<FieldValue>,
    extra: &std::collections::BTreeMap<String, Json>,
) -> Vec<(String, Option<String>)> {
    let value = |field: &Field| match extra.get(field.name) {
        Some(json) => FieldValue::of_json(json.clone()),
        None => value(field),
    };
    let named = |name: &str| collection.field(name).and_then(value);
    let known = in_order(collection).into_iter().filter(|field| !matches!(field.rule, Rule::Reference { .. }));
    let known = known.map(|field| {
        let has_number = WITH_UNIT.iter().any(|(number, unit)| *unit == field.name && named(number).is_some());
        let unit = WITH_UNIT.iter().find(|(number, _)| *number == field.name).and_then(|(_, unit)| named(unit));
        let is_default_unit =
            WITH_UNIT.iter().any(|(_, unit)| *unit == field.name) && value(field) == field.default_value();
        let text = match (value(field), unit) {
            _ if has_number || is_default_unit => None,
            (Some(FieldValue::Boolean(flag)), _) => {
                let is_usual = field.default == Some(DefaultValue::Boolean(flag));
                (!is_usual).then(|| if flag { "yes".to_owned() } else { "no".to_owned() })
            }
            (Some(value), Some(unit)) => Some(format!("{value} {unit}")),
            (value, _) => value.map(|value| value.to_string()),
        };
        (field.label.to_owned(), text)
    });
    let unknown = extra.iter().filter(|(name, _)| collection.field(name).is_none());
    let unknown =
        unknown.map(|(name, json)| (name.clone(), FieldValue::of_json(json.clone()).map(|it| it.to_string())));
    known.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use garage_core::domain::COLLECTIONS;

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_declared_field_is_an_option() {
        let root = Args::command();
        root.clone().debug_assert();
        let commands = [("vehicle", &VEHICLES), ("service", &SERVICE_ENTRIES)];
        assert_eq!(commands.map(|(_, collection)| collection.name), COLLECTIONS.map(|collection| collection.name));
        for (name, collection) in commands {
            let group = root.find_subcommand(name).expect("a command");
            for verb in ["add", "edit"] {
                let command = group.find_subcommand(verb).expect("a command");
                let longs: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
                let fields = collection.fields.iter().filter(|it| !["vin", "vehicleId"].contains(&it.name));
                for field in fields {
                    assert!(longs.contains(&field.column.replace('_', "-").as_str()), "{name} {verb}: {field:?}");
                }
            }
        }
        for (name, _) in ALIASES {
            assert!(VEHICLES.field(name).is_some(), "{name}");
        }
        for name in FIRST {
            assert!(COLLECTIONS.iter().any(|collection| collection.field(name).is_some()), "{name}");
        }
    }

    #[test]
    fn a_value_of_another_version_wins_over_the_column() {
        let json = |text: &str| Json::parse(text).expect("JSON");
        let extra = [("year", "\"MMXX\""), ("wheels", "[4,  2.50]")].map(|(name, text)| (name.to_owned(), json(text)));
        let stored = |field: &Field| match field.name {
            "odometerReading" => Some(FieldValue::Integer(7)),
            "isActive" => Some(FieldValue::Boolean(false)),
            _ => field.default_value(),
        };
        let lines = lines(&VEHICLES, stored, &extra.into());
        let lines: Vec<_> = lines.iter().filter_map(|(label, text)| Some((label.as_str(), text.as_deref()?))).collect();
        let expected = [("Year", "MMXX"), ("Odometer", "7 mi"), ("In use", "no"), ("wheels", "[4,  2.50]")];
        assert_eq!(lines, expected);
    }
}
