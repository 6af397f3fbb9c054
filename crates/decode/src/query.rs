//! The decoder's input.

use garage_domain::vin::{self, FULL_LENGTH, Vin, VinError};

/// Characters from which a VIN names its manufacturer.
const SHORTEST_QUERY: usize = 3;

/// A VIN or a part of one: 3 to 17 of A-Z, 0-9 and `*` (unknown), upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VinQuery(String);

impl VinQuery {
    /// Cleans the text; if it is a sentence, takes the VIN that it contains.
    ///
    /// # Errors
    /// The text contains no VIN, and has other characters ([`VinError::Characters`]) or is too short or too long
    /// ([`VinError::Length`]).
    pub fn parse(vin_text: &str) -> Result<VinQuery, VinError> {
        if (SHORTEST_QUERY..=FULL_LENGTH).contains(&vin_text.len())
            && all(vin_text, |byte| byte.is_ascii_alphanumeric())
        {
            return Ok(VinQuery(vin_text.to_ascii_uppercase()));
        }
        let cleaned = vin::clean(vin_text);
        let has_only_allowed = cleaned.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'*');
        if has_only_allowed && (SHORTEST_QUERY..=FULL_LENGTH).contains(&cleaned.len()) {
            return Ok(VinQuery(cleaned));
        }
        match vin::find(vin_text) {
            Some(vin) => Ok(VinQuery(vin.into())),
            None if has_only_allowed => Err(VinError::Length),
            None => Err(VinError::Characters),
        }
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The VIN, if this is a whole one of 17 characters.
    #[must_use]
    pub fn full_vin(&self) -> Option<Vin> {
        // Check the length first, because most queries are parts.
        if self.0.len() == FULL_LENGTH { Vin::parse(&self.0).ok() } else { None }
    }

    pub(crate) fn is_full_vin(&self) -> bool {
        self.0.len() == FULL_LENGTH && all(&self.0, |byte| byte != b'*' && !vin::is_ambiguous(byte))
    }

    /// The character at a position counted from 1, `None` where it is unknown or not typed yet.
    pub(crate) fn known_at(&self, position: usize) -> Option<u8> {
        self.0.as_bytes().get(position - 1).copied().filter(|byte| *byte != b'*')
    }
}

/// Whether all bytes pass. Checks every byte so that the compiler vectorizes it, which is faster for 17 bytes.
fn all(text: &str, passes: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & passes(byte))
}

impl From<&Vin> for VinQuery {
    fn from(vin: &Vin) -> VinQuery {
        VinQuery(vin.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_parts_wildcards_and_sentences() {
        for (vin_text, query) in [
            ("1hg", "1HG"),
            ("5uxwx7c5*ba", "5UXWX7C5*BA"),
            ("1HGCM-82633-A004352", "1HGCM82633A004352"),
            ("The VIN is 1HGCM82633A004352, see photo", "1HGCM82633A004352"),
            ("HELLO WORLD", "HELLOWORLD"),
        ] {
            assert_eq!(VinQuery::parse(vin_text).map(|query| query.0), Ok(query.to_owned()), "{vin_text}");
        }
    }

    #[test]
    fn rejects_text_that_is_no_part_of_a_vin() {
        for (vin_text, error) in [
            ("", VinError::Length),
            ("1H", VinError::Length),
            ("1HGCM82633A0043521", VinError::Length),
            (&"1".repeat(1000), VinError::Length),
            ("1HG😀", VinError::Characters),
            ("1HG\0", VinError::Characters),
            ("<script>alert(1)</script>", VinError::Characters),
        ] {
            assert_eq!(VinQuery::parse(vin_text), Err(error), "{vin_text:?}");
        }
    }
}
