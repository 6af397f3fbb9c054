//! Output of commands: aligned pairs and tables for a terminal, or JSON.

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};

/// Characters of a name that are printed.
const WIDEST_NAME: usize = 60;

/// Writes `name  value` lines, indented; names without a value are left out.
pub fn write_pairs(out: &mut impl Write, pairs: &[(impl AsRef<str>, Option<String>)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.as_ref().chars().count()).max().unwrap_or_default().min(WIDEST_NAME);
    for (name, value) in pairs {
        // The name may be input to `decode`, of any length.
        let name: String = name.as_ref().chars().take(WIDEST_NAME).collect();
        if let Some(value) = value {
            // Further lines of notes are aligned with the first.
            let mut lines = value.lines();
            writeln!(out, "  {:width$}  {}", printable(&name), printable(lines.next().unwrap_or_default()))?;
            for line in lines {
                writeln!(out, "  {:width$}  {}", "", printable(line))?;
            }
        }
    }
    Ok(())
}

/// Writes rows in columns as wide as their widest cell.
pub fn write_rows<const N: usize>(out: &mut impl Write, header: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut write_row = |row: [&str; N]| {
        let line: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", printable(cell))).collect();
        writeln!(out, "{}", line.join("  ").trim_end())
    };
    write_row(header)?;
    for row in rows {
        write_row(std::array::from_fn(|column| row[column].as_str()))?;
    }
    Ok(())
}

/// Writes a value as indented JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(io::stdout(), "{text}")
}

/// A time in the system's time zone.
pub fn local_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Replaces control characters and direction marks, so that text of a record cannot control the terminal.
pub fn printable(text: &str) -> String {
    let is_harmless = |character: char| {
        !character.is_control()
            && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|character| if is_harmless(character) { character } else { '\u{fffd}' }).collect()
}
