//! Checks that only the journal writes record tables, so that every write is in history.
//!
//! Scans SQL in string literals and in files included with `include_str!`. A table name inserted at run time counts as
//! a record table.

use std::collections::BTreeSet;

use anyhow::Context;

use super::{
    Texts,
    source::{self, Text},
};

const RECORD_TABLES: &[&str] = &["vehicles", "service_entries", "foreign_records", "history"];
/// The folder of the journal, whose Rust and SQL files may write record tables.
const JOURNAL: &str = "src-tauri/core/src/store/journal/";
const CHECKED: &[&str] = &["src-tauri/core/src/", "cli/src/", "src-tauri/src/", "e2e/host/"];

const REASON: &str = "only the core's store/journal writes record tables, so that every write is in history";

/// Where collections are declared, each with its table.
const DECLARATIONS: &str = "crates/domain/src/";

/// The declarations of tables that [`RECORD_TABLES`] lacks.
fn undeclared(texts: &Texts) -> Vec<(&String, String)> {
    let declared = |text: &str| {
        let tables = text.lines().filter_map(|line| line.trim().strip_prefix("table: \"")?.strip_suffix("\","));
        tables.map(str::to_owned).collect::<Vec<_>>()
    };
    let files = texts.iter().filter(|(file, _)| file.starts_with(DECLARATIONS));
    let tables = files.flat_map(|(file, text)| declared(text).into_iter().map(move |table| (file, table)));
    let missing = tables.filter(|(_, table)| !RECORD_TABLES.contains(&table.as_str()));
    let problem = |table: &str| format!("{table} is missing from RECORD_TABLES in xtask/src/tidy/journal.rs");
    missing.map(|(file, table)| (file, format!("{file}: {}", problem(&table)))).collect()
}

/// Finds writes to record tables outside the journal.
pub(super) fn check(texts: &Texts) -> anyhow::Result<Vec<String>> {
    let is_checked = |file: &str| CHECKED.iter().any(|folder| file.starts_with(folder)) && !file.contains("/tests/");
    let (mut problems, mut for_tests) = (undeclared(texts), BTreeSet::new());
    for (file, text) in texts.iter().filter(|(file, _)| is_checked(file)) {
        if file.ends_with(".sql") && !file.starts_with(JOURNAL) {
            problems.extend(written_table(text).map(|table| (file, format!("{file} writes {table}"))));
        }
        if !file.ends_with(".rs") || file.starts_with(JOURNAL) {
            continue;
        }
        let code = source::read(text).with_context(|| format!("cannot parse {file}"))?;
        for_tests
            .extend(code.test_files.iter().map(|names| format!("{}/{}", folder_of_modules(file), names.join("/"))));
        for Text { value, line } in &code.literals {
            problems.extend(written_table(value).map(|table| (file, format!("{file}:{line} writes {table}"))));
        }
        for Text { value, line } in &code.includes {
            let included = beside(file, value);
            let table = texts.get(&included).and_then(|sql| written_table(sql));
            let place = format!("{file}:{line} includes {included}, which writes");
            problems.extend(table.map(|table| (file, format!("{place} {table}"))));
        }
    }
    let is_for_tests = |file: &str| {
        for_tests
            .iter()
            .any(|module| file.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/')))
    };
    let problems = problems.into_iter().filter(|(file, _)| !is_for_tests(file));
    Ok(problems.map(|(_, problem)| format!("{problem}: {REASON}")).collect())
}

/// Returns the folder of a file's submodules.
fn folder_of_modules(file: &str) -> &str {
    let module = file.strip_suffix(".rs").unwrap_or(file);
    let is_own_folder = |name: &&str| ["lib", "main", "mod"].contains(name);
    module.rsplit_once('/').filter(|(_, name)| is_own_folder(name)).map_or(module, |(folder, _)| folder)
}

fn beside(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the first record table that the SQL writes.
fn written_table(sql: &str) -> Option<String> {
    let words = words_of(sql);
    let is = |at: usize, wanted: &str| words.get(at).is_some_and(|word: &String| word == wanted);
    (0..words.len()).find_map(|at| {
        let after_or = if is(at + 1, "or") { at + 3 } else { at + 1 };
        let name = match words[at].as_str() {
            "insert" if is(after_or, "into") => after_or + 1,
            "replace" if is(at + 1, "into") => at + 2,
            "delete" if is(at + 1, "from") => at + 2,
            // These words can also start an English sentence.
            "update" if words[at..].iter().any(|word| word == "set") => after_or,
            _ => return None,
        };
        let name = if is(name + 1, ".") { name + 2 } else { name };
        let table = words.get(name)?;
        (table.starts_with('{') || RECORD_TABLES.contains(&table.as_str())).then(|| table.clone())
    })
}

/// Splits SQL into lower-case words, without comments and quotes; dots and placeholders of `format!` are words.
fn words_of(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '{' {
            rest.find('}').map_or(rest.len(), |end| end + 1)
        } else if is_word(first) {
            rest.find(|character| !is_word(character)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(length);
        if is_word(first) || first == '{' || first == '.' {
            words.push(word.to_lowercase());
        }
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "src-tauri/core/src/store";

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        check(&texts).expect("Rust")
    }

    #[test]
    fn a_collection_whose_table_is_not_listed_is_found() {
        let declared = |table: &str| format!("COLLECTION {{\n    table: \"{table}\",\n}}");
        let found = |table: &str| problems(&[("crates/domain/src/reminder.rs", &declared(table))]);
        let missing =
            "crates/domain/src/reminder.rs: reminders is missing from RECORD_TABLES in xtask/src/tidy/journal.rs";
        assert_eq!(found("reminders"), [format!("{missing}: {REASON}")]);
        assert!(found("vehicles").is_empty());
    }

    #[test]
    fn writes_to_record_tables_are_distinguished_from_other_sql() {
        for sql in [
            "INSERT INTO vehicles (id) VALUES (1)",
            "insert or ignore into main.\"history\" VALUES (1)",
            "REPLACE INTO service_entries VALUES (1)",
            "INSERT OR IGNORE INTO foreign_records VALUES (1)",
            "UPDATE vehicles AS v SET vin = 1",
            "UPDATE OR REPLACE [vehicles] SET vin = 1",
            "WITH x AS (SELECT 1) DELETE FROM `history` WHERE id IN x",
            "-- a comment\nDELETE /* all */ FROM vehicles",
            "SELECT 1; DELETE FROM vehicles",
            "DELETE FROM {table}",
        ] {
            assert!(written_table(sql).is_some(), "{sql}");
        }
        for sql in [
            "SELECT * FROM vehicles",
            "SELECT replace(vin, 'a', 'b') FROM vehicles",
            "UPDATE device SET device_id = ?1",
            "INSERT INTO vehicles_search SELECT * FROM vehicles",
            "INSERT INTO vin_cache VALUES (1) ON CONFLICT DO UPDATE SET answer = 1",
            "CREATE TRIGGER t AFTER UPDATE OF vin ON vehicles BEGIN DELETE FROM search; END",
            "-- DELETE FROM vehicles",
            "Update vehicles from a file",
        ] {
            assert_eq!(written_table(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_write_outside_the_journal_is_found() {
        let sql = "\"DELETE FROM vehicles\"";
        for code in [
            format!("fn f() {{ execute({sql}) }}"),
            format!("const SQL: &str = {sql};"),
            format!("fn f() {{ format!({sql}, 1) }}"),
            "const SQL: &str = concat!(\"DELETE FROM \", \"vehicles\");".to_owned(),
            "fn f() { try_it!(concat!(\"DELETE FROM \", \"vehicles\")) }".to_owned(),
        ] {
            let found = problems(&[("cli/src/args.rs", &code)]);
            assert_eq!(found, [format!("cli/src/args.rs:1 writes vehicles: {REASON}")], "{code}");
        }
        for file in ["src-tauri/core/src/backup.rs", "src-tauri/src/state.rs", "e2e/host/src/main.rs"] {
            assert_eq!(problems(&[(file, &format!("const SQL: &str = {sql};"))]).len(), 1, "{file}");
        }
    }

    #[test]
    fn journal_tests_and_comments_may_contain_writes() {
        let write = "const SQL: &str = \"DELETE FROM vehicles\";";
        for file in [
            "src-tauri/core/src/store/journal/mod.rs",
            "src-tauri/core/src/store/journal/rows.rs",
            "src-tauri/core/tests/garage/main.rs",
            "cli/src/tests/data.rs",
            "bench/src/main.rs",
            "crates/sqlite/src/lib.rs",
        ] {
            assert!(problems(&[(file, write)]).is_empty(), "{file}");
        }
        for code in [
            format!("#[cfg(test)] {write}"),
            format!("#[cfg(test)] mod tests {{ {write} }}"),
            "// DELETE FROM vehicles\n/// DELETE FROM vehicles\nfn f() {}".to_owned(),
            "fn f() { try_it! { /// DELETE FROM vehicles\n struct Own; } }".to_owned(),
        ] {
            assert!(problems(&[("cli/src/args.rs", &code)]).is_empty(), "{code}");
        }
        let declared = "#[cfg(test)] mod checks;";
        assert!(problems(&[("cli/src/args.rs", declared), ("cli/src/args/checks.rs", write)]).is_empty());
        assert!(problems(&[("cli/src/main.rs", declared), ("cli/src/checks/mod.rs", write)]).is_empty());
    }

    #[test]
    fn sql_files_with_writes_are_allowed_only_in_the_journal() {
        let (sql, write) = (format!("{STORE}/journal/delete.sql"), "DELETE FROM vehicles;");
        let include = "fn f() { prepare(include_str!(\"delete.sql\")) }";
        assert!(problems(&[(&sql, write), (&format!("{STORE}/journal/rows.rs"), include)]).is_empty());
        let include = "fn f() { prepare(include_str!(\"journal/delete.sql\")) }";
        let found = problems(&[(&sql, write), (&format!("{STORE}/list.rs"), include)]);
        assert_eq!(found, [format!("{STORE}/list.rs:1 includes {sql}, which writes vehicles: {REASON}")]);
        let from_above = "fn f() { prepare(include_str!(\"../store/./journal/delete.sql\")) }";
        assert_eq!(problems(&[(&sql, write), ("src-tauri/core/src/vehicles/write.rs", from_above)]).len(), 1);
        assert_eq!(problems(&[("cli/src/delete.sql", write)]).len(), 1);
        assert!(problems(&[(&sql, "SELECT * FROM vehicles;"), (&format!("{STORE}/list.rs"), include)]).is_empty());
    }
}
