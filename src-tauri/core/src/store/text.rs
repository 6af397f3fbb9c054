//! The SQL functions of the garage: folding letters, and the text that is searched.
//!
//! Search text is made in one place for the index and for what a person types, so both fold alike. Change
//! [`VERSION`] with any change of what the functions answer: the next opening rebuilds the index.

use caseless::Caseless;
use rusqlite::{Connection, Result, functions::FunctionFlags, types::ValueRef};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The version of these functions.
pub(crate) const VERSION: i64 = 1;

/// Registers `fold` and `search_text` on a connection. The schema's view and triggers call them, so a program that writes
/// to a garage's file by SQL of its own, such as a benchmark or a test, has to register them first.
///
/// # Errors
/// SQLite refuses to register a function.
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

/// Text without what does not matter to a person who searches or sorts: case, accents, and letters' other forms.
pub(crate) fn fold(text: &str) -> String {
    // Almost all text of vehicles is ASCII, where folding is only a matter of case.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = text.nfkd().filter(|letter| !is_combining_mark(*letter)).flat_map(base_letter).default_case_fold();
    folded.nfkd().filter(|letter| !is_combining_mark(*letter)).collect()
}

/// Letters that Unicode does not decompose, as people type them on a keyboard without them.
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

/// The letters and digits of a text, however they are divided.
pub(crate) fn letters_of(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}

/// What the index holds of a vehicle: every word, models with and without their dashes, and every suffix of VIN and
/// plate. A fragment is the beginning of a suffix, so an index of prefixes finds it.
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
    fn folding_drops_case_accents_and_forms() {
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
    fn every_fragment_of_vin_and_plate_begins_a_word() {
        let text = search_text("1HGCM8", "B-AB 12", "F-150", &["Blue Čar".to_owned()]);
        let words: Vec<&str> = text.split_whitespace().collect();
        for fragment in ["blue", "car", "hgcm8", "8", "bab12", "12", "ab12", "2", "f150"] {
            assert!(words.iter().any(|word| word.starts_with(fragment)), "{fragment} in {text}");
        }
    }
}
