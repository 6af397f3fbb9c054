//! `garage` as a process: what it prints, and how it exits.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

const ACCORD: &str = "1HGCM82633A004352";
const DAMAGED: &str = "error: The garage's file is damaged or is not a garage. To save what can be read of it: \
                       garage doctor --repair\n";

const OIL_CHANGE: [&str; 12] = [
    "--date",
    "2026-03-14",
    "--kind",
    "service",
    "--cost",
    "129.90",
    "--currency",
    "EUR",
    "--odometer-reading",
    "51000",
    "--description",
    "Oil and filter",
];

/// The program with a garage of its own.
struct Cli(tempfile::TempDir);

impl Cli {
    fn new() -> Cli {
        Cli(tempfile::tempdir().expect("a folder"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_garage"));
        command.args(arguments).env("GARAGE_FILE", self.0.path().join("garage.db")).stdin(Stdio::null());
        // Nobody listens there: no test asks the real vPIC.
        command.env("GARAGE_VPIC_URL", "http://127.0.0.1:9");
        command.env("GARAGE_VPIC_ANSWERS", self.0.path().join("vpic-answers.db"));
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        read(&self.command(arguments).output().expect("it runs"))
    }

    fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("an input");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("no panic").expect("all is read");
        read(&output)
    }

    /// Runs something that must succeed and gives what it printed.
    fn ok(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(arguments)).expect("JSON")
    }
}

fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).expect("UTF-8");
    (output.status.code().expect("it was not killed"), text(&output.stdout), text(&output.stderr))
}

#[test]
fn decodes_offline_as_the_contract_shows() {
    let cli = Cli::new();
    let line = cli.ok(&["decode", ACCORD, "--offline", "--json"]);
    assert_eq!(line.matches('\n').count(), 1, "one line");
    insta::assert_json_snapshot!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"));
    insta::assert_snapshot!(cli.ok(&["decode", ACCORD]));
}

#[cfg(target_os = "linux")] // Elsewhere no variable names the cache folder.
#[test]
fn the_first_decodes_after_installing_unpack_the_data_even_two_at_once() {
    let cli = Cli::new();
    let packed = garage_testkit::packed_snapshot(cli.0.path());
    let start = || {
        let mut command = cli.command(&["decode", ACCORD]);
        command.env_remove("GARAGE_VPIC_FILE").env("GARAGE_VPIC_PACKED", &packed);
        command.env("XDG_CACHE_HOME", cli.0.path().join("cache")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    for started in [start(), start()] {
        let (code, stdout, stderr) = read(&started.wait_with_output().expect("it ends"));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains("HONDA"), "{stdout}");
    }
    std::fs::write(&packed, "damaged").expect("written");
    let again = read(&start().wait_with_output().expect("it ends"));
    assert_eq!(again.0, 0, "what is unpacked counts");
    std::fs::remove_dir_all(cli.0.path().join("cache")).expect("removed");
    let (code, _, stderr) = read(&start().wait_with_output().expect("it ends"));
    assert_eq!(code, 3);
    assert!(stderr.contains(packed.to_str().expect("UTF-8")), "{stderr}");
}

#[test]
fn explains_wrong_vins() {
    let (code, stdout, stderr) = Cli::new().run(&["decode", "1HGCM8Z633A004352", "hello world", "$$$", "1HG"]);
    assert_eq!((code, stderr.as_str()), (1, ""), "one was no VIN");
    insta::assert_snapshot!(stdout);
}

#[test]
fn text_of_any_length_is_answered() {
    let input = format!("{}\n{ACCORD}\n", "1".repeat(70_000));
    let (code, stdout, stderr) = Cli::new().run_with_input(&["decode", "--stdin", "--offline"], input.as_bytes());
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert!(stdout.len() < 2_000 && stdout.contains("HONDA"), "{} characters", stdout.len());
}

#[test]
fn a_known_year_decides_and_full_has_every_fact() {
    let cli = Cli::new();
    let decode = cli.json(&["decode", "1UYVS2535CU123456", "--year", "1982", "--full", "--json"]);
    assert_eq!(decode["modelYear"], 1982);
    assert!(decode["facts"].as_array().is_some_and(|facts| facts.len() > 5));
    assert!(cli.json(&["decode", ACCORD, "--json"]).get("facts").is_none());
}

#[test]
fn answers_each_line_in_order_whatever_it_is() {
    let mut input = format!("{ACCORD}\r\n\n1hg\n\u{202e}\nthe VIN is {ACCORD}, really\n").into_bytes();
    input.extend(b"\xff\xfe not text\n");
    input.extend(std::iter::repeat_n(b'1', 1_000_000));
    input.extend(b"\nWAUZZZ8K9BA012345");
    let (code, stdout, stderr) = Cli::new().run_with_input(&["decode", "--stdin", "--offline", "--json"], &input);
    assert_eq!((code, stderr.as_str()), (1, ""));
    let answers: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = answers.iter().map(|answer| (answer["vin"].as_str(), answer.get("error").is_some())).collect();
    let accord = Some(ACCORD);
    assert_eq!(
        told,
        [
            (accord, false),
            (None, true),
            (None, false),
            (None, true),
            (accord, false),
            (None, true),
            (None, true),
            (Some("WAUZZZ8K9BA012345"), false),
        ]
    );
    assert!(stdout.len() < 200_000, "a line is repeated only as far as it is read");
}

#[test]
fn a_vehicle_from_adding_to_restoring() {
    let cli = Cli::new();
    let added =
        cli.json(&["vehicle", "add", "1hgcm-82633-a004352", "--nickname", "Blue", "--plate", "ABC 123", "--json"]);
    let id = added["id"].as_str().expect("an id");
    assert_eq!((&added["model"], &added["licensePlate"]), (&"Accord".into(), &"ABC 123".into()));
    assert_eq!(cli.run(&["vehicle", "show", &id[..7]]).0, 1, "too little to be sure");
    for name in [id, &id[..8], ACCORD, "abc 123", "BLUE"] {
        assert_eq!(cli.json(&["vehicle", "show", name, "--json"])["id"], id, "{name}");
    }
    let edited =
        cli.json(&["vehicle", "edit", "blue", "--odometer", "51000", "--color", "Blue", "--plate", "", "--json"]);
    assert_eq!((&edited["odometerReading"], &edited["licensePlate"]), (&51000.into(), &serde_json::Value::Null));
    let shown = cli.ok(&["vehicle", "show", "Blue"]);
    assert!(shown.contains("51000 mi") && shown.contains("EX-V6"), "{shown}");
    assert!(cli.ok(&["vehicle", "list"]).contains(ACCORD));
    assert_eq!(cli.ok(&["vehicle", "remove", "Blue"]), format!("Removed Blue ({id})\n"));
    assert_eq!(cli.ok(&["vehicle", "list", "--json"]), "[]\n");
    assert_eq!(cli.ok(&["vehicle", "restore", "blue"]), format!("Restored Blue ({id})\n"));
    assert_eq!(cli.json(&["vehicle", "list", "--json"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn history_shows_every_change_and_undo_takes_one_back() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", ACCORD, "--nickname", "Blue"]);
    cli.ok(&["vehicle", "edit", "Blue", "--color", "Red", "--odometer", "5"]);
    let history = cli.json(&["vehicle", "history", "Blue", "--json"]);
    assert_eq!((&history[0]["kind"], &history[0]["program"]), (&"edited".into(), &"cli".into()));
    let shown = cli.ok(&["vehicle", "history", "Blue"]);
    assert!(shown.contains("color            empty → Red\n"), "{shown}");
    assert!(shown.contains(" empty → HONDA (decoded)\n"), "{shown}");
    let change = history[0]["id"].as_str().expect("an id");
    assert_eq!(cli.json(&["vehicle", "undo", change, "--json"])["color"], serde_json::Value::Null);
    let (code, _, stderr) = cli.run(&["vehicle", "undo", change]);
    assert_eq!((code, stderr.as_str()), (1, "error: color has been changed since; undo that change first\n"));
    assert_eq!(cli.run(&["vehicle", "undo", "nonsense"]).0, 1);
}

#[test]
fn search_finds_fragments_and_lists_are_sorted_and_filtered() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", ACCORD, "--plate", "ABC 123"]);
    cli.ok(&["vehicle", "add", "--make", "Citroën", "--model", "DS", "--year", "1972", "--active", "false"]);
    let found = |arguments: &[&str]| {
        let vehicles = cli.json(arguments);
        vehicles
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["make"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&["search", "004352", "--json"]), ["HONDA"]);
    assert_eq!(found(&["search", "citroen", "ds", "--json"]), ["Citroën"]);
    assert_eq!(found(&["vehicle", "list", "--sort", "year", "--json"]), ["HONDA", "Citroën"]);
    assert_eq!(found(&["vehicle", "list", "--active", "false", "--json"]), ["Citroën"]);
    assert_eq!(cli.run(&["search", ""]).0, 2);
    assert_eq!(cli.run(&["search", "tractor"]), (1, String::new(), "Nothing found\n".into()));
}

#[test]
fn a_garage_goes_out_and_comes_in_again() {
    let (from, to) = (Cli::new(), Cli::new());
    from.ok(&["vehicle", "add", ACCORD]);
    let path = |name: &str| from.0.path().join(name).to_string_lossy().into_owned();
    assert!(from.ok(&["export", &path("garage.json")]).starts_with("The garage is written to "));
    assert_eq!(from.run(&["export", &path("garage.json")]).0, 1, "a file is never written over");
    assert_eq!(to.ok(&["import", &path("garage.json"), "--preview"]), "1 would be added, 0 here already\n");
    assert_eq!(to.ok(&["import", &path("garage.json")]), "1 added, 0 here already\n");
    assert_eq!(to.ok(&["import", &path("garage.json")]), "0 added, 1 here already\n");
    assert!(to.ok(&["export", "--csv"]).contains(ACCORD));
    let (code, stdout, _) = to.run_with_input(&["import", "-"], br#"[{"year": "x"}]"#);
    assert_eq!(
        (code, stdout.as_str()),
        (1, "0 added, 0 here already\nvehicle 1 of the file, refused: year must be an integer\n")
    );
    assert_eq!(to.run_with_input(&["import", "-"], b"\xff").0, 1);

    from.ok(&["backup", &path("backup.db")]);
    from.ok(&["vehicle", "remove", ACCORD]);
    assert!(from.ok(&["restore", &path("backup.db")]).contains("what it held before is in"));
    assert!(from.ok(&["vehicle", "list"]).contains(ACCORD));
}

#[test]
fn the_form_of_an_export_follows_the_flag_or_else_the_files_ending() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", ACCORD]);
    let path = |name: &str| cli.0.path().join(name).to_string_lossy().into_owned();
    let mut number = 0;
    let mut is_csv = |ending: &str, flags: &[&str]| {
        number += 1;
        let file = path(&format!("{number}{ending}"));
        cli.ok(&[&["export", &file], flags].concat());
        let text = std::fs::read_to_string(&file).expect("read");
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        assert_eq!(is_json, !text.starts_with("id,"), "{ending} {flags:?} {text}");
        !is_json
    };
    for ending in [".csv", ".CSV", ".json.csv"] {
        assert!(is_csv(ending, &[]), "{ending}");
        assert!(is_csv(ending, &["--json"]), "--json is the answer's form, not the file's");
        assert!(!is_csv(ending, &["--format", "json"]), "{ending}");
    }
    for ending in [".json", ".JSON", ".txt", ""] {
        assert!(!is_csv(ending, &[]), "{ending}");
        assert!(is_csv(ending, &["--format", "csv"]), "{ending}");
        assert!(is_csv(ending, &["--csv"]), "{ending}");
    }
    assert!(cli.ok(&["export", "-", "--format", "csv"]).contains(ACCORD));
    assert_eq!(cli.run(&["export", "--format", "json", "--csv"]).0, 2);
    assert_eq!(cli.run(&["export", "--format", "xml"]).0, 2);
}

#[test]
fn numbers_with_separators_are_refused_and_the_message_says_how_to_write_them() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", "--nickname", "Blue", "--odometer", "7"]);
    let refusals =
        ["50.000", "50,000", "50 000", "1'000", "1\u{202f}234\u{202f}567", "1,23,456", "-1.000", "50.5", "5e4"];
    let refusals = refusals.map(|text| {
        let (code, stdout, stderr) = cli.run(&["vehicle", "edit", "Blue", "--odometer-reading", text]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{text}");
        format!("{text}: {stderr}")
    });
    insta::assert_snapshot!(refusals.concat());
    let (code, _, stderr) = cli.run(&["vehicle", "add", "--make", "X", "--year", "2,003", "--odometer", "1.000"]);
    let expected = "error: year must be an integer; write 2003 without separators\n\
                    error: odometerReading must be an integer; write 1000 without separators\n";
    assert_eq!((code, stderr.as_str()), (1, expected));
    for arguments in [&["vehicle", "list"][..], &["search", "x"], &["catalog", "makes"], &["decode", ACCORD]] {
        let (code, _, stderr) = cli.run(&[arguments, &["--year", "2,003"]].concat());
        let is_hinted = stderr.contains("invalid digit found in string; write 2003 without separators");
        assert!(code == 2 && is_hinted, "{arguments:?}: {code} {stderr}");
    }
    let (code, _, stderr) = cli.run(&["decode", ACCORD, "--year", "1885"]);
    assert!(code == 2 && stderr.contains("1885 is not in 1886..=2100"), "{code} {stderr}");
    let (_, _, stderr) = cli.run(&["vehicle", "edit", "Blue", "--odometer", "50.000", "--json"]);
    insta::assert_json_snapshot!(serde_json::from_str::<serde_json::Value>(&stderr).expect("JSON"));
    assert_eq!(cli.json(&["vehicle", "show", "Blue", "--json"])["odometerReading"], 7);
    cli.ok(&["vehicle", "edit", "Blue", "--odometer", "50000", "--notes", "50.000", "--color", "1,000"]);
}

#[test]
fn ids_and_vins_name_vehicles_removed_or_not() {
    let cli = Cli::new();
    let added = cli.json(&["vehicle", "add", ACCORD, "--json"]);
    let id = added["id"].as_str().expect("an id");
    assert_eq!(cli.run(&["vehicle", "add", "10QIO", "--nickname", "Old"]).0, 0);
    let (beginning, upper) = (&id[..20], id.to_uppercase());
    let compact = id.replace('-', "");
    for name in [id, beginning, &upper, &compact, "1hgcm-82633-a004352"] {
        assert_eq!(cli.json(&["vehicle", "show", name, "--json"])["id"], id, "{name}");
    }
    assert_eq!(cli.json(&["vehicle", "show", "10qio", "--json"])["nickname"], "Old", "a VIN from before 1981");
    assert_eq!(cli.run(&["vehicle", "restore", beginning]).0, 1, "it is not removed");
    let twins = ["018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"];
    let twins_json = twins.map(|id| serde_json::json!({"id": id, "vin": "5YJSA1E26MF123456"}));
    let export = serde_json::json!({"format": "motovault-garage", "vehicles": twins_json});
    assert_eq!(cli.run_with_input(&["import", "-"], export.to_string().as_bytes()).0, 0);
    let (code, _, stderr) = cli.run(&["vehicle", "show", "5YJSA1E26MF123456"]);
    assert_eq!(code, 1);
    let beginning_of_message = "error: 2 vehicles are “5YJSA1E26MF123456”; name one by its id: 018f0000-";
    assert!(stderr.starts_with(beginning_of_message) && twins.iter().all(|id| stderr.contains(id)), "{stderr}");
    for name in [beginning, ACCORD] {
        cli.ok(&["vehicle", "remove", name]);
        let (code, _, stderr) = cli.run(&["vehicle", "show", name]);
        assert_eq!((code, stderr), (1, format!("error: There is no vehicle “{name}”; see: garage vehicle list\n")));
        assert_eq!(cli.json(&["vehicle", "restore", name, "--json"])["id"], id, "{name}");
    }
}

/// Each write is a process of its own, and two of them run at any time.
#[test]
fn two_processes_write_to_one_garage_and_every_acknowledged_write_is_there() {
    const WRITES: usize = 12;
    let cli = Cli::new();
    let shared = cli.json(&["vehicle", "add", "--nickname", "shared", "--json"]);
    let shared = shared["id"].as_str().expect("an id");
    let write = |field: &str| -> Vec<String> {
        (0..WRITES)
            .map(|index| {
                let added = cli.json(&["vehicle", "add", "--nickname", &format!("{field} {index}"), "--json"]);
                cli.ok(&["vehicle", "edit", shared, &format!("--{field}"), &index.to_string()]);
                added["id"].as_str().expect("an id").to_owned()
            })
            .collect()
    };
    let mut acknowledged = std::thread::scope(|scope| {
        ["color", "notes"]
            .map(|field| scope.spawn(move || write(field)))
            .map(|it| it.join().expect("no panic"))
            .concat()
    });
    acknowledged.push(shared.to_owned());
    let there = cli.json(&["vehicle", "list", "--json"]);
    let mut there: Vec<String> =
        there.as_array().expect("a list").iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect();
    acknowledged.sort();
    there.sort();
    assert_eq!(there, acknowledged);
    let history = cli.json(&["vehicle", "history", shared, "--json"]);
    assert_eq!(history.as_array().map(Vec::len), Some(1 + 2 * WRITES));
    let after = cli.json(&["vehicle", "show", shared, "--json"]);
    let last = serde_json::json!((WRITES - 1).to_string());
    assert_eq!((&after["color"], &after["notes"]), (&last, &last));
}

#[test]
fn doctor_examines_and_repairs() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", ACCORD]);
    let examination = cli.json(&["doctor", "--json"]);
    let vehicles = serde_json::json!({"collection": "vehicles", "count": 1, "removed": 0});
    assert_eq!((&examination["records"][0], &examination["file"]["state"]), (&vehicles, &"sound".into()));
    let shown = cli.ok(&["doctor"]);
    assert!(
        shown.contains("  File             Sound\n") && shown.contains("  Service entries  0, and 0 removed\n"),
        "{shown}"
    );
    assert!(shown.contains("  vPIC data        2026-10"), "{shown}");
    std::fs::write(cli.0.path().join("garage.db"), "no garage ".repeat(1000)).expect("write");
    assert_eq!(cli.run(&["doctor"]).0, 3);
    let (code, _, stderr) = cli.run(&["doctor", "--repair"]);
    assert!(code == 0 && stderr.contains("The damaged file is kept as"), "{code} {stderr}");
    assert!(stderr.contains("In the repaired garage: 0 vehicles, 0 service entries, 0 changes of history"), "{stderr}");
    std::fs::write(cli.0.path().join("garage.db"), "no garage ".repeat(1000)).expect("write");
    let answer = cli.json(&["doctor", "--repair", "--json"]);
    assert!(answer["repair"]["damagedFile"].as_str().is_some_and(|file| file.contains(".damaged-")), "{answer}");
    assert_eq!(answer["records"][0]["count"], 0);
    cli.ok(&["vehicle", "add", ACCORD]);
}

#[test]
fn shells_and_man_are_served() {
    let cli = Cli::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(cli.ok(&["completions", shell]).contains("vehicle"), "{shell}");
    }
    assert!(cli.ok(&["man"]).starts_with(".ie"));
    let folder = cli.0.path().join("man");
    cli.ok(&["man", "--folder", folder.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(folder.join("garage-vehicle-add.1")).expect("a page of every command");
    assert!(page.contains("odometer"), "{page}");
    // The reader of a pipe may have seen enough.
    let mut command = cli.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let (code, _, stderr) = read(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn refusals_name_every_field_and_exit_with_1() {
    let cli = Cli::new();
    let (code, stdout, stderr) = cli.run(&["vehicle", "add", "--year", "1885", "--odometer", "NaN", "--make", "X"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "error: year must be between 1886 and 2028\nerror: odometerReading must be an integer\n");
    let (code, _, stderr) = cli.run(&["vehicle", "add", "--odometer", "-1", "--make", "X", "--json"]);
    let refusal: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!(
        (code, &refusal["code"], &refusal["details"][0]["field"]),
        (1, &"invalid".into(), &"odometerReading".into())
    );
    cli.ok(&["vehicle", "add", "--nickname", "Blue", "--odometer", "7", "--odometer-unit", "km"]);
    let (code, _, stderr) = cli.run(&["vehicle", "edit", "Blue", "--odometer-unit", ""]);
    assert_eq!(
        (code, stderr.as_str()),
        (1, "error: odometerUnit must be one of mi, km, h\n"),
        "7 km would become 7 mi"
    );
    assert_eq!(cli.run(&["vehicle", "add"]).2, "error: A vehicle needs a VIN, a license plate, a nickname or a make\n");
    assert_eq!(cli.run(&["vehicle", "show", "nobody"]).0, 1);
    cli.ok(&["vehicle", "add", ACCORD]);
    assert_eq!(
        cli.run(&["vehicle", "add", ACCORD]),
        (1, String::new(), "error: Vehicle with this VIN already exists\n".into())
    );
}

#[test]
fn doubtful_vins_are_warned_of_and_sentences_searched_for_one() {
    let cli = Cli::new();
    let (code, stdout, stderr) = cli.run(&["vehicle", "add", "1HGCM82643A004352", "--nickname", "-x"]);
    assert!(code == 0 && stdout.starts_with("Added -x"), "{stdout} {stderr}");
    assert_eq!(stderr, "warning: the VIN's check digit does not fit: if the rest is right, position 9 is 3\n");
    let (code, _, stderr) = cli.run(&["vehicle", "edit", "-x", "--vin", "1HGCM8Z633A004352"]);
    assert_eq!(code, 2, "a name that looks like an option: {stderr}");
    let (code, _, stderr) = cli.run(&["vehicle", "edit", "--vin", "1HGCM8Z633A004352", "--", "-x"]);
    assert!(
        code == 0 && stderr.contains("position 7 of the VIN does not fit; 2 would") && stderr.contains(ACCORD),
        "{stderr}"
    );
    let sentence = format!("The VIN is {ACCORD}, see photo.");
    assert!(cli.ok(&["vehicle", "add", &sentence, "--json"]).contains(ACCORD));
}

#[test]
fn wrong_usage_exits_with_2_and_damaged_files_with_3() {
    let cli = Cli::new();
    for arguments in [&["decode"][..], &["vehicle", "sell"], &["decode", ACCORD, "--year", "soon"], &["nonsense"]] {
        assert_eq!(cli.run(arguments).0, 2, "{arguments:?}");
    }
    std::fs::write(cli.0.path().join("garage.db"), "no garage ".repeat(1000)).expect("write");
    let (code, _, stderr) = cli.run(&["vehicle", "list"]);
    assert_eq!((code, stderr.as_str()), (3, DAMAGED));
    let mut without_data = cli.command(&["decode", ACCORD, "--offline"]);
    let output = without_data.env("GARAGE_VPIC_FILE", cli.0.path().join("none")).output().expect("it runs");
    let (code, _, stderr) = read(&output);
    assert!(code == 3 && stderr.starts_with("error: The vPIC data is missing: there is no file "), "{code} {stderr}");
}

#[test]
fn text_from_a_vehicle_cannot_command_the_terminal() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", "--nickname", "X", "--notes", "one\ntwo \u{202e}three"]);
    let shown = cli.ok(&["vehicle", "show", "X"]);
    assert!(!shown.contains('\u{202e}') && shown.contains("one\n") && shown.contains("two"), "{shown}");
    let hostile = "\u{202e}evil";
    for said in [cli.ok(&["vehicle", "add", "--nickname", hostile]), cli.ok(&["vehicle", "list"])] {
        assert!(!said.contains('\u{202e}') && said.contains("\u{fffd}evil"), "{said}");
    }
    for arguments in [&["vehicle", "show", "\u{1b}[2J"][..], &["import", "no\u{1b}[2Jfile"], &["decode", "\u{202e}"]] {
        let (_, stdout, stderr) = cli.run(arguments);
        assert!(!format!("{stdout}{stderr}").contains(['\u{1b}', '\u{202e}']), "{arguments:?} {stdout} {stderr}");
    }
}

#[test]
fn help_says_what_everything_does() {
    let cli = Cli::new();
    insta::assert_snapshot!(cli.ok(&["--help"]));
    insta::assert_snapshot!(cli.ok(&["vehicle", "--help"]));
    insta::assert_snapshot!(cli.ok(&["service", "--help"]));
    insta::assert_snapshot!(cli.ok(&["service", "add", "--help"]));
}

/// The shape that scripts rely on: what differs from run to run is named, everything else is the golden file's.
#[test]
fn json_answers_are_as_the_golden_files_say() {
    let cli = Cli::new();
    let path = |name: &str| cli.0.path().join(name).to_string_lossy().into_owned();
    let golden = |name: &str, arguments: &[&str]| {
        let answer = normalized(cli.json(&[arguments, &["--json"]].concat()), &path(""));
        insta::assert_json_snapshot!(name, answer);
    };
    golden("add", &["vehicle", "add", ACCORD, "--nickname", "Blue", "--odometer", "50000", "--trim", "EX"]);
    golden("show", &["vehicle", "show", "Blue"]);
    golden("list", &["vehicle", "list"]);
    golden("search", &["search", "004352"]);
    golden("edit", &["vehicle", "edit", "Blue", "--odometer", "51000", "--color", "Blue"]);
    golden("history", &["vehicle", "history", "Blue"]);
    golden("offers", &["vehicle", "offers", "Blue"]);
    cli.ok(&["vehicle", "edit", "Blue", "--model", ""]);
    golden("offers of an emptied field", &["vehicle", "offers", "Blue"]);
    golden("accept", &["vehicle", "accept", "Blue", "model"]);
    let history = cli.json(&["vehicle", "history", "Blue", "--json"]);
    golden("undo", &["vehicle", "undo", history[0]["id"].as_str().expect("an id")]);
    golden("remove", &["vehicle", "remove", "Blue"]);
    golden("list of removed", &["vehicle", "list", "--removed"]);
    golden("restore of a vehicle", &["vehicle", "restore", history[0]["recordId"].as_str().expect("an id")]);
    golden("backup", &["backup", &path("backup.db")]);
    golden("doctor", &["doctor"]);
    golden("models", &["catalog", "models", "honda", "--year", "2003"]);
    let export = cli.ok(&["export"]);
    let export: serde_json::Value = serde_json::from_str(&export).expect("JSON");
    insta::assert_json_snapshot!("export", normalized(export.clone(), &path("")));
    std::fs::write(path("export.json"), export.to_string()).expect("write");
    golden("import", &["import", &path("export.json")]);
    std::fs::write(path("other.json"), r#"[{"year": "x"}, {"nickname": "New"}, 7]"#).expect("write");
    let (code, stdout, _) = cli.run(&["import", &path("other.json"), "--preview", "--json"]);
    assert_eq!(code, 1);
    insta::assert_json_snapshot!(
        "import with refusals",
        serde_json::from_str::<serde_json::Value>(&stdout).expect("JSON")
    );
    golden("restore", &["restore", &path("backup.db")]);
    let years = cli.json(&["catalog", "years", "--json"]);
    assert!(years.as_array().is_some_and(|years| years.len() > 40 && years[0].is_i64()), "{years}");
    let makes = cli.json(&["catalog", "makes", "--year", "2003", "--json"]);
    let tesla = |makes: &serde_json::Value| makes.as_array().expect("a list").iter().any(|it| it["name"] == "TESLA");
    assert!(!tesla(&makes) && tesla(&cli.json(&["catalog", "makes", "--json"])));
    for arguments in [
        &["vehicle", "add", "HELLO!", "--year", "1"][..],
        &["vehicle", "show", "nobody"],
        &["vehicle", "add", ACCORD],
        &["vehicle", "restore", "00000000-0000-0000-0000-000000000000"],
        &["restore", "no-such-file"],
        &["restore", "Cargo.toml"],
        &["catalog", "models", "Nobody"],
    ] {
        let (code, stdout, stderr) = cli.run(&[arguments, &["--json"]].concat());
        let expected = if arguments.contains(&"Cargo.toml") { 3 } else { 1 };
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}");
        let error = normalized(serde_json::from_str(&stderr).expect("JSON"), &path(""));
        insta::assert_json_snapshot!(format!("refused {}", arguments.join(" ")), error);
    }
}

#[test]
fn service_answers_are_as_the_golden_files_say() {
    let cli = Cli::new();
    let golden = |name: &str, arguments: &[&str]| {
        let answer = cli.json(&[arguments, &["--json"]].concat());
        insta::assert_json_snapshot!(name, normalized(answer.clone(), ""));
        answer
    };
    cli.ok(&["vehicle", "add", "--nickname", "Blue", "--odometer", "50000", "--odometer-unit", "km"]);
    let added = golden("service add", &[&["service", "add", "Blue"][..], &OIL_CHANGE].concat());
    let id = added["id"].as_str().expect("an id");
    cli.ok(&["service", "add", "Blue", "--date", "2025-10-01", "--kind", "tires", "--notes", "one\ntwo"]);
    golden("service list", &["service", "list", "Blue"]);
    golden(
        "service edit",
        &["service", "edit", id, "--cost", "1299.9", "--vendor", "Garage & Co", "--description", ""],
    );
    let history = golden("service history", &["service", "history", id]);
    golden("service undo", &["service", "undo", history[0]["id"].as_str().expect("an id")]);
    golden("service remove", &["service", "remove", id]);
    golden("service restore", &["service", "restore", id]);
    for (name, arguments) in [
        ("cost without currency", &["add", "Blue", "--cost", "5", "--kind", "repair"][..]),
        ("several fields", &["add", "Blue", "--date", "14.3.2026", "--cost", "1.299,90", "--odometer", "51.000"]),
        ("nothing said", &["add", "Blue"]),
        ("no such vehicle", &["add", "Red", "--kind", "repair"]),
        ("no such entry", &["edit", "00000000", "--kind", "repair"]),
        ("no id", &["show", "Blue"]),
        ("no such change", &["undo", "00000000-0000-0000-0000-000000000000"]),
    ] {
        let (code, stdout, stderr) = cli.run(&[&["service"], arguments, &["--json"]].concat());
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}");
        let error: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
        insta::assert_json_snapshot!(format!("service refused {name}"), error);
    }
}

#[test]
fn service_entries_are_listed_and_shown_for_people() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", "--nickname", "Blue", "--odometer-unit", "km"]);
    let (code, stdout, stderr) = cli.run(&["service", "list", "Blue"]);
    let empty = "The vehicle has no service entries. Add one with: garage service add VEHICLE\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", empty));
    let added = cli.ok(&[&["service", "add", "Blue"][..], &OIL_CHANGE].concat());
    assert!(added.starts_with("Added 2026-03-14 service: Oil and filter ("), "{added}");
    cli.ok(&["service", "add", "Blue", "--date", "2026-05-01", "--kind", "tires"]);
    let list = cli.ok(&["service", "list", "blue"]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("Date        Kind     Odometer  Cost        Description     Id"), "{list}");
    assert!(lines[1].starts_with("2026-05-01  tires "), "{list}");
    assert!(lines[2].starts_with("2026-03-14  service  51000 km  129.90 EUR  Oil and filter  "), "{list}");
    let id = lines[2].rsplit(' ').next().expect("an id");
    let shown = cli.ok(&["service", "show", id]);
    assert!(shown.contains("  Odometer       51000 km\n") && shown.contains("  Vehicle        Blue ("), "{shown}");
    let history = cli.ok(&["service", "history", id]);
    assert!(history.contains("cost             empty → 129.90\n"), "{history}");
}

#[test]
fn a_vehicles_odometer_follows_its_service_entries() {
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", "--nickname", "Blue", "--odometer", "50000"]);
    let reading = || cli.json(&["vehicle", "show", "Blue", "--json"])["odometerReading"].clone();
    let added = cli.json(&[&["service", "add", "Blue"][..], &OIL_CHANGE, &["--json"]].concat());
    let id = added["id"].as_str().expect("an id");
    assert_eq!(reading(), 51000);
    let history = cli.ok(&["vehicle", "history", "Blue"]);
    let expected = format!("odometerReading  50000 → 51000 (service entry of 2026-03-14, {id})\n");
    assert!(history.contains(&expected), "{history}");
    cli.ok(&["service", "remove", id]);
    assert_eq!(reading(), 50000);
    cli.ok(&["service", "restore", id]);
    assert_eq!(reading(), 51000);
}

#[test]
fn a_removed_vehicles_service_entries_are_listed_by_its_id() {
    let cli = Cli::new();
    let export = r#"{"format": "motovault-garage", "version": 2,
        "vehicles": [{"id": "018f0000-0000-7000-8000-000000000001", "nickname": "Blue",
            "createdAt": "2026-01-01T00:00:00Z", "deletedAt": "2026-02-01T00:00:00Z"}],
        "serviceEntries": [{"id": "018f0000-0000-7000-8000-000000000002", "kind": "repair", "date": "2026-01-31",
            "vehicleId": "018f0000-0000-7000-8000-000000000001", "createdAt": "2026-02-03T00:00:00Z"}]}"#;
    let (code, stdout, stderr) = cli.run_with_input(&["import", "-"], export.as_bytes());
    assert_eq!((code, stdout.as_str()), (0, "1 added, 0 here already\nservice entries: 1 added\n"), "{stderr}");
    let (code, stdout, stderr) = cli.run(&["service", "list", "018f0000-0000-7000-8000-000000000001"]);
    assert!(code == 0 && stdout.contains("2026-01-31  repair"), "{stdout}");
    assert_eq!(stderr, "1 of them was added on another device after the vehicle was removed\n");
    assert_eq!(cli.run(&["service", "list", "Blue"]).0, 1);
}

#[test]
fn service_entries_are_named_by_the_beginning_of_their_ids() {
    let cli = Cli::new();
    let export = r#"{"format": "motovault-garage", "version": 2,
        "vehicles": [{"id": "018f0000-0000-7000-8000-000000000001", "nickname": "Blue"}],
        "serviceEntries": [
            {"id": "018f0000-000a-7000-8000-000000000001", "kind": "repair", "date": "2026-01-31",
                "vehicleId": "018f0000-0000-7000-8000-000000000001"},
            {"id": "018f0000-000b-7000-8000-000000000001", "kind": "tires", "date": "2026-01-31",
                "vehicleId": "018f0000-0000-7000-8000-000000000001"}]}"#;
    let (code, stdout, _) = cli.run_with_input(&["import", "-"], export.as_bytes());
    assert_eq!((code, stdout.as_str()), (0, "1 added, 0 here already\nservice entries: 2 added\n"));
    let (code, _, stderr) = cli.run(&["service", "show", "018f0000"]);
    let expected = "error: 2 service entries are “018f0000”; name one by its id: \
                    018f0000-000a-7000-8000-000000000001, 018f0000-000b-7000-8000-000000000001\n";
    assert_eq!((code, stderr.as_str()), (1, expected));
    for name in ["018f0000-000b", "018F0000-000B", "018f0000-000b-7000-8000-000000000001"] {
        assert_eq!(cli.json(&["service", "show", name, "--json"])["kind"], "tires", "{name}");
    }
    cli.ok(&["service", "edit", "018f0000-000b", "--odometer", "7", "--description", "Winter"]);
    assert!(cli.ok(&["service", "remove", "018f0000-000b"]).starts_with("Removed 2026-01-31 tires: Winter (018f0000"));
    assert_eq!(cli.run(&["service", "show", "018f0000-000b"]).0, 1, "a removed entry is found by its whole id");
    let removed = cli.ok(&["service", "history", "018f0000-000b-7000-8000-000000000001"]);
    assert!(removed.contains(" removed by cli ("), "{removed}");
    let refused =
        br#"{"format": "motovault-garage", "version": 2, "vehicles": [], "serviceEntries": [7, {"date": "soon"}]}"#;
    let (code, stdout, _) = cli.run_with_input(&["import", "-"], refused);
    assert!(code == 1 && stdout.contains("service entry 2 of the file, refused: "), "{stdout}");
}

#[test]
fn values_of_another_version_are_shown_as_they_are() {
    let cli = Cli::new();
    let export = r#"{"format": "motovault-garage", "version": 2, "vehicles": [
        {"id": "018f0000-0000-7000-8000-000000000001", "nickname": "Blue", "extra": {"wheels": {"front": 2.50}}}]}"#;
    let (_, stdout, stderr) = cli.run_with_input(&["import", "-"], export.as_bytes());
    assert_eq!(stdout, "1 added, 0 here already\n", "{stderr}");
    let shown = cli.ok(&["vehicle", "show", "Blue"]);
    assert!(shown.contains(r#"  wheels         {"front": 2.50}"#), "{shown}");
}

/// Names what differs from run to run: ids, times, the folder, sizes.
fn normalized(value: serde_json::Value, folder: &str) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            let is_id = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
            let is_time = text.ends_with('Z') && text.contains('T') && text.starts_with("20");
            match (is_id, is_time) {
                (true, _) => "<id>".into(),
                (_, true) => "<time>".into(),
                _ if text.contains("before-restore-") => "<folder>/garage.db-backups/before-restore-<time>.db".into(),
                _ if text.contains("vpic-") && text.ends_with(".rkyv") => "<vPIC data>".into(),
                _ if folder.is_empty() => text.into(),
                _ => text.replace(folder.trim_end_matches('/'), "<folder>").into(),
            }
        }
        Value::Array(values) => values.into_iter().map(|value| normalized(value, folder)).collect(),
        Value::Object(values) => values
            .into_iter()
            .map(|(key, value)| {
                let value = if key == "sizeBytes" { "<size>".into() } else { normalized(value, folder) };
                (key, value)
            })
            .collect(),
        other => other,
    }
}

#[test]
fn vpic_is_asked_only_where_that_is_wanted() {
    use garage_testkit::fake_vpic::{Behavior, FakeVpic};
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let corrections = [("Trim".to_owned(), "EX-V6 6MT".to_owned())].into();
    let fake = runtime.block_on(FakeVpic::start(Behavior::Corrects(corrections)));
    let cli = Cli::new();
    let run = |arguments: &[&str]| {
        let output = cli.command(arguments).env("GARAGE_VPIC_URL", &fake.base_url).output().expect("it runs");
        let (code, stdout, stderr) = read(&output);
        let trim = serde_json::from_str::<serde_json::Value>(&stdout).expect("JSON")["fields"]["trimLevel"].clone();
        (code, stderr, format!("{} {}", trim["value"].as_str().expect("a trim"), trim["source"].as_str().expect("one")))
    };
    let decode = |option: &str| {
        run(&["decode", ACCORD, "--json", option].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>())
    };
    assert_eq!(decode(""), (0, String::new(), "EX-V6 snapshot".to_owned()));
    assert!(!cli.0.path().join("garage.db").exists(), "decoding makes no garage");
    cli.ok(&["vehicle", "add", ACCORD]);
    assert_eq!((decode("").2.as_str(), fake.questions()), ("EX-V6 snapshot", 0));
    assert_eq!(decode("--refresh"), (0, String::new(), "EX-V6 6MT cache".to_owned()));
    assert_eq!((decode("").2.as_str(), fake.questions()), ("EX-V6 6MT cache", 1));
    assert_eq!(decode("--offline").2, "EX-V6 snapshot");
    assert!(cli.ok(&["decode", ACCORD]).contains("and what vPIC has said since"));
    assert_eq!(cli.json(&["vehicle", "offers", ACCORD, "--json"])[0]["offered"], "EX-V6 6MT");

    fake.set(Behavior::LimitsRate(1000));
    let (code, stderr, trim) = run(&["decode", "1HGCM82633A004353", "--json", "--refresh"]);
    assert_eq!((code, trim.as_str()), (1, "EX-V6 snapshot"), "the snapshot answers");
    assert_eq!(stderr, "warning: vPIC is asked too often\n");
    // Fresh answers are not asked for: nobody listens at this address.
    let lines = format!("{ACCORD}\n{ACCORD}\n");
    let (code, stdout, stderr) = cli.run_with_input(&["decode", "--stdin", "--json", "--refresh"], lines.as_bytes());
    assert_eq!((code, stdout.lines().count(), stderr.as_str()), (0, 2, ""));
    let (code, stdout, stderr) =
        cli.run_with_input(&["decode", "--stdin", "--json", "--refresh"], b"1HGCM82633A004353\n$$$\n");
    assert_eq!((code, stdout.lines().count(), stderr.as_str()), (1, 2, "warning: vPIC cannot be reached\n"));
}

/// A name that was mistyped must not look like an empty garage.
#[test]
fn a_garage_that_was_named_and_is_missing_is_made_only_to_put_something_in() {
    let cli = Cli::new();
    let path = cli.0.path().join("other.db");
    let named = path.to_str().expect("UTF-8");
    let message = format!("error: There is no garage {named}; `vehicle add` and `import` make one\n");
    for arguments in [&["vehicle", "list"][..], &["search", "x"], &["doctor"], &["export"], &["backup", "b.db"]] {
        assert_eq!(cli.run(&[&["--garage", named], arguments].concat()), (1, String::new(), message.clone()));
        assert!(!path.exists());
    }
    cli.ok(&["--garage", named, "vehicle", "add", "--nickname", "Blue", "--notes", "- a\n- b"]);
    assert!(cli.ok(&["--garage", named, "vehicle", "show", "Blue"]).contains("- a\n"));
    let notes = cli.0.path().join("notes.db");
    std::fs::write(&notes, "somebody's notes".repeat(100)).expect("write");
    let notes_name = notes.to_str().expect("UTF-8");
    assert_eq!(cli.run(&["--garage", notes_name, "vehicle", "add", "--nickname", "Blue"]).0, 3);
    assert_eq!(std::fs::read(&notes).expect("read"), "somebody's notes".repeat(100).into_bytes());
    let (code, _, stderr) = cli.run(&["import", cli.0.path().join("none.json").to_str().expect("UTF-8")]);
    assert!(code == 1 && stderr.contains("none.json does not exist"), "{stderr}");
    assert!(!cli.0.path().join("garage.db").exists(), "nothing was put in");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_half_done() {
    let cli = Cli::new();
    let list: Vec<_> = (0..30_000)
        .map(|index| serde_json::json!({"nickname": format!("car {index}"), "notes": "n".repeat(500)}))
        .collect();
    let (file, backup) = (cli.0.path().join("list.json"), cli.0.path().join("copies/b.db"));
    std::fs::write(&file, serde_json::to_string(&list).expect("JSON")).expect("write");
    let [file, backup] = [&file, &backup].map(|path| path.to_str().expect("UTF-8"));
    let mut child =
        cli.command(&["import", file]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    // Once the import writes, the log grows.
    let log = cli.0.path().join("garage.db-wal");
    while child.try_wait().expect("a state").is_none() && std::fs::metadata(&log).map_or(0, |it| it.len()) < 1_000_000 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let interrupt = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupt().success());
    let (code, stdout, stderr) = read(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, "", "error: Stopped; nothing was changed\n"));
    assert_eq!(cli.ok(&["vehicle", "list", "--json"]), "[]\n");
    cli.ok(&["backup", backup]);
    let left: Vec<_> = std::fs::read_dir(cli.0.path().join("copies")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// In a folder that cannot be written, vPIC's answers are not kept, and everything else works.
#[cfg(unix)]
#[test]
fn a_cache_that_may_not_be_written_fails_no_decode_and_no_save() {
    use garage_testkit::fake_vpic::{Behavior, FakeVpic};
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let corrections = [("Trim".to_owned(), "EX-V6 6MT".to_owned())].into();
    let fake = runtime.block_on(FakeVpic::start(Behavior::Corrects(corrections)));
    for is_there_before in [false, true] {
        let cli = Cli::new();
        let allow = |path: &std::path::Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        };
        let cache_folder = cli.0.path().join("cache");
        std::fs::create_dir(&cache_folder).expect("a folder");
        let cache_file = cache_folder.join("answers.db");
        if is_there_before {
            let mut command = cli.command(&["decode", ACCORD, "--refresh"]);
            command.env("GARAGE_VPIC_URL", &fake.base_url).env("GARAGE_VPIC_ANSWERS", &cache_file);
            assert_eq!(read(&command.output().expect("it runs")).0, 0);
            allow(&cache_file, 0o444);
        }
        let before = std::fs::read(&cache_file).ok();
        // The administrator may write everything, so then somebody else tries, with files that they can reach.
        let program = cli.0.path().join("garage");
        std::fs::copy(env!("CARGO_BIN_EXE_garage"), &program).expect("copied");
        let snapshot = cli.0.path().join("vpic.rkyv");
        let original = garage_core::decoding::default_snapshot_path().expect("a path");
        std::fs::copy(original, &snapshot).expect("copied");
        allow(&snapshot, 0o644);
        allow(&cache_folder, 0o555);
        let is_administrator = std::fs::write(cache_folder.join("probe"), "").is_ok();
        let _ = std::fs::remove_file(cache_folder.join("probe"));
        let own = cli.0.path().join("own");
        std::fs::create_dir(&own).expect("a folder");
        allow(&own, 0o777);
        allow(cli.0.path(), 0o755);
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(arguments).env("GARAGE_FILE", own.join("garage.db")).env("GARAGE_VPIC_FILE", &snapshot);
            command.env("GARAGE_VPIC_URL", &fake.base_url).env("GARAGE_VPIC_ANSWERS", &cache_file);
            if is_administrator {
                command.uid(NOBODY).gid(NOBODY);
            }
            read(&command.output().expect("it runs"))
        };
        let (code, stdout, stderr) = run(&["vehicle", "add", ACCORD]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        let (code, stdout, stderr) = run(&["decode", ACCORD]);
        assert!(code == 0 && stderr.is_empty() && stdout.contains("EX-V6\n"), "{stdout} {stderr}");
        let (code, stdout, stderr) = run(&["decode", ACCORD, "--refresh"]);
        assert!(code == 1 && stdout.contains("EX-V6\n"), "{stdout} {stderr}");
        assert!(stderr.starts_with("warning: vPIC's answers cannot be kept: "), "{stderr}");
        assert_eq!(std::fs::read(&cache_file).ok(), before);
        allow(&cache_folder, 0o755);
    }
}

/// Whoever may not write is told so, and about which file.
#[cfg(unix)]
#[test]
fn a_garage_that_may_not_be_written_says_so() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let cli = Cli::new();
    cli.ok(&["vehicle", "add", "--nickname", "Blue"]);
    let garage_file = cli.0.path().join("garage.db");
    let before = std::fs::read(&garage_file).expect("read");
    // The administrator may write everything, so then somebody else tries, with a program that they can reach.
    let program = cli.0.path().join("garage");
    std::fs::copy(env!("CARGO_BIN_EXE_garage"), &program).expect("copied");
    let allow = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    allow(&garage_file, 0o444);
    allow(cli.0.path(), 0o555);
    let is_administrator = std::fs::write(cli.0.path().join("probe"), "").is_ok();
    for arguments in [&["vehicle", "add", "--nickname", "Red"][..], &["vehicle", "list"]] {
        let mut command = Command::new(&program);
        command.args(arguments).env("GARAGE_FILE", &garage_file);
        if is_administrator {
            command.uid(NOBODY).gid(NOBODY);
        }
        let (code, stdout, stderr) = read(&command.output().expect("it runs"));
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(stderr.starts_with("error: The garage's file cannot be written: "), "{stderr}");
    }
    assert_eq!(std::fs::read(&garage_file).expect("read"), before);
    allow(cli.0.path(), 0o755);
}

#[test]
fn signing_in_to_another_device_needs_encryption_or_permission() {
    let cli = Cli::new();
    let sign_in =
        |words: &[&str]| cli.run_with_input(&[&["sign-in", "--email", "ada@example.org"], words].concat(), b"");
    let (code, stdout, stderr) = sign_in(&["http://garage.example.org", "--password-stdin"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr);
    let (code, _, stderr) = sign_in(&["https://garage.example.org/path", "--password-stdin", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!((code, &error["code"]), (1, &"invalid".into()), "{error}");
}

#[test]
fn a_garage_without_a_session_can_be_signed_out() {
    let cli = Cli::new();
    assert_eq!(cli.run(&["sign-out"]).0, 1, "there is no garage");
    cli.ok(&["vehicle", "add", "--nickname", "Blue"]);
    assert_eq!(cli.ok(&["sign-out"]), "This garage was not signed in\n");
    assert_eq!(cli.json(&["sign-out", "--json"])["wasSignedIn"], false);
}
