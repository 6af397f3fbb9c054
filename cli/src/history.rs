//! Changes of a record as text.

use std::io::{self, Write};

use garage_core::{FieldValue, HistoryEntry, Origin};

use crate::table::{self, local_time, print_json, printable};

/// Prints the changes of a record, newest first.
pub fn print(entries: Vec<HistoryEntry>, json: bool) -> io::Result<()> {
    if json {
        return print_json(&entries);
    }
    let mut out = io::stdout().lock();
    for entry in entries {
        let undoes = entry.undoes.map(|id| format!(", undoing {}", id.0)).unwrap_or_default();
        let moved = entry.moved_from.map(|id| format!(", as {id}, which was merged into this one")).unwrap_or_default();
        let (kind, program) = (printable(entry.kind.name()), printable(&entry.program));
        writeln!(out, "{} {kind} by {program}{undoes}{moved} ({})", local_time(entry.at), entry.id.0)?;
        let changes = entry.fields.into_iter().map(|it| {
            let by = origin(&it.origin);
            let change = match it.old == it.new {
                // Only the origin has changed.
                true => format!("{}, confirmed{by}", shown(it.new.as_ref())),
                false => format!("{} → {}{by}", shown(it.old.as_ref()), shown(it.new.as_ref())),
            };
            (it.field, Some(change))
        });
        table::write_pairs(&mut out, &changes.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// A value of a field; `empty` for none.
pub fn shown(value: Option<&FieldValue>) -> String {
    value.map_or_else(|| "empty".to_owned(), ToString::to_string)
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Typed => String::new(),
        Origin::Decoded { .. } => " (decoded)".to_owned(),
        Origin::Imported => " (imported)".to_owned(),
        Origin::Entry { entry, date } => format!(" (service entry of {date}, {entry})"),
        Origin::Other(json) => format!(" ({})", json.text()),
    }
}
