//! `garage decode`.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    process::ExitCode,
};

use garage_core::{
    Decode, Detail, Environment, GarageError, VinQuery,
    decoding::{Snapshot, default_packed_paths, default_snapshot_path},
};

use crate::{args::DecodeArgs, failure::Failure, table};

/// The longest line that is read; what is longer is no VIN, and hostile input must not fill the memory.
const LONGEST_LINE_BYTES: u64 = 64 * 1024;
/// How much is read at a time.
const INPUT_BUFFER_BYTES: usize = 64 * 1024;

pub fn run(args: &DecodeArgs) -> Result<ExitCode, Failure> {
    let path = default_snapshot_path().map_err(GarageError::from)?;
    let snapshot = Snapshot::open_or_unpack(&path, &default_packed_paths()).map_err(GarageError::from)?;
    let mut decoder = Decoder { args, snapshot, environment: Environment::system(), all_were_vins: true };
    let mut out = BufWriter::new(io::stdout().lock());
    for vin_text in &args.vins {
        decoder.answer(vin_text, &mut out)?;
    }
    if args.stdin {
        let mut input = BufReader::with_capacity(INPUT_BUFFER_BYTES, io::stdin());
        let mut line = Vec::new();
        while read_line(&mut input, &mut line)? {
            decoder.answer(&String::from_utf8_lossy(&line), &mut out)?;
            // Whoever types, or waits at the other end of a pipe, gets the answers before more is asked.
            if input.buffer().is_empty() {
                out.flush()?;
            }
        }
    }
    out.flush()?;
    Ok(if decoder.all_were_vins { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Decoder<'a> {
    args: &'a DecodeArgs,
    snapshot: Snapshot,
    environment: Environment,
    all_were_vins: bool,
}

impl Decoder<'_> {
    fn answer(&mut self, vin_text: &str, out: &mut impl Write) -> io::Result<()> {
        let detail = if self.args.full { Detail::Full } else { Detail::Fields };
        let decode = match VinQuery::parse(vin_text) {
            Ok(query) => self.snapshot.decode(vin_text, &query, self.args.year, detail, self.environment.now()),
            Err(error) => {
                self.all_were_vins = false;
                Decode::refused(vin_text, error)
            }
        };
        if self.args.json {
            serde_json::to_writer(&mut *out, &decode)?;
            out.write_all(b"\n")
        } else {
            describe(&decode, self.snapshot.month(), out)
        }
    }
}

fn describe(decode: &Decode, month: &str, out: &mut impl Write) -> io::Result<()> {
    let fields = &decode.fields;
    let text = |field: &Option<garage_core::decoding::DecodedValue<String>>| field.as_ref().map(|it| it.value.clone());
    if let Some(error) = &decode.error {
        return table::write_pairs(out, &[(decode.input.trim(), Some(error.clone()))]);
    }
    writeln!(out, "{}", decode.vin.as_deref().unwrap_or(decode.input.trim()))?;
    let check_digit = decode.check_digit.as_ref().map(|check_digit| match check_digit.valid {
        true => format!("{}, correct", check_digit.expected),
        false => format!("wrong; if the rest is right, position 9 is {}", check_digit.expected),
    });
    let years = decode.years.iter().map(i32::to_string).collect::<Vec<_>>().join(" or ");
    let possible = decode.possible.iter().map(|it| format!("position {}: {}", it.position, it.characters));
    let possible = possible.collect::<Vec<_>>().join("; ");
    let problems = decode.errors.iter().filter(|error| error.code != 0).map(|error| error.message.as_str());
    let problems = problems.collect::<Vec<_>>().join("\n");
    let some = |text: String| (!text.is_empty()).then_some(text);
    table::write_pairs(
        out,
        &[
            ("Year", some(years)),
            ("Make", text(&fields.make)),
            ("Model", text(&fields.model)),
            ("Trim", text(&fields.trim_level)),
            ("Engine", text(&fields.engine)),
            ("Transmission", text(&fields.transmission)),
            ("Drive", text(&fields.drive_type)),
            ("Fuel", text(&fields.fuel_type)),
            ("Body", text(&fields.body_class)),
            ("Type", text(&fields.vehicle_type)),
            ("Check digit", check_digit),
            ("Would fit", some(possible)),
            ("Suggested VIN", decode.suggested_vin.clone()),
            ("vPIC says", some(problems)),
            ("Source", Some(format!("vPIC {month}, on this device"))),
        ],
    )?;
    let mut group = "";
    for fact in decode.facts.iter().flatten() {
        if fact.group != group {
            group = &fact.group;
            writeln!(out, "  {group}")?;
        }
        writeln!(out, "    {}: {}", fact.name, fact.value)?;
    }
    Ok(())
}

/// Reads one line without its end into `line`; false at the end of the input. What goes beyond the longest line is
/// dropped.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if io::Read::take(&mut *input, LONGEST_LINE_BYTES).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    } else if line.len() as u64 == LONGEST_LINE_BYTES {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}
