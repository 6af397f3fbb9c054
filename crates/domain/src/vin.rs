//! Vehicle identification numbers: normalization of input, and the rules of ISO 3779 and 49 CFR 565.
//!
//! Decoding a VIN is in the crate `garage-decode`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The length of a full VIN (ISO 3779, since model year 1981).
pub const FULL_LENGTH: usize = 17;
/// The minimum length of a VIN; numbers from before 1981 follow no standard.
pub const SHORTEST_LENGTH: usize = 5;
/// The zero-based index of the check digit.
pub const CHECK_DIGIT_INDEX: usize = 8;

/// Why text is not a VIN. Displays as the contract's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VinError {
    /// It has a character other than A-Z and 0-9.
    #[error("VIN can contain only letters and digits")]
    Characters,
    /// It is shorter than 5 or longer than 17 characters.
    #[error("VIN must be 17 characters, or 5 to 16 for vehicles before 1981")]
    Length,
    /// It is a full VIN with I, O or Q, which ISO 3779 excludes.
    #[error("VIN cannot contain I, O or Q")]
    AmbiguousLetters,
}

/// A validated VIN in upper case: 17 characters, or 5 to 16 for vehicles from before 1981.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "specta", derive(specta::Type), specta(type = String))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Vin(String);

impl Vin {
    /// Normalizes `vin_text` with [`clean`] and validates the result.
    ///
    /// # Errors
    /// [`VinError::Characters`], [`VinError::Length`] or [`VinError::AmbiguousLetters`], checked in this order.
    pub fn parse(vin_text: &str) -> Result<Vin, VinError> {
        let vin = clean(vin_text);
        if !vin.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(VinError::Characters);
        }
        if !(SHORTEST_LENGTH..=FULL_LENGTH).contains(&vin.len()) {
            return Err(VinError::Length);
        }
        if vin.len() == FULL_LENGTH && vin.bytes().any(is_ambiguous) {
            return Err(VinError::AmbiguousLetters);
        }
        Ok(Vin(vin))
    }

    /// Wraps a VIN from a database without validation, because other programs may have written it. `None` if it is
    /// blank.
    #[must_use]
    pub fn stored(vin: String) -> Option<Vin> {
        (!vin.trim().is_empty()).then_some(Vin(vin))
    }

    /// Returns the VIN in upper case, without spaces or dashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a 17-character VIN and not a number from before 1981.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() == FULL_LENGTH
    }
}

impl fmt::Display for Vin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Vin {
    type Error = VinError;

    fn try_from(vin_text: String) -> Result<Vin, VinError> {
        Vin::parse(&vin_text)
    }
}

impl From<Vin> for String {
    fn from(vin: Vin) -> String {
        vin.0
    }
}

/// Removes spaces and dashes, and converts ASCII letters to upper case.
#[must_use]
pub fn clean(vin_text: &str) -> String {
    // Fast path: most VINs contain neither, and bulk decoding calls this for each line.
    if vin_text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return vin_text.to_ascii_uppercase();
    }
    vin_text
        .chars()
        .filter(|character| !character.is_whitespace() && !is_dash(*character))
        .map(|character| character.to_ascii_uppercase())
        .collect()
}

/// Whether the letter is I, O or Q, which ISO 3779 excludes because they resemble digits.
#[must_use]
pub fn is_ambiguous(byte: u8) -> bool {
    matches!(byte, b'I' | b'O' | b'Q')
}

/// Whether the character is a hyphen, or one that word processors put in its place.
fn is_dash(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Finds the full VIN in running text, such as a sentence from a listing.
///
/// A candidate is a word of 17 letters and digits, or several adjacent words with 17 in total (`1HGCM 82633 A004352`).
/// A candidate with a correct check digit wins over others. Without one it must contain a digit, because ordinary
/// words could match.
#[must_use]
pub fn find(text: &str) -> Option<Vin> {
    let words: Vec<String> = text
        .split(|character: char| !character.is_alphanumeric() && !is_dash(character))
        .map(clean)
        .filter(|word| !word.is_empty())
        .collect();
    let mut fallback = None;
    for start in 0..words.len() {
        let mut joined = String::new();
        for word in &words[start..] {
            joined.push_str(word);
            if joined.len() >= FULL_LENGTH {
                break;
            }
        }
        if joined.len() != FULL_LENGTH {
            continue;
        }
        if let Ok(vin) = Vin::parse(&joined) {
            if expected_check_digit(vin.as_str()) == vin.as_str()[CHECK_DIGIT_INDEX..].chars().next() {
                return Some(vin);
            }
            if fallback.is_none() && vin.as_str().bytes().any(|byte| byte.is_ascii_digit()) {
                fallback = Some(vin);
            }
        }
    }
    fallback
}

/// Computes the check digit from the other sixteen characters (49 CFR 565.15 (c)). Returns `None` if `vin` is not 17
/// characters of the VIN alphabet. Ignores the current check digit.
#[must_use]
pub fn expected_check_digit(vin: &str) -> Option<char> {
    const WEIGHTS: [u32; FULL_LENGTH] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    if vin.len() != FULL_LENGTH {
        return None;
    }
    let mut sum = 0;
    for (index, byte) in vin.bytes().enumerate() {
        if index != CHECK_DIGIT_INDEX {
            sum += WEIGHTS[index] * transliterate(byte)?;
        }
    }
    match sum % 11 {
        10 => Some('X'),
        digit => char::from_digit(digit, 10),
    }
}

/// Returns a character's value in the check digit sum (49 CFR 565.15, table III).
fn transliterate(byte: u8) -> Option<u32> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'H' => byte - b'A' + 1,
        b'J'..=b'N' => byte - b'J' + 1,
        b'P' => 7,
        b'R' => 9,
        b'S'..=b'Z' => byte - b'S' + 2,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parse_ignores_case_spaces_and_dashes() {
        for vin_text in [
            "1HGCM82633A004352",
            " 1hgcm82633a004352\n",
            "1HGCM-82633-A004352",
            "1HG CM8 2633 A00 4352",
            "1HGCM\u{2013}82633\u{2011}A004352",
        ] {
            assert_eq!(Vin::parse(vin_text).map(String::from), Ok("1HGCM82633A004352".to_owned()), "{vin_text:?}");
        }
    }

    #[test]
    fn numbers_before_1981_can_be_short_and_contain_any_letter() {
        assert_eq!(Vin::parse("10Q-IO").map(String::from), Ok("10QIO".to_owned()));
        assert!(Vin::parse("1234567890123456").is_ok_and(|vin| !vin.is_full()));
    }

    #[test]
    fn parse_reports_errors_in_contract_order() {
        use VinError::{AmbiguousLetters, Characters, Length};
        for (vin_text, error) in [
            ("1234", Length),
            ("", Length),
            ("1HGCM82633A0043521", Length),
            (&"1".repeat(1000), Length),
            ("1HGCM8263IA004352", AmbiguousLetters),
            ("1HGCM8263OA004352", AmbiguousLetters),
            ("1HGCM8263QA004352", AmbiguousLetters),
            ("1HGCM82633A00435😀", Characters),
            ("1HGCM82633A00435\0", Characters),
            ("1HGCM82633A004352\u{200f}", Characters),
            // Unicode upper-casing would turn this dotless i into an ASCII I.
            ("\u{131}HGCM82633A004352", Characters),
            ("1HGCM8*633A004352", Characters),
            ("$", Characters),
        ] {
            assert_eq!(Vin::parse(vin_text), Err(error), "{vin_text:?}");
        }
    }

    #[test]
    fn check_digit_matches_published_vins() {
        for vin in ["1HGCM82633A004352", "1M8GDM9AXKP042788", "11111111111111111", "1HGBH41JXMN109186"] {
            assert_eq!(expected_check_digit(vin), vin.chars().nth(CHECK_DIGIT_INDEX), "{vin}");
        }
        assert_eq!(expected_check_digit("1HGCM8Z633A004352").map(|digit| digit == '3'), Some(false));
        assert_eq!(expected_check_digit("1HGCM82633A00435"), None);
        assert_eq!(expected_check_digit("1HGCM82I33A004352"), None);
    }

    #[test]
    fn letters_have_the_values_of_the_regulation() {
        let table = "ABCDEFGH JKLMN P R STUVWXYZ".bytes().zip("12345678 12345 7 9 23456789".bytes());
        for (letter, value) in table.filter(|(letter, _)| *letter != b' ') {
            assert_eq!(transliterate(letter), Some(u32::from(value - b'0')), "{}", char::from(letter));
        }
        for other in *b"IOQ-a" {
            assert_eq!(transliterate(other), None);
        }
    }

    #[test]
    fn vins_of_a_database_are_kept_as_they_are_unless_blank() {
        let stored = |vin: &str| Vin::stored(vin.to_owned()).map(|vin| vin.to_string());
        assert_eq!([stored("odd vin!"), stored(" \t"), stored("")], [Some("odd vin!".to_owned()), None, None]);
        assert!(Vin::stored("1HGCM82633A004352".to_owned()).is_some_and(|vin| vin.is_full()));
    }

    #[test]
    fn finds_vin_in_a_sentence() {
        let vin = |text: &str| find(text).map(String::from);
        let accord = Some("1HGCM82633A004352".to_owned());
        assert_eq!(vin("For sale: 2003 Accord, VIN 1hgcm82633a004352, one owner."), accord);
        assert_eq!(vin("VIN: 1HGCM-82633-A004352!"), accord);
        assert_eq!(vin("vin is 1HGCM 82633 A004352 ok"), accord);
        assert_eq!(vin("HELLO WORLD"), None);
        assert_eq!(vin("ABCDEFGHJKLMNPRST"), None, "words are no VIN");
        assert_eq!(vin("1HGCM82633A0043521"), None, "a part of a longer number is no VIN");
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent_and_a_parsed_vin_parses_to_itself(vin_text in "\\PC{0,24}|[ a-zA-Z0-9-]{0,24}") {
            let cleaned = clean(&vin_text);
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
            if let Ok(vin) = Vin::parse(&vin_text) {
                prop_assert_eq!(vin.as_str(), &cleaned);
                prop_assert_eq!(Vin::parse(vin.as_str()), Ok(vin));
            }
        }

        #[test]
        fn one_wrong_character_never_keeps_the_check_digit_unless_the_sum_agrees(
            vin in "[A-HJ-NPR-Z0-9]{17}", index in 0usize..17, other in "[A-HJ-NPR-Z0-9]"
        ) {
            let mut changed = vin.clone();
            changed.replace_range(index..=index, &other);
            let equal_value = transliterate(vin.as_bytes()[index]) == transliterate(other.as_bytes()[0]);
            let same_digit = expected_check_digit(&vin) == expected_check_digit(&changed);
            prop_assert_eq!(same_digit, equal_value || index == CHECK_DIGIT_INDEX);
        }
    }
}
