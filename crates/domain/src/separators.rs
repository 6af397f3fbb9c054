//! Numbers that were typed with separators between groups of digits. They are refused, because 1.000 is either a thousand
//! or one; the message says how to write them.

use serde_json::{Map, Value};

use crate::{Collection, Field, FieldError, Invalid, Rule};

impl Field {
    /// Adds to a message about `text`, if it is a number with separators, how to write it.
    #[must_use]
    pub fn with_hint(&self, message: String, text: &str) -> String {
        let number = match self.rule {
            Rule::Year | Rule::Integer { .. } => without_separators(text),
            Rule::Amount => amount_without_separators(text),
            _ => None,
        };
        match number {
            Some(number) => format!("{message}; write {number} without separators"),
            None => message,
        }
    }
}

impl Invalid {
    /// Adds to the message of each field that `draft` gives a number with separators how to write it.
    #[must_use]
    pub fn with_hints(self, collection: &Collection, draft: &Map<String, Value>) -> Invalid {
        let Invalid::Fields(errors) = self else { return self };
        let with_hint = |FieldError { field, message }| {
            let given = draft.get(&field).and_then(Value::as_str);
            let message = match collection.field(&field).zip(given) {
                Some((declared, text)) => declared.with_hint(message, text),
                None => message,
            };
            FieldError { field, message }
        };
        Invalid::Fields(errors.into_iter().map(with_hint).collect())
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the digits of an integer whose groups are separated, as in 50.000, 50,000, 50 000 or 1'000.
fn without_separators(text: &str) -> Option<String> {
    let is_separator = |letter: char| matches!(letter, '.' | ',' | '\'' | '’' | '_') || letter.is_whitespace();
    let (sign, digits) = text.trim().strip_prefix('-').map_or(("", text.trim()), |digits| ("-", digits));
    let groups: Vec<&str> = digits.split(is_separator).collect();
    let (first, others) = groups.split_first()?;
    let are_digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    // Lakhs and crores have groups of two; the last one always has three, or it would be a decimal.
    let (last, middle) = others.split_last()?;
    let are_groups = (1..=3).contains(&first.len()) && middle.iter().all(|it| (2..=3).contains(&it.len()));
    (are_digits && are_groups && last.len() == 3).then(|| format!("{sign}{}", groups.concat()))
}

/// Returns an amount without separators, such as 1.299,90, 1,299.90 or 129,90.
fn amount_without_separators(text: &str) -> Option<String> {
    let whole = |text: &str| if is_integer(text) { Some(text.to_owned()) } else { without_separators(text) };
    let decimal = text.trim().rsplit_once(['.', ',']).filter(|(_, decimals)| matches!(decimals.len(), 1 | 2));
    match decimal {
        Some((units, decimals)) if is_integer(decimals) => {
            let written = format!("{}.{decimals}", whole(units)?);
            (written != text.trim()).then_some(written)
        }
        _ => without_separators(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_separators_get_a_hint() {
        for (text, hint) in [
            ("129,90", Some("129.90")),
            ("1.299,90", Some("1299.90")),
            ("1,299.90", Some("1299.90")),
            ("1 299,9", Some("1299.9")),
            ("1'299.90", Some("1299.90")),
            ("1,234,567", Some("1234567")),
            ("1.299", Some("1299")),
            ("129.90", None),
            ("EUR 5", None),
            ("5 €", None),
            ("", None),
        ] {
            assert_eq!(amount_without_separators(text).as_deref(), hint, "{text}");
        }
    }
}
