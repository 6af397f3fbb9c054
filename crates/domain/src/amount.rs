//! Amounts of money as decimal text: no floats, and one spelling for each amount.

use iso_currency::Currency;

/// The largest amount, as error messages state it.
const GREATEST: &str = "9999999.99";
const GREATEST_THOUSANDTHS: u64 = 9_999_999_990;
/// The most decimal places a currency can have here, as in the Kuwaiti dinar.
const MOST_PLACES: usize = 3;

/// Why text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnAmount {
    /// The text is not digits with an optional point and one to three decimals.
    Form,
    /// The amount is negative or larger than [`GREATEST`].
    OutOfRange,
}

impl NotAnAmount {
    /// The message about a field with this text.
    pub fn message(self, name: &str) -> String {
        match self {
            NotAnAmount::Form => format!("{name} must be an amount such as 129.90"),
            NotAnAmount::OutOfRange => format!("{name} must be between 0 and {GREATEST}"),
        }
    }
}

/// Checks the form and size of an amount and removes trailing and leading zeros: `0129.900` becomes `129.9`.
///
/// # Errors
/// [`NotAnAmount::Form`] or [`NotAnAmount::OutOfRange`].
pub fn parse(text: &str) -> Result<String, NotAnAmount> {
    if let Some(positive) = text.strip_prefix('-') {
        return Err(parse(positive).map_or_else(|error| error, |_| NotAnAmount::OutOfRange));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > MOST_PLACES {
        return Err(NotAnAmount::Form);
    }
    let thousandths =
        format!("{whole}{fraction:0<MOST_PLACES$}").parse::<u64>().map_err(|_| NotAnAmount::OutOfRange)?;
    if thousandths > GREATEST_THOUSANDTHS {
        return Err(NotAnAmount::OutOfRange);
    }
    Ok(spelled(thousandths, 0))
}

/// Spells a valid amount with the decimal places of its currency: `129.90` in EUR, `130` in JPY. Returns `None` if the
/// amount has more decimal places than the currency.
#[must_use]
pub fn in_currency(amount: &str, code: &str) -> Option<String> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let thousandths = format!("{whole}{fraction:0<MOST_PLACES$}").parse().ok()?;
    let spelled = spelled(thousandths, places(code));
    let has_more = spelled.split_once('.').map_or(0, |(_, fraction)| fraction.len()) > places(code);
    (!has_more).then_some(spelled)
}

/// Decimal places of a currency (ISO 4217); 2 for unknown currencies.
#[must_use]
pub fn places(code: &str) -> usize {
    let exponent = Currency::from_code(code).and_then(Currency::exponent).unwrap_or(2);
    usize::from(exponent).min(MOST_PLACES)
}

/// Formats thousandths with at least `places` decimals, and more only if they are not zero.
fn spelled(thousandths: u64, places: usize) -> String {
    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
    let fraction = format!("{rest:0MOST_PLACES$}");
    let needed = fraction.trim_end_matches('0').len().max(places);
    if needed == 0 { whole.to_string() } else { format!("{whole}.{}", &fraction[..needed]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_normalizes_spelling() {
        for (text, code, spelled) in [
            ("129.9", "EUR", Some("129.90")),
            ("0129.900", "EUR", Some("129.90")),
            ("129", "EUR", Some("129.00")),
            ("0", "USD", Some("0.00")),
            ("130", "JPY", Some("130")),
            ("130.00", "JPY", Some("130")),
            ("130.5", "JPY", None),
            ("1.234", "KWD", Some("1.234")),
            ("1.234", "EUR", None),
            ("9999999.99", "EUR", Some("9999999.99")),
        ] {
            let amount = parse(text).expect("an amount");
            assert_eq!(in_currency(&amount, code).as_deref(), spelled, "{text} {code}");
            let again = spelled.map(|spelled| in_currency(spelled, code).expect("the same"));
            assert_eq!(again.as_deref(), spelled);
        }
    }

    #[test]
    fn parse_rejects_invalid_amounts() {
        for text in ["", ".", "1.", ".5", "-", "-1,5", "+1", "1,5", "1e3", "1.2345", "1 000", "٣", "1.2.3"] {
            assert_eq!(parse(text), Err(NotAnAmount::Form), "{text}");
        }
        for text in ["-1", "-0.50", "10000000", "9999999.991", "99999999999999999999999"] {
            assert_eq!(parse(text), Err(NotAnAmount::OutOfRange), "{text}");
        }
    }
}
