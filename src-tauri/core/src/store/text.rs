//! The garage's SQL functions: case and accent folding, and the text of the search index.
//!
//! Index and search input use the same functions, so both fold alike. Increase [`VERSION`] when a function's result
//! changes: the next opening then rebuilds the index.

use caseless::Caseless;
use rusqlite::{Connection, Result, functions::FunctionFlags, types::ValueRef};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

pub(crate) const VERSION: i64 = 1;

/// Registers `fold` and `search_text` on a connection. The schema's view and triggers call them, so a program that
/// writes to a garage's file with its own SQL, such as a test, must register them first.
///
/// # Errors
/// [`rusqlite::Error`] if SQLite refuses to register a function.
pub fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("fold", 1, flags, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Text(text) => Some(fold(&String::from_utf8_lossy(text))),
            _ => None,
        })
    })?;
    connection.create_scalar_function("search_text", -1, flags, |context| {
        let text = |index: usize| match context.get_raw(index) {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Integer(integer) => integer.to_string(),
            _ => String::new(),
        };
        let words: Vec<String> = (3..context.len()).map(text).collect();
        Ok(search_text(&text(0), &text(1), &text(2), &words))
    })
}

/// Removes what search and sorting ignore: case, accents and compatibility forms of letters.
pub(crate) fn fold(text: &str) -> String {
    // Fast path: almost all text is ASCII.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(base_letter).default_case_fold();
    folded.nfkd().filter(|letter| !is_combining_mark(*letter)).collect()
}

/// Replaces letters that Unicode does not decompose by what people type on a keyboard without them.
fn base_letter(letter: char) -> impl Iterator<Item = char> {
    let letters: &'static str = match letter {
        'Ł' | 'ł' => "l",
        'Ø' | 'ø' => "o",
        'Đ' | 'đ' | 'Ð' | 'ð' => "d",
        'Ħ' | 'ħ' => "h",
        'ı' => "i",
        'Ŋ' | 'ŋ' => "n",
        'Ŧ' | 'ŧ' => "t",
        'Æ' | 'æ' => "ae",
        'Œ' | 'œ' => "oe",
        'Þ' | 'þ' => "th",
        _ => "",
    };
    letters.chars().chain(letters.is_empty().then_some(letter))
}

/// Returns only the letters and digits of a text.
pub(crate) fn letters_of(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}

/// Builds the indexed text of a vehicle: every word, the model with and without dashes, and every suffix of VIN and
/// plate. Any fragment of those is a prefix of a suffix, so a prefix index finds it.
fn search_text(vin: &str, plate: &str, model: &str, words: &[String]) -> String {
    let mut text = String::new();
    let mut push = |word: &str| {
        if !word.is_empty() {
            text.push_str(word);
            text.push(' ');
        }
    };
    for word in words {
        push(&fold(word));
    }
    let joined = letters_of(model);
    if joined != model && model.contains('-') {
        push(&fold(&model.replace('-', "")));
    }
    push(&fold(plate));
    for number in [fold(vin), fold(&letters_of(plate))] {
        for (start, _) in number.char_indices() {
            push(&number[start..]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fold_removes_case_accents_and_compatibility_forms() {
        for (text, folded) in [
            ("HONDA", "honda"),
            ("Äpfel", "apfel"),
            ("CITROËN", "citroen"),
            ("Škoda", "skoda"),
            ("Łada Ørsted Þór Đorđe", "lada orsted thor dorde"),
            ("STRASSE Straße", "strasse strasse"),
            ("Ёлка йод", "елка иод"),
            ("Ήλιος", "ηλιοσ"),
            ("ﬁat", "fiat"),
            ("Æon œuvre", "aeon oeuvre"),
            ("e\u{301}", "e"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
            assert_eq!(fold(folded), folded, "{text}");
        }
    }

    #[test]
    fn every_fragment_of_vin_and_plate_is_a_prefix_of_a_word() {
        let text = search_text("1HGCM8", "B-AB 12", "F-150", &["Blue Čar".to_owned()]);
        let words: Vec<&str> = text.split_whitespace().collect();
        for fragment in ["blue", "car", "hgcm8", "8", "bab12", "12", "ab12", "2", "f150"] {
            assert!(words.iter().any(|word| word.starts_with(fragment)), "{fragment} in {text}");
        }
    }
}
