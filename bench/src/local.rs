//! The core without a server: decoding, writes, imports, pages and searches.

use std::{
    hint::black_box,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use garage_core::{
    ChangeListener, Detail, Environment, Garage, GarageConfig, ImportMode, PageEnd, Program, Progress, SessionConfig,
    Sort, VehicleDraft, VehicleQuery, VinQuery,
    decoding::{Snapshot, default_snapshot_path},
};
use serde_json::json;

use crate::measure::{ROUNDS, best_of, milliseconds, percent, percentile, row};

const VINS: usize = 20_000;
const VEHICLES: usize = 100_000;
const WRITES: usize = 200;

/// Measures the core, and the CLI at this path.
pub async fn run(cli: &Path) -> anyhow::Result<()> {
    println!("| what | measured | target | |\n| --- | --- | --- | --- |");
    decoding(cli)?;
    writing().await?;
    importing().await?;
    reading().await
}

fn decoding(cli: &Path) -> anyhow::Result<()> {
    let path = default_snapshot_path()?;
    let bare = ultravin::Db::open(&path).map_err(anyhow::Error::msg)?;
    let ours = Snapshot::open(&path)?;
    let now = Environment::system().now();
    let vins = vins_of_all_makers(&bare, VINS)?;
    let input = vins.join("\n");

    let through_cli = |full: bool| -> anyhow::Result<()> {
        let mut command = Command::new(cli);
        command.args(["decode", "--stdin", "--offline", "--json"]).args(full.then_some("--full"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("an input")?.write_all(input.as_bytes())?;
        ensure!(child.wait()?.success(), "the CLI failed");
        Ok(())
    };
    let decode_bare = |db: &ultravin::Db| {
        for vin in &vins {
            black_box(db.decode_at(vin, None, now.as_microsecond()));
        }
    };
    let [of_library, of_core, of_process, of_cli, of_full_cli] = best_of([
        &mut || {
            decode_bare(&bare);
            Ok(())
        },
        &mut || {
            for vin in &vins {
                let query = VinQuery::parse(vin)?;
                black_box(ours.decode(vin, &query, None, Detail::Fields, now));
            }
            Ok(())
        },
        // The CLI is a process that also opens the data, so the library's time includes that as well.
        &mut || {
            let db = ultravin::Db::open(&path).map_err(anyhow::Error::msg)?;
            decode_bare(&db);
            Ok(())
        },
        &mut || through_cli(false),
        &mut || through_cli(true),
    ])?;
    let rate = |duration: Duration| VINS as f64 / duration.as_secs_f64();
    let share = percent(of_library, of_core);
    let library = format!("{share:.0} % of the library's {:.0} VINs/s", rate(of_library));
    row("decode, one thread, 20 000 different VINs", &library, "≥ 90 %", share >= 90.0);
    let share = percent(of_process, of_cli);
    row("`garage decode --stdin --offline --json`", &format!("{share:.0} %"), "≥ 70 %", share >= 70.0);
    let share = percent(of_process, of_full_cli);
    row("the same with `--full`", &format!("{share:.0} %"), "≥ 25 %", share >= 25.0);
    Ok(())
}

async fn open(file: &Path) -> anyhow::Result<Garage> {
    let config = GarageConfig {
        garage_file: file.to_owned(),
        snapshot_file: default_snapshot_path()?,
        packed_snapshots: Vec::new(),
        vpic_answers_file: file.with_file_name("vpic-answers.db"),
        vpic_url: None,
        environment: Environment::system(),
        program: Program::App,
        session: SessionConfig::default(),
    };
    Ok(Garage::open(config, ChangeListener::none()).await?)
}

fn draft(value: serde_json::Value) -> anyhow::Result<VehicleDraft> {
    Ok(serde_json::from_value(value)?)
}

/// Compares add and edit with the same bare SQL statements, with the same pragmas and triggers.
async fn writing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let file = folder.path().join("garage.db");
    let garage = open(&file).await?;
    let template = garage.add_vehicle(&draft(json!({"nickname": "template", "notes": "n".repeat(200)}))?).await?;
    let mut bare = rusqlite::Connection::open(&file)?;
    bare.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    garage_core::register_sql_functions(&bare)?;

    let (mut of_core, mut of_bare) = (Duration::MAX, Duration::MAX);
    let mut number = 0_i64;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..WRITES / 2 {
            number += 1;
            let added = json!({"nickname": format!("car {number}"), "notes": "n".repeat(200)});
            let vehicle = garage.add_vehicle(&draft(added)?).await?;
            garage.edit_vehicle(vehicle.id, &draft(json!({"odometerReading": number}))?).await?;
        }
        of_core = started.elapsed().min(of_core);

        let started = Instant::now();
        for _ in 0..WRITES / 2 {
            number += 1;
            for is_edit in [false, true] {
                let transaction = bare.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                bare_write(&transaction, &template.id.to_string(), number, is_edit)?;
                transaction.commit()?;
            }
        }
        of_bare = started.elapsed().min(of_bare);
    }
    let ratio = of_core.as_secs_f64() / of_bare.as_secs_f64();
    let each = of_core.as_secs_f64() * 1000.0 / WRITES as f64;
    let measured = format!("{ratio:.2} × bare ({each:.2} ms each)");
    row("durable add or edit, with history and search index", &measured, "≤ 1.3 ×", ratio <= 1.3);
    Ok(())
}

fn bare_write(
    transaction: &rusqlite::Transaction<'_>,
    template: &str,
    number: i64,
    is_edit: bool,
) -> anyhow::Result<()> {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let fields = r#"[{"field":"nickname","old":null,"new":"car","origin":{"by":"typed"},"old_origin":{"by":"typed"}}]"#;
    if is_edit {
        let row = "SELECT * FROM vehicles WHERE id = ?1";
        transaction.prepare_cached(row)?.query_row([&id], |row| row.get::<_, String>("nickname"))?;
        transaction
            .prepare_cached("UPDATE vehicles SET odometer_reading = ?2, updated_at_us = ?2 WHERE id = ?1")?
            .execute(rusqlite::params![id, number])?;
    } else {
        transaction
            .prepare_cached(
                "INSERT INTO vehicles
                     (position, id, nickname, odometer_unit, notes, is_active, origins, created_at_us, updated_at_us)
                 SELECT (SELECT max(position) + 1 FROM vehicles), ?1, ?2, odometer_unit, notes, is_active, origins,
                     created_at_us, updated_at_us
                 FROM vehicles WHERE id = ?3",
            )?
            .execute(rusqlite::params![id, format!("car {number}"), template])?;
    }
    let device: String = transaction.prepare_cached("SELECT device_id FROM device")?.query_row([], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO history (id, collection, record_id, kind, fields, undoes, at_us, device_id, program)
             VALUES (?1, 'vehicles', ?2, 'edited', ?3, NULL, ?4, ?5, 'app')",
        )?
        .execute(rusqlite::params![format!("{id}-{is_edit}"), id, fields, number, device])?;
    transaction
        .prepare_cached("INSERT OR IGNORE INTO waiting (collection, record_id) VALUES ('vehicles', ?1)")?
        .execute([&id])?;
    Ok(())
}

const IMPORTED: usize = 15_000;

/// Measures edits by another program during an import, and the import itself.
async fn importing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let file = folder.path().join("garage.db");
    let garage = open(&file).await?;
    let id = garage.add_vehicle(&draft(json!({"nickname": "edited meanwhile"}))?).await?.id;
    let vehicles: Vec<_> =
        (0..IMPORTED).map(|index| json!({"nickname": format!("car {index}"), "notes": "n".repeat(200)})).collect();
    let text = serde_json::to_string(&vehicles)?;
    let other_file = file.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let editing = std::thread::spawn(move || -> anyhow::Result<Duration> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let other = open(&other_file).await?;
            let mut longest = Duration::ZERO;
            for number in 0.. {
                let edit = draft(json!({"odometerReading": number}))?;
                let started = Instant::now();
                other.edit_vehicle(id, &edit).await?;
                longest = longest.max(started.elapsed());
                if stopped.recv_timeout(Duration::from_millis(5)) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
            Ok(longest)
        })
    });
    let started = Instant::now();
    let report = garage.import_json(&text, ImportMode::Write, Progress::none()).await?;
    let took = started.elapsed();
    drop(stop);
    let longest = editing.join().map_err(|_| anyhow::anyhow!("the editing thread panicked"))??;
    ensure!(report.added as usize == IMPORTED, "everything came in");
    let reach = Duration::from_millis(100);
    let measured = format!("{} (import: {:.1} s)", milliseconds(longest), took.as_secs_f64());
    row("another program's edit while 15 000 are imported, longest", &measured, "≤ 100 ms", longest <= reach);

    let mut exported = Vec::new();
    let started = Instant::now();
    garage.write_export(garage_core::ExportFormat::Json, &mut exported, Progress::none()).await?;
    let rate = IMPORTED as f64 / started.elapsed().as_secs_f64();
    let measured = format!("{rate:.0} vehicles/s, {} MB", exported.len() / 1_000_000);
    row("export of these, with history, as JSON", &measured, "≥ 20 000 a second", rate >= 20_000.0);
    Ok(())
}

/// Measures pages, searches and memory with 100 000 vehicles.
async fn reading() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(".")?;
    let file = folder.path().join("garage.db");
    let garage = open(&file).await?;
    garage.import_json(&large_garage()?, ImportMode::Write, Progress::none()).await?;
    // The first write of a day starts a backup; closing waits for it.
    garage.close().await;
    let garage = open(&file).await?;

    let mut pages = Vec::new();
    for sort in [Sort::Newest, Sort::Name, Sort::Make, Sort::Year, Sort::Odometer, Sort::Updated] {
        let mut after: Option<PageEnd> = None;
        for _ in 0..200 {
            let query = VehicleQuery { sort, after: after.take(), limit: 50, ..VehicleQuery::default() };
            let started = Instant::now();
            let page = garage.list_vehicles(query).await?;
            pages.push(started.elapsed());
            ensure!(page.vehicles.len() == 50, "a whole page");
            after = page.next;
        }
    }
    let p99 = percentile(&mut pages, 99);
    row("page of 50 of 100 000, p99 of every order", &milliseconds(p99), "≤ 0.5 ms", p99 <= Duration::from_micros(500));

    let mut choices = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        black_box(garage.filter_choices().await?);
        choices.push(started.elapsed());
    }
    let slowest = percentile(&mut choices, 99);
    let reach = Duration::from_millis(5);
    row("what 100 000 can be filtered by", &milliseconds(slowest), "≤ 5 ms", slowest <= reach);

    let mut searches = Vec::new();
    for typed in
        ["honda accord 2003", "004352", "toyota", "blue ford", "zzz", "caf", "1hgcm", "plate 99", "a", "e", "1"]
    {
        for end in (1..=typed.len()).filter(|end| typed.is_char_boundary(*end)) {
            for _ in 0..5 {
                let query = VehicleQuery { search: typed[..end].to_owned(), ..VehicleQuery::default() };
                let started = Instant::now();
                black_box(garage.list_vehicles(query).await?);
                searches.push(started.elapsed());
            }
        }
    }
    let p99 = percentile(&mut searches, 99);
    let reach = Duration::from_millis(4);
    row("search of 100 000 as one types, newest first, p99", &milliseconds(p99), "≤ 4 ms", p99 <= reach);
    garage.close().await;

    let output = Command::new(std::env::current_exe()?).arg("--memory").arg(&file).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kilobytes: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    let measured = format!("{:.0} MB", kilobytes as f64 / 1024.0);
    row("private memory, 100 000 vehicles, snapshot open and used", &measured, "≤ 64 MB", kilobytes <= 64 * 1024);
    Ok(())
}

/// Generates different VINs with the library, from manufacturers' patterns with several serial numbers each.
fn vins_of_all_makers(db: &ultravin::Db, count: usize) -> anyhow::Result<Vec<String>> {
    let mut patterns = ultravin::seeded(db, 2026, count * 2);
    patterns.retain(|vin| vin.len() == 17 && vin.is_ascii());
    ensure!(!patterns.is_empty(), "the library made no VINs");
    let mut vins: Vec<String> = patterns.iter().take(count).cloned().collect();
    for serial in 0.. {
        if vins.len() >= count {
            break;
        }
        let missing = count - vins.len();
        vins.extend(patterns.iter().take(missing).map(|vin| format!("{}{serial:04}", &vin[..13])));
    }
    vins.sort();
    vins.dedup();
    ensure!(vins.len() * 10 >= count * 9, "only {} of {count} VINs are different", vins.len());
    for extra in 0..count.saturating_sub(vins.len()) {
        vins.push(format!("1HGCM8263{}A{extra:06}", extra % 10));
    }
    Ok(vins)
}

fn large_garage() -> anyhow::Result<String> {
    const MAKES: [&str; 6] = ["HONDA", "TOYOTA", "FORD", "CITROËN", "Land Rover", "TESLA"];
    const COLORS: [&str; 5] = ["Blue", "red", "Black", "white", "café au lait"];
    let db = ultravin::Db::open(&default_snapshot_path()?).map_err(anyhow::Error::msg)?;
    let vins = vins_of_all_makers(&db, VEHICLES)?;
    let vehicles = (0..VEHICLES).map(|index| {
        json!({
            "vin": &vins[index],
            "licensePlate": format!("{}{:02} {index}", char::from(b'A' + (index % 26) as u8), index % 97),
            "nickname": (index % 7 == 0).then(|| format!("car {index}")),
            "make": MAKES[index % MAKES.len()], "model": format!("Model {}", index % 300), "year": 1970 + index % 55,
            "trimLevel": "EX-V6", "engine": "3.0L V6", "fuelType": "Gasoline", "bodyClass": "Sedan/Saloon",
            "vehicleType": "PASSENGER CAR", "color": COLORS[index % COLORS.len()], "odometerReading": index * 3,
        })
    });
    Ok(serde_json::to_string(&vehicles.collect::<Vec<_>>())?)
}

/// Uses a garage as an app does, then prints the process's private memory. This excludes the mapped data, which the
/// system can drop and read again.
pub async fn use_everything(file: &Path) -> anyhow::Result<()> {
    let garage = open(file).await?;
    for sort in [Sort::Newest, Sort::Name, Sort::Year] {
        black_box(garage.list_vehicles(VehicleQuery { sort, ..VehicleQuery::default() }).await?);
    }
    for search in ["h", "honda", "004352"] {
        black_box(garage.list_vehicles(VehicleQuery { search: search.to_owned(), ..VehicleQuery::default() }).await?);
    }
    for vin in ["1HGCM82633A004352", "1FTMW1T88MFA00001", "5YJSA1E26MF123456", "1UYVS2535CU123456"] {
        black_box(garage.decode_vin(vin, None, Detail::Full).await?);
    }
    let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").context("private memory is measured on Linux")?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).context("Private_Dirty")?;
    println!("{}", line.trim().trim_end_matches(" kB"));
    Ok(())
}
