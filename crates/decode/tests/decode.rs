//! The decoder on the complete vPIC data: the contract's example, corrections of the library's results, hostile input.

use garage_decode::{Catalog, CatalogEntry, Decode, Detail, Snapshot, SnapshotError, VinQuery, pinned};
use garage_testkit::{now, snapshot};
use proptest::prelude::*;

fn decode_with(vin_text: &str, model_year: Option<i32>, detail: Detail) -> Decode<'static> {
    let query = VinQuery::parse(vin_text).expect("a query");
    snapshot().decode(vin_text, &query, model_year, detail, now()).into_owned()
}

fn decode(vin_text: &str) -> Decode<'static> {
    decode_with(vin_text, None, Detail::Fields)
}

fn codes(decode: &Decode<'_>) -> Vec<i32> {
    decode.errors.iter().map(|error| error.code).collect()
}

fn make<'a>(decode: &'a Decode<'_>) -> Option<&'a str> {
    decode.fields.make.as_ref().map(|make| make.value.as_ref())
}

fn possible<'a>(decode: &'a Decode<'_>) -> Vec<(u32, &'a str)> {
    decode.possible.iter().map(|possible| (possible.position, possible.characters.as_str())).collect()
}

#[test]
fn the_contracts_example() {
    insta::assert_json_snapshot!(decode("1hgcm82633a004352"));
}

#[test]
fn full_detail_carries_every_fact_with_its_source() {
    insta::assert_json_snapshot!(decode_with("1HGCM82633A004352", None, Detail::Full).facts);
}

#[test]
fn a_failed_check_digit_names_the_expected_one() {
    let decode = decode("1HGCM82643A004352");
    assert_eq!(codes(&decode), [1]);
    let check_digit = decode.check_digit.expect("a whole VIN");
    assert_eq!((check_digit.valid, check_digit.expected), (false, '3'));
    assert_eq!(decode.vin.as_deref(), Some("1HGCM82643A004352"));
    assert_eq!(decode.suggested_vin, None);
}

#[test]
fn a_wrong_character_is_named_with_what_would_fit() {
    let decode = decode("1HGCM8Z633A004352");
    assert_eq!(codes(&decode), [1, 3, 14]);
    assert!(decode.errors.iter().all(|error| !error.message.contains(" - ") && !error.message.is_empty()));
    assert_eq!(possible(&decode), [(7, "2")]);
    assert_eq!(decode.suggested_vin.as_deref(), Some("1HGCM82633A004352"));
}

#[test]
fn letters_that_look_like_digits_are_reported_and_replaced() {
    let decode = decode("1HGCM82633AOO4352");
    assert_eq!(decode.vin, None);
    assert!(codes(&decode).contains(&400));
    assert_eq!(possible(&decode), [(12, "0"), (13, "0")]);
    assert_eq!(decode.suggested_vin.as_deref(), Some("1HGCM82633A004352"));
    assert_eq!(make(&decode), Some("HONDA"));
}

#[test]
fn a_suggested_vin_has_no_unknown_characters() {
    let decode = decode("WAUZZZ8K9BA012345");
    assert!(!possible(&decode).is_empty());
    assert_eq!(decode.suggested_vin, None);
}

#[test]
fn typing_narrows_down_without_premature_errors() {
    let vin = "1HGCM82633A004352";
    for length in 3..vin.len() {
        let decode = decode(&vin[..length]);
        assert_eq!(codes(&decode), [0; 0], "{}", &vin[..length]);
        assert_eq!(make(&decode), Some("HONDA"), "{}", &vin[..length]);
        assert_eq!(decode.vin, None);
        assert_eq!(decode.check_digit, None);
        assert_eq!(decode.model_year, (length >= 10).then_some(2003), "{}", &vin[..length]);
        assert_eq!(decode.fields.model.is_some(), length >= 8, "{}", &vin[..length]);
    }
}

#[test]
fn manufacturer_and_country_appear_from_the_third_character_on() {
    let decode = decode_with("1HG", None, Detail::Full);
    let facts = decode.facts.expect("full detail");
    let value = |code: &str| facts.iter().find(|fact| fact.code == code).map(|fact| fact.value.as_ref());
    assert_eq!(value("Manufacturer"), Some("AMERICAN HONDA MOTOR CO., INC."));
    assert_eq!(value("WmiCountry"), Some("United States"));
}

#[test]
fn words_and_unregistered_manufacturers_have_no_model_year() {
    let words = decode("HELLO WORLD");
    assert_eq!((words.model_year, words.years.len(), words.vin.as_deref(), make(&words)), (None, 0, None, None));
    assert_eq!(codes(&words), [400]);
    let ones = decode("11111111111111111");
    assert_eq!((ones.model_year, codes(&ones)), (None, vec![7]));
    assert!(ones.errors[0].message.contains("not registered"));
    assert!(ones.check_digit.is_some_and(|check_digit| check_digit.valid));
}

#[test]
fn position_7_decides_the_year_only_of_light_vehicles() {
    assert_eq!(decode("1HGCM82633A004352").years, [2003]);
    assert_eq!(decode("5YJSA1E26MF123456").years, [2021]);
    let trailer = "1UYVS2535CU123456";
    assert_eq!(decode(trailer).years, [2012, 1982]);
    let chosen = decode_with(trailer, Some(1982), Detail::Fields);
    assert_eq!((chosen.model_year, chosen.years), (Some(1982), vec![1982, 2012]));
    // K is 1989 or 2019; a year that the VIN contradicts does not become one of its own.
    let contradicted = decode_with("1M8GDM9AXKP042788", Some(2013), Detail::Fields);
    assert_eq!(contradicted.years, [1989, 2019]);
    assert!(codes(&contradicted).contains(&12));
    let car = decode_with("1HGCM82633A004352", Some(1999), Detail::Full);
    let plain = decode_with("1HGCM82633A004352", None, Detail::Full);
    assert_eq!((&car.fields, &car.facts, &car.years), (&plain.fields, &plain.facts, &plain.years));
    assert_eq!(codes(&car), [12]);
}

#[test]
fn decodes_queries_with_wildcards() {
    let decode = decode_with("5UXWX7C5*BA", Some(2011), Detail::Fields);
    assert_eq!(make(&decode), Some("BMW"));
    assert_eq!(decode.model_year, Some(2011));
    assert_eq!((decode.vin, decode.check_digit), (None, None));
    assert_eq!(decode.errors, []);
}

#[test]
fn rejects_a_missing_truncated_or_altered_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vpic.rkyv");
    let refused = |path: &std::path::Path| Snapshot::open(path).err().expect("refused");
    assert!(matches!(refused(&path), SnapshotError::Missing { .. }));

    let original = garage_decode::default_snapshot_path().expect("a path");
    std::fs::copy(&original, &path).expect("a copy");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("open");
    file.set_len(pinned::SIZE_BYTES - 1).expect("truncate");
    assert!(refused(&path).to_string().contains("has 84124479 bytes instead of 84124480"));

    std::fs::copy(&original, &path).expect("a copy");
    let mut bytes = std::fs::read(&path).expect("read");
    // In the text of the data, where only the digest tells.
    let at = bytes.windows(5).position(|window| window == b"HONDA").expect("a Honda");
    bytes[at] = b'J';
    std::fs::write(&path, bytes).expect("write");
    assert!(refused(&path).to_string().contains("altered"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_rejected_or_decoded_consistently(vin_text in "\\PC{0,20}|[A-Z0-9*]{3,17}|1HG[A-Z0-9*]{0,14}") {
        let Ok(query) = VinQuery::parse(&vin_text) else { return Ok(()) };
        let decode = snapshot().decode(&vin_text, &query, None, Detail::Full, now());
        prop_assert_eq!(&decode.input, &vin_text);
        prop_assert!(decode.vin.as_deref().is_none_or(|vin| vin.len() == 17));
        prop_assert!(decode.suggested_vin.as_deref().is_none_or(|vin| vin.len() == 17 && !vin.contains(['!', '*'])));
        prop_assert_eq!(decode.years.first().copied(), decode.model_year);
        prop_assert!(decode.possible.iter().all(|possible| (1..=17).contains(&possible.position) && !possible.characters.is_empty()));
        prop_assert!(decode.facts.into_iter().flatten().all(|fact| !fact.value.is_empty() && fact.value != "Not Applicable"));
    }
}

#[test]
fn the_catalog_lists_makes_and_models_by_year() {
    let catalog = Catalog::build(snapshot());
    let named = |entries: &[CatalogEntry], name: &str| entries.iter().find(|entry| entry.name == name).map(|it| it.id);
    let years = catalog.years(now());
    assert_eq!(years.first(), Some(&2027));
    assert!(years.is_sorted_by(|later, earlier| later > earlier) && years.contains(&1981), "{years:?}");

    let makes = catalog.makes(Some(2003));
    let honda = named(&makes, "HONDA").expect("a make of 2003");
    assert_eq!(named(&makes, "TESLA"), None, "its first car is of 2008");
    assert!(named(&catalog.makes(None), "TESLA").is_some());
    let models = catalog.models(honda, Some(2003));
    assert!(named(&models, "Accord").is_some() && named(&models, "Fit").is_none(), "{models:?}");
    assert!(named(&catalog.models(honda, None), "Fit").is_some());
    assert!(models.is_sorted_by_key(|model| model.name.to_lowercase()));
    assert_eq!(catalog.models(-1, None), []);
}

#[test]
fn the_catalog_is_cached_and_rebuilt_if_its_file_is_invalid() {
    let folder = tempfile::tempdir().expect("a folder");
    let (snapshot, path) = (snapshot(), folder.path().join("vpic.rkyv"));
    let file = folder.path().join("vpic.catalog.json");
    let built = Catalog::open_or_build(snapshot, &path);
    let kept = std::fs::read_to_string(&file).expect("it is kept");
    assert_eq!(Catalog::open_or_build(snapshot, &path), built);
    let other_form = kept.replacen("\"version\":2", "\"version\":1", 1);
    let other_snapshot = kept.replacen(pinned::BLAKE3, &"0".repeat(pinned::BLAKE3.len()), 1);
    assert!(other_form != kept && other_snapshot != kept, "the replacements must find their text");
    for other in ["", "no JSON", &other_form, &other_snapshot, &kept[..kept.len() / 2]] {
        std::fs::write(&file, other).expect("write");
        assert_eq!(Catalog::open_or_build(snapshot, &path), built);
        assert_eq!(std::fs::read_to_string(&file).expect("it is kept"), kept);
    }
    // A valid file is used as it is.
    std::fs::write(&file, kept.replace("HONDA", "ADNOH")).expect("write");
    assert_ne!(Catalog::open_or_build(snapshot, &path), built);
}
