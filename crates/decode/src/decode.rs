//! Decodes with the snapshot, and drops results of the decoding library that the VIN does not back.
//!
//! The library is a port of NHTSA's `spVinDecode`, which is made for whole VINs of registered manufacturers. Other input
//! needs the corrections below.

use std::borrow::Cow;

use garage_domain::vin;
use jiff::Timestamp;
use ultravin::{DecodeResult, DecodedElement};

use crate::{
    CheckDigit, Decode, DecodeError, DecodedFields, DecodedValue, Detail, Fact, PossibleCharacters, Snapshot, Source,
    VinQuery,
    country::country_of,
    engine::{self, EngineFacts, number},
    pinned,
    year::YearPolicy,
};

/// vPIC's numbers of the variables that fill a vehicle's fields.
mod element {
    pub const BODY_CLASS: i32 = 5;
    pub const CYLINDERS: i32 = 9;
    pub const DISPLACEMENT_CC: i32 = 11;
    pub const DISPLACEMENT_L: i32 = 13;
    pub const DRIVE_TYPE: i32 = 15;
    pub const FUEL_TYPE: i32 = 24;
    pub const MAKE: i32 = 26;
    pub const MODEL: i32 = 28;
    pub const TRANSMISSION: i32 = 37;
    pub const TRIM: i32 = 38;
    pub const VEHICLE_TYPE: i32 = 39;
    pub const ENGINE_CONFIGURATION: i32 = 64;
    pub const SUGGESTED_VIN: i32 = 142;
    pub const ERROR_CODE: i32 = 143;
    pub const POSSIBLE_VALUES: i32 = 144;
    pub const ADDITIONAL_ERROR_TEXT: i32 = 156;
    pub const ERROR_TEXT: i32 = 191;
    pub const VEHICLE_DESCRIPTOR: i32 = 196;
    pub const MODEL_YEAR: i32 = 29;
}

/// vPIC's error codes that are handled here.
pub(crate) mod error_code {
    pub const CLEAN: i32 = 0;
    pub const INCOMPLETE: i32 = 6;
    pub const UNREGISTERED: i32 = 7;
    pub const NO_DETAIL: i32 = 8;
    pub const YEAR_CHARACTER: i32 = 11;
    pub const YEAR_CONTRADICTS: i32 = 12;
    pub const UNMATCHED_CHARACTERS: i32 = 14;
    pub const INVALID_CHARACTERS: i32 = 400;
}

/// A manufacturer's pattern needs this many characters to match as a whole.
const DESCRIPTOR_LENGTH: usize = 8;
impl Snapshot {
    /// Decodes a VIN or a part of one. The answer repeats `input`, which is what the person typed. `model_year` selects
    /// one of two years that the VIN fits, and is ignored (with error 12) if the VIN means another year. Never fails:
    /// the answer contains the VIN's errors.
    #[must_use]
    pub fn decode<'a>(
        &'a self,
        input: &'a str,
        query: &'a VinQuery,
        model_year: Option<i32>,
        detail: Detail,
        now: Timestamp,
    ) -> Decode<'a> {
        let ask = |model_year| self.db.decode_at(query.as_str(), model_year, now.as_microsecond());
        let mut result = ask(None);
        let year_policy = YearPolicy::new(query, model_year, self.is_light_vehicle(&result.wmi), now);
        let mut years = year_policy.judge(result.model_year, is_registered(&result));
        let mut contradiction = None;
        if let Some(year) = model_year.filter(|year| result.model_year != Some(*year)) {
            let with_year = ask(Some(year));
            if years.year.is_none() || year_policy.fits_request(&years) {
                result = with_year;
                years = year_policy.judge(result.model_year, is_registered(&result));
            } else {
                // Keep the library's warning, not its result: it looks for a vehicle of that year.
                contradiction =
                    errors(query, &with_year).into_iter().find(|error| error.code == error_code::YEAR_CONTRADICTS);
            }
        }
        let full_vin = query.is_full_vin().then_some(query.as_str());
        Decode {
            input: Cow::Borrowed(input),
            check_digit: full_vin.and_then(check_digit),
            suggested_vin: suggested_vin(query, &result),
            vin: full_vin.map(Cow::Borrowed),
            model_year: years.year,
            fields: fields(&result.elements, years.year),
            facts: (detail == Detail::Full).then(|| facts(query, &result.elements, years.year)),
            errors: match contradiction {
                Some(contradiction) => {
                    let others = errors(query, &result).into_iter().filter(|error| error.code != error_code::CLEAN);
                    others.chain([contradiction]).collect()
                }
                None => errors(query, &result),
            },
            possible: possible_characters(query, &result.elements),
            years: years.candidates,
            year_policy,
            error: None,
        }
    }

    fn is_light_vehicle(&self, wmi: &str) -> bool {
        const PASSENGER_CAR: i32 = 2;
        const TRUCK: i32 = 3;
        const MULTIPURPOSE: i32 = 7;
        const LIGHT_TRUCK: i32 = 1;
        self.db.wmi_any(wmi).is_some_and(|record| match record.vehicletypeid.to_native() {
            PASSENGER_CAR | MULTIPURPOSE => true,
            TRUCK => record.trucktypeid.to_native() == LIGHT_TRUCK,
            _ => false,
        })
    }
}

fn is_registered(result: &DecodeResult<'_>) -> bool {
    !result.error_codes.contains(&error_code::UNREGISTERED)
}

fn check_digit(vin: &str) -> Option<CheckDigit> {
    let expected = vin::expected_check_digit(vin)?;
    Some(CheckDigit { valid: vin[vin::CHECK_DIGIT_INDEX..].starts_with(expected), expected })
}

fn fields<'a>(elements: &[DecodedElement<'a>], year: Option<i32>) -> DecodedFields<'a> {
    fn decoded<T>(value: T) -> DecodedValue<T> {
        DecodedValue { value, source: Source::Snapshot, month: Some(pinned::MONTH) }
    }
    let mut fields = DecodedFields { year: year.map(decoded), ..DecodedFields::default() };
    let mut engine = EngineFacts::default();
    for element in elements {
        // Match the number before the value: most of the 40 variables of a VIN fill no field.
        let field = match element.element_id {
            element::MAKE => &mut fields.make,
            element::MODEL => &mut fields.model,
            element::TRIM => &mut fields.trim_level,
            element::TRANSMISSION => &mut fields.transmission,
            element::DRIVE_TYPE => &mut fields.drive_type,
            element::FUEL_TYPE => &mut fields.fuel_type,
            element::BODY_CLASS => &mut fields.body_class,
            element::VEHICLE_TYPE => &mut fields.vehicle_type,
            other => {
                let part = match other {
                    element::DISPLACEMENT_L => &mut engine.displacement_l,
                    element::DISPLACEMENT_CC => &mut engine.displacement_cc,
                    element::CYLINDERS => &mut engine.cylinders,
                    element::ENGINE_CONFIGURATION => &mut engine.configuration,
                    _ => continue,
                };
                *part = present(&element.value);
                continue;
            }
        };
        *field = map_text(&element.value, present).map(decoded);
    }
    fields.engine = engine::label(&engine).map(Cow::Owned).map(decoded);
    fields
}

/// The trimmed value, `None` if vPIC's text means that there is no value.
fn present(value: &str) -> Option<&str> {
    // Almost all values are trimmed already, and checking that is cheaper than trimming.
    let is_trimmed = matches!(value.as_bytes(), [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~']);
    let value = if is_trimmed { value } else { value.trim() };
    (!value.is_empty() && value != "Not Applicable").then_some(value)
}

/// Applies `part` to text of the snapshot; the result is borrowed from the snapshot if the text is.
fn map_text<'a>(text: &Cow<'a, str>, part: impl FnOnce(&str) -> Option<&str>) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => part(text).map(Cow::Borrowed),
        Cow::Owned(text) => part(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

fn facts<'a>(query: &VinQuery, elements: &[DecodedElement<'a>], year: Option<i32>) -> Vec<Fact<'a>> {
    let mut facts = Vec::with_capacity(elements.len() + 1);
    if let Some(country) = country_of(query.as_str()) {
        facts.push(Fact {
            group: Cow::Borrowed("General"),
            name: Cow::Borrowed("Country of Manufacturer"),
            code: Cow::Borrowed("WmiCountry"),
            value: Cow::Borrowed(country.name),
            source: Source::Iso3780,
        });
    }
    for element in elements {
        let is_about_the_vin = matches!(
            element.element_id,
            element::SUGGESTED_VIN
                | element::ERROR_CODE
                | element::POSSIBLE_VALUES
                | element::ADDITIONAL_ERROR_TEXT
                | element::ERROR_TEXT
                | element::VEHICLE_DESCRIPTOR
        );
        let is_withheld_year = element.element_id == element::MODEL_YEAR && year.is_none();
        if is_about_the_vin || is_withheld_year {
            continue;
        }
        let Some(value) = map_text(&element.value, present) else { continue };
        facts.push(Fact {
            group: Cow::Borrowed(element.group_name),
            name: Cow::Borrowed(element.variable),
            code: Cow::Borrowed(element.code),
            value: fact_value(element.code, value),
            source: Source::Snapshot,
        });
    }
    facts
}

/// A fact's value as it is shown. vPIC computes some displacements from cubic inches, with nine decimals.
pub(crate) fn fact_value<'a>(code: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    match number(&value) {
        Some(liters) if code == "DisplacementL" => Cow::Owned(format!("{liters:.1}")),
        _ => value,
    }
}

fn find<'e, 'a>(elements: &'e [DecodedElement<'a>], id: i32) -> &'e Cow<'a, str> {
    elements.iter().find(|element| element.element_id == id).map_or(&Cow::Borrowed(""), |element| &element.value)
}

/// vPIC's errors with one message each. While characters are missing, errors that only say so are dropped.
fn errors<'a>(query: &VinQuery, result: &DecodeResult<'a>) -> Vec<DecodeError<'a>> {
    let is_whole = query.as_str().len() == vin::FULL_LENGTH && !query.as_str().contains('*');
    let is_premature = |code: i32| match code {
        error_code::INCOMPLETE | error_code::UNREGISTERED | error_code::NO_DETAIL | error_code::YEAR_CHARACTER => {
            !is_whole
        }
        error_code::UNMATCHED_CHARACTERS => query.as_str().len() < DESCRIPTOR_LENGTH,
        _ => false,
    };
    let mut errors = match find(&result.elements, element::ERROR_TEXT) {
        Cow::Borrowed(text) => split_errors(text, &result.error_codes, Cow::Borrowed),
        Cow::Owned(text) => split_errors(text, &result.error_codes, |message| Cow::Owned(message.to_owned())),
    };
    errors.retain(|error| !is_premature(error.code));
    errors
}

/// Splits the text of all codes, `1 - …; 14 - …`. A message may contain a semicolon of its own, so it ends where the
/// next code begins.
fn split_errors<'t, 'a>(
    text: &'t str,
    codes: &[i32],
    message_text: impl Fn(&'t str) -> Cow<'a, str>,
) -> Vec<DecodeError<'a>> {
    let mut rest = text;
    let mut errors = Vec::with_capacity(codes.len());
    for (index, code) in codes.iter().enumerate() {
        rest = split_code(rest).map_or(rest, |(_, message)| message);
        let next = codes.get(index + 1);
        let begins_next = |end: &usize| {
            let code = rest[end + 1..].strip_prefix(' ').and_then(split_code);
            code.is_some_and(|(code, _)| next.is_some_and(|next| code.parse() == Ok(*next)))
        };
        let end = next.and_then(|_| rest.match_indices(';').map(|(at, _)| at).find(begins_next));
        let message;
        (message, rest) = end.map_or((rest, ""), |end| (&rest[..end], rest[end + 1..].trim_start()));
        errors.push(DecodeError { code: *code, message: message_text(message) });
    }
    errors
}

/// The code and the message of text such as `14 - Unable to …`.
fn split_code(text: &str) -> Option<(&str, &str)> {
    let message = text.trim_start_matches(|character: char| character.is_ascii_digit());
    Some((&text[..text.len() - message.len()], message.strip_prefix(" - ")?))
}

/// The characters that would fit, from vPIC's text `(8:6)(12:ABF)`. For I, O and Q, which no VIN contains, the digit that
/// they look like.
fn possible_characters(query: &VinQuery, elements: &[DecodedElement<'_>]) -> Vec<PossibleCharacters> {
    let mut possible: Vec<PossibleCharacters> = find(elements, element::POSSIBLE_VALUES)
        .split(')')
        .filter_map(|pair| {
            let (position, characters) = pair.split_once(':')?;
            let position = position.trim_start_matches(['(', ' ']).parse().ok()?;
            // Skip positions that were not typed, and wildcards.
            let is_typed = query.known_at(usize::try_from(position).ok()?).is_some();
            (is_typed && query.as_str().len() >= DESCRIPTOR_LENGTH)
                .then(|| PossibleCharacters { position, characters: characters.to_owned() })
        })
        .collect();
    for (index, byte) in query.as_str().bytes().enumerate().filter(|(_, byte)| vin::is_ambiguous(*byte)) {
        let position = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if !possible.iter().any(|other| other.position == position) {
            possible.push(PossibleCharacters { position, characters: look_alike(byte).to_string() });
        }
    }
    possible.sort_by_key(|possible| possible.position);
    possible
}

fn look_alike(byte: u8) -> char {
    if byte == b'I' { '1' } else { '0' }
}

/// A complete, valid VIN: vPIC's suggestion if it has no unknown characters (`!`), or else the query with I, O and Q
/// replaced by the digits they look like. Only if its check digit is correct.
fn suggested_vin(query: &VinQuery, result: &DecodeResult<'_>) -> Option<String> {
    let is_valid = |candidate: &str| {
        // Only 17 characters of a VIN's alphabet have a check digit.
        candidate != query.as_str() && check_digit(candidate).is_some_and(|check_digit| check_digit.valid)
    };
    let suggested = result.corrected_vin.trim();
    if is_valid(suggested) {
        return Some(suggested.to_owned());
    }
    if !result.error_codes.contains(&error_code::INVALID_CHARACTERS) {
        return None;
    }
    let replaced: String = query
        .as_str()
        .bytes()
        .map(|byte| if vin::is_ambiguous(byte) { look_alike(byte) } else { char::from(byte) })
        .collect();
    is_valid(&replaced).then_some(replaced)
}
