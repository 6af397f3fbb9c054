//! The country and region of a manufacturer, from a VIN's first two characters.
//!
//! Source: the assignments of ISO 3780, maintained by SAE International; vPIC has no such table. It is the country of
//! the manufacturer, not of the plant. Ranges that differ between editions are omitted.

/// A country and its region, by English name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    /// The country.
    pub name: &'static str,
    /// The region of ISO 3780.
    pub region: &'static str,
}

/// The order of characters in ISO 3780.
const ORDER: &[u8] = b"ABCDEFGHJKLMNPRSTUVWXYZ1234567890";

/// First character, first and last second character, country.
const RANGES: &[(u8, u8, u8, &str)] = &[
    (b'A', b'A', b'H', "South Africa"),
    (b'D', b'A', b'E', "Egypt"),
    (b'D', b'F', b'K', "Morocco"),
    (b'F', b'F', b'K', "Nigeria"),
    (b'H', b'A', b'0', "China"),
    (b'J', b'A', b'0', "Japan"),
    (b'K', b'F', b'K', "Israel"),
    (b'K', b'L', b'R', "South Korea"),
    (b'L', b'A', b'0', "China"),
    (b'M', b'A', b'E', "India"),
    (b'M', b'F', b'K', "Indonesia"),
    (b'M', b'L', b'R', "Thailand"),
    (b'N', b'A', b'E', "Iran"),
    (b'N', b'L', b'R', "Turkey"),
    (b'P', b'A', b'C', "Philippines"),
    (b'P', b'L', b'R', "Malaysia"),
    (b'R', b'A', b'B', "United Arab Emirates"),
    (b'R', b'F', b'K', "Taiwan"),
    (b'R', b'L', b'N', "Vietnam"),
    (b'R', b'S', b'T', "Saudi Arabia"),
    (b'S', b'A', b'M', "United Kingdom"),
    (b'S', b'N', b'T', "Germany"),
    (b'S', b'U', b'Z', "Poland"),
    (b'T', b'A', b'H', "Switzerland"),
    (b'T', b'J', b'P', "Czech Republic"),
    (b'T', b'R', b'V', "Hungary"),
    (b'T', b'W', b'1', "Portugal"),
    (b'U', b'H', b'M', "Denmark"),
    (b'U', b'N', b'R', "Ireland"),
    (b'U', b'U', b'X', "Romania"),
    (b'U', b'5', b'7', "Slovakia"),
    (b'V', b'A', b'E', "Austria"),
    (b'V', b'F', b'R', "France"),
    (b'V', b'S', b'W', "Spain"),
    (b'V', b'3', b'5', "Croatia"),
    (b'V', b'6', b'8', "Estonia"),
    (b'W', b'A', b'0', "Germany"),
    (b'X', b'A', b'C', "Bulgaria"),
    (b'X', b'F', b'H', "Greece"),
    (b'X', b'L', b'R', "Netherlands"),
    (b'X', b'S', b'W', "Russia"),
    (b'X', b'3', b'0', "Russia"),
    (b'Y', b'A', b'E', "Belgium"),
    (b'Y', b'F', b'K', "Finland"),
    (b'Y', b'S', b'W', "Sweden"),
    (b'Y', b'3', b'5', "Belarus"),
    (b'Y', b'6', b'8', "Ukraine"),
    (b'Z', b'A', b'R', "Italy"),
    (b'Z', b'3', b'5', "Lithuania"),
    (b'1', b'A', b'0', "United States"),
    (b'2', b'A', b'0', "Canada"),
    (b'3', b'A', b'W', "Mexico"),
    (b'4', b'A', b'0', "United States"),
    (b'5', b'A', b'0', "United States"),
    (b'6', b'A', b'W', "Australia"),
    (b'7', b'A', b'E', "New Zealand"),
    (b'7', b'F', b'0', "United States"),
    (b'8', b'A', b'E', "Argentina"),
    (b'8', b'F', b'G', "Chile"),
    (b'8', b'L', b'N', "Ecuador"),
    (b'8', b'S', b'T', "Peru"),
    (b'8', b'X', b'Z', "Venezuela"),
    (b'9', b'A', b'E', "Brazil"),
    (b'9', b'3', b'9', "Brazil"),
];

/// The country a VIN's first two characters are assigned to, `None` for unassigned or disputed ones.
#[must_use]
pub fn country_of(vin: &str) -> Option<Country> {
    let [first, second, ..] = *vin.as_bytes() else { return None };
    let rank = |byte: u8| ORDER.iter().position(|candidate| *candidate == byte);
    let second = rank(second)?;
    let (.., name) = RANGES
        .iter()
        .find(|(start, from, to, _)| *start == first && rank(*from) <= Some(second) && Some(second) <= rank(*to))?;
    Some(Country { name, region: region_of(first)? })
}

fn region_of(first: u8) -> Option<&'static str> {
    match first {
        b'A'..=b'G' => Some("Africa"),
        b'H' | b'J'..=b'N' | b'P' | b'R' => Some("Asia"),
        b'S'..=b'Z' => Some("Europe"),
        b'1'..=b'5' => Some("North America"),
        b'6' => Some("Oceania"),
        b'7' => Some("Oceania and North America"),
        b'8' | b'9' => Some("South America"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_countries_of_well_known_manufacturers() {
        for (vin, country) in [
            ("1HG", Some("United States")),
            ("JHM", Some("Japan")),
            ("WAU", Some("Germany")),
            ("VF3", Some("France")),
            ("YV1", Some("Sweden")),
            ("KMH", Some("South Korea")),
            ("3VW", Some("Mexico")),
            ("9BW", Some("Brazil")),
            ("93Y", Some("Brazil")),
            ("7SA", Some("United States")),
            ("7A1", Some("New Zealand")),
            ("HJR", Some("China")),
            ("B12", None),
            ("O12", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(country_of(vin).map(|country| country.name), country, "{vin}");
        }
    }

    #[test]
    fn ranges_are_in_order_and_do_not_overlap() {
        let rank = |byte: u8| ORDER.iter().position(|candidate| *candidate == byte).expect("in the alphabet");
        for (first, from, to, name) in RANGES {
            assert!(rank(*from) <= rank(*to), "{name}");
            let overlapping = RANGES.iter().filter(|(other_first, other_from, other_to, _)| {
                other_first == first && rank(*other_from) <= rank(*to) && rank(*from) <= rank(*other_to)
            });
            assert_eq!(overlapping.count(), 1, "{name} {}{}", *first as char, *from as char);
        }
    }
}
