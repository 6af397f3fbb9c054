//! `garage decode`.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use garage_core::{
    ChangeListener, Decode, Detail, Environment, Garage, GarageError, VinQuery,
    decoding::{DecodedText, Snapshot, default_packed_paths, default_snapshot_path, pinned, vpic::LARGEST_BATCH},
};

use crate::{
    args::DecodeArgs,
    failure::Failure,
    garage::{config, config_with_vpic},
    progress::Bar,
    table,
};

/// Bytes of a line that are read. A longer line is no VIN, and must not fill memory.
const LONGEST_LINE_BYTES: u64 = 64 * 1024;
/// Size of the read buffer.
const INPUT_BUFFER_BYTES: usize = 64 * 1024;

pub async fn run(garage_file: Option<PathBuf>, args: DecodeArgs) -> Result<ExitCode, Failure> {
    let knowledge = match garage_with_answers(garage_file, &args).await? {
        Some(garage) => Knowledge::Garage(Box::new(garage)),
        None => {
            let path = default_snapshot_path().map_err(GarageError::from)?;
            Knowledge::Snapshot(Box::new(
                Snapshot::open_or_unpack(&path, &default_packed_paths()).map_err(GarageError::from)?,
            ))
        }
    };
    let mut decoder = Decoder { knowledge, environment: Environment::system(), args, exit_code: ExitCode::SUCCESS };
    let decoded = decoder.answer_all().await;
    if let Knowledge::Garage(garage) = decoder.knowledge {
        garage.close().await;
    }
    decoded?;
    Ok(decoder.exit_code)
}

/// The source of decodes.
enum Knowledge {
    /// The snapshot alone.
    Snapshot(Box<Snapshot>),
    /// The snapshot, and stored answers from vPIC.
    Garage(Box<Garage>),
}

/// Opens the garage with the stored answers from vPIC; `None` with `--offline`, or if there is no garage.
async fn garage_with_answers(garage_file: Option<PathBuf>, args: &DecodeArgs) -> Result<Option<Garage>, Failure> {
    if args.refresh {
        return Ok(Some(Garage::open(config_with_vpic(garage_file)?, ChangeListener::none()).await?));
    }
    let config = config(garage_file)?;
    if args.offline || !config.garage_file.exists() {
        return Ok(None);
    }
    match Garage::open(config, ChangeListener::none()).await {
        Ok(garage) => Ok(Some(garage)),
        // A garage that cannot be opened must not stop a decode: the snapshot is enough.
        Err(error) => {
            eprintln!("warning: not using what vPIC has said: {error}");
            Ok(None)
        }
    }
}

struct Decoder {
    args: DecodeArgs,
    knowledge: Knowledge,
    environment: Environment,
    exit_code: ExitCode,
}

impl Decoder {
    async fn answer_all(&mut self) -> Result<(), Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        let vins = std::mem::take(&mut self.args.vins);
        self.refresh(&vins).await;
        for vin_text in &vins {
            self.answer(vin_text, &mut out).await?;
        }
        if self.args.stdin {
            let mut input = BufReader::with_capacity(INPUT_BUFFER_BYTES, io::stdin());
            let mut line = Vec::new();
            // vPIC takes many VINs in a request. Without it, each line is answered at once.
            let batch_length = if self.args.refresh { LARGEST_BATCH } else { 1 };
            let mut batch: Vec<String> = Vec::with_capacity(batch_length);
            loop {
                let is_line = read_line(&mut input, &mut line)?;
                if is_line {
                    batch.push(String::from_utf8_lossy(&line).into_owned());
                }
                let is_waiting = input.buffer().is_empty();
                if batch.len() == batch_length || !is_line || is_waiting {
                    self.refresh(&batch).await;
                    for vin_text in batch.drain(..) {
                        self.answer(&vin_text, &mut out).await?;
                    }
                }
                // Flush before blocking on input: a program at the other end of a pipe may wait for the answer.
                if is_waiting {
                    out.flush()?;
                }
                if !is_line {
                    break;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Asks vPIC about these VINs with `--refresh`. Without an answer, the snapshot's decode is used.
    async fn refresh(&mut self, vins: &[String]) {
        let (Knowledge::Garage(garage), true) = (&self.knowledge, self.args.refresh) else { return };
        let queries = vins.iter().filter_map(|vin_text| Some((VinQuery::parse(vin_text).ok()?, self.args.year)));
        let (_bar, progress) = Bar::new("Asking vPIC");
        if let Err(error) = garage.ask_vpic(&queries.collect::<Vec<_>>(), progress).await {
            eprintln!("warning: {error}");
            self.exit_code = ExitCode::FAILURE;
        }
    }

    async fn answer(&mut self, vin_text: &str, out: &mut impl Write) -> Result<(), Failure> {
        let detail = if self.args.full { Detail::Full } else { Detail::Fields };
        let query = VinQuery::parse(vin_text);
        let decode = match (&query, &self.knowledge) {
            (Ok(_), Knowledge::Garage(garage)) => garage.decode_vin(vin_text, self.args.year, detail).await?,
            (Ok(query), Knowledge::Snapshot(snapshot)) => {
                snapshot.decode(vin_text, query, self.args.year, detail, self.environment.now())
            }
            (Err(error), _) => {
                self.exit_code = ExitCode::FAILURE;
                Decode::refused(vin_text, *error)
            }
        };
        if self.args.json {
            serde_json::to_writer(&mut *out, &decode).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            describe(&decode, out)?;
        }
        Ok(())
    }
}

fn describe(decode: &Decode<'_>, out: &mut impl Write) -> io::Result<()> {
    let fields = &decode.fields;
    let text = |field: &Option<DecodedText<'_>>| field.as_ref().map(|it| it.value.to_string());
    if let Some(error) = &decode.error {
        return table::write_pairs(out, &[(decode.input.trim(), Some(error.clone()))]);
    }
    writeln!(out, "{}", table::printable(decode.vin.as_deref().unwrap_or(decode.input.trim())))?;
    let check_digit = decode.check_digit.as_ref().map(|check_digit| match check_digit.valid {
        true => format!("{}, correct", check_digit.expected),
        false => format!("wrong; if the rest is right, position 9 is {}", check_digit.expected),
    });
    let years = decode.years.iter().map(i32::to_string).collect::<Vec<_>>().join(" or ");
    let possible = decode.possible.iter().map(|it| format!("position {}: {}", it.position, it.characters));
    let possible = possible.collect::<Vec<_>>().join("; ");
    let problems = decode.errors.iter().filter(|error| error.code != 0).map(|error| error.message.as_ref());
    let problems = problems.collect::<Vec<_>>().join("\n");
    let refined = if decode.fields.is_refined() { ", and what vPIC has said since" } else { "" };
    let source = format!("vPIC {}, on this device{refined}", pinned::MONTH);
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
            ("Source", Some(source)),
        ],
    )?;
    let mut group = "";
    for fact in decode.facts.iter().flatten() {
        if fact.group != group {
            group = &fact.group;
            writeln!(out, "  {}", table::printable(group))?;
        }
        writeln!(out, "    {}: {}", table::printable(&fact.name), table::printable(&fact.value))?;
    }
    Ok(())
}

/// Reads one line without its line break into `line`, at most [`LONGEST_LINE_BYTES`] of it, and skips the rest. Returns
/// false at the end of the input.
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
