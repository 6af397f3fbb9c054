//! The model years that a VIN can encode. The rules apply to results of the snapshot and of the vPIC API.

use jiff::Timestamp;

use crate::VinQuery;

const YEAR_POSITION: usize = 10;
/// The position that selects the 30-year cycle for light vehicles.
const CYCLE_POSITION: usize = 7;
/// The length of a cycle: position 10 has 30 values.
const YEAR_CYCLE: i32 = 30;
/// The first model year with 17-character VINs.
const FIRST_MODEL_YEAR: i32 = 1980;
/// How far in the future a decoded model year can be.
const YEARS_AHEAD: i32 = 2;

/// The year information in the VIN itself, before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct YearPolicy {
    /// The year from 1980 to 2009 that position 10 encodes; `None` if it encodes none or is missing.
    first_cycle: Option<i32>,
    has_cycle_position: bool,
    latest: i32,
    requested: Option<i32>,
    /// Whether the snapshot's manufacturer makes cars, multipurpose vehicles or light trucks.
    is_light_vehicle: bool,
}

/// The model year of a decode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ModelYears {
    /// The decoded year.
    pub year: Option<i32>,
    /// The possible years, the decoded one first; empty without a decoded year.
    pub candidates: Vec<i32>,
}

impl YearPolicy {
    pub fn new(query: &VinQuery, requested: Option<i32>, is_light_vehicle: bool, now: Timestamp) -> YearPolicy {
        YearPolicy {
            first_cycle: query.known_at(YEAR_POSITION).and_then(first_cycle_year),
            has_cycle_position: query.known_at(CYCLE_POSITION).is_some(),
            latest: ultravin::current_year_at(now.as_microsecond()) + YEARS_AHEAD,
            requested,
            is_light_vehicle,
        }
    }

    /// Returns a copy with another source's information about the vehicle type.
    pub fn with_light_vehicle(self, is_light_vehicle: Option<bool>) -> YearPolicy {
        YearPolicy { is_light_vehicle: is_light_vehicle.unwrap_or(self.is_light_vehicle), ..self }
    }

    /// Checks a decoded year. It is accepted only if position 10 encodes it and the manufacturer is registered;
    /// otherwise position 10 may not be a year at all (`HELLO WORLD` has a year character there).
    ///
    /// For cars, multipurpose vehicles and light trucks, position 7 selects one of the two years of position 10 (49
    /// CFR 565.15 (d)), which the decoder has already applied. For others both years are possible, unless one is in
    /// the future.
    pub fn judge(&self, decoded: Option<i32>, is_registered: bool) -> ModelYears {
        let encoded = self.encoded_years();
        let Some(year) = decoded.filter(|year| is_registered && encoded.clone().any(|other| other == *year)) else {
            return ModelYears::default();
        };
        if self.has_cycle_position && self.is_light_vehicle {
            return ModelYears { year: Some(year), candidates: vec![year] };
        }
        let mut candidates = Vec::with_capacity(2);
        candidates.push(year);
        candidates.extend(encoded.filter(|other| *other != year));
        ModelYears { year: Some(year), candidates }
    }

    /// Returns the requested year if the VIN can encode it and another year was decoded.
    pub fn requested_instead_of(&self, years: &ModelYears) -> Option<i32> {
        let requested = self.requested.filter(|requested| years.year.is_some_and(|year| year != *requested));
        requested.filter(|requested| years.candidates.contains(requested))
    }

    /// Whether the VIN can encode the requested year; true if no year was requested.
    pub fn fits_request(&self, years: &ModelYears) -> bool {
        self.requested.is_none_or(|requested| years.candidates.contains(&requested))
    }

    fn encoded_years(&self) -> impl Iterator<Item = i32> + Clone + use<> {
        let latest = self.latest;
        let years = self.first_cycle.map(|first| [first, first + YEAR_CYCLE]);
        years.into_iter().flatten().filter(move |year| *year <= latest)
    }
}

/// Returns the year from 1980 to 2009 that a character encodes (49 CFR 565.15, table VII).
fn first_cycle_year(character: u8) -> Option<i32> {
    const CHARACTERS: &[u8] = b"ABCDEFGHJKLMNPRSTVWXY123456789";
    let index = CHARACTERS.iter().position(|candidate| *candidate == character)?;
    Some(FIRST_MODEL_YEAR + i32::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(vin: &str, is_light_vehicle: bool) -> YearPolicy {
        let now = "2026-11-23T12:00:00Z".parse().expect("a time");
        YearPolicy::new(&VinQuery::parse(vin).expect("a query"), None, is_light_vehicle, now)
    }

    #[test]
    fn year_requires_position_10_and_a_registered_manufacturer() {
        let candidates = |vin: &str, is_light, decoded| policy(vin, is_light).judge(decoded, true).candidates;
        assert_eq!(candidates("1UYVS2535CU123456", false, Some(2012)), [2012, 1982]);
        assert_eq!(candidates("1UYVS2535CU123456", false, Some(1982)), [1982, 2012]);
        assert_eq!(candidates("1UYVS2535CU123456", true, Some(2012)), [2012]);
        assert_eq!(candidates("1UYVS2*35CU123456", true, Some(2012)), [2012, 1982], "position 7 is unknown");
        assert_eq!(candidates("1UYVS25359U123456", false, Some(2009)), [2009], "2039 is in the future");
        assert_eq!(candidates("1UYVS2535CU123456", false, Some(2013)), [0; 0]);
        assert_eq!(candidates("1UYVS25350U123456", false, Some(2010)), [0; 0], "0 encodes no year");
        assert_eq!(candidates("1UYVS2535", false, Some(2012)), [0; 0], "position 10 is missing");
        assert_eq!(policy("1UYVS2535CU123456", false).judge(Some(2012), false), ModelYears::default());
    }
}
