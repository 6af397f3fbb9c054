//! Invalid and hostile input from users and files: each returns an error at its field and changes nothing.

use garage_core::{Detail, ErrorCode, FileState, Garage, GarageError, VehicleQuery};
use serde_json::{Value, json};

use crate::support::{ACCORD, Folder, add, code, draft, open, total};

async fn garage(folder: &Folder) -> Garage {
    open(&folder.garage_file()).await.expect("open")
}

fn at_field(error: &GarageError) -> Vec<(String, String)> {
    error.details().into_iter().map(|detail| (detail.field, detail.message)).collect()
}

#[tokio::test]
async fn an_invalid_vin_is_refused_with_a_field_error_and_cannot_be_decoded() {
    let folder = Folder::new();
    let garage = garage(&folder).await;
    let length = "VIN must be 17 characters, or 5 to 16 for vehicles before 1981";
    let characters = "VIN can contain only letters and digits";
    for (vin_text, message) in [
        ("1HGCM82633A0043521", length),
        (&"1".repeat(1000), length),
        ("1HGC", length),
        ("IHGCM82633A004352", "VIN cannot contain I, O or Q"),
        ("1HGCM82633AOO4352", "VIN cannot contain I, O or Q"),
        ("QHGCM82633A004352", "VIN cannot contain I, O or Q"),
        ("1HGCM82633A00435🚗", characters),
        ("1HGCM82633A00435\0", characters),
        ("\u{200f}1HGCM82633A004352", characters),
        ("1HGCM82633A00435\u{202e}2", characters),
        ("１ＨＧＣＭ８２６３３Ａ００４３５２", characters),
    ] {
        for draft in [json!({"vin": vin_text}), json!({"vin": vin_text, "nickname": "named"})] {
            let refused = garage.add_vehicle(&self::draft(draft)).await.expect_err("refused");
            assert_eq!(refused.code(), ErrorCode::Invalid, "{vin_text:?}");
            assert_eq!(at_field(&refused), [("vin".to_owned(), message.to_owned())], "{vin_text:?}");
        }
    }
    assert_eq!(garage.count_vehicles(VehicleQuery::default()).await.expect("a count"), 0);
    for vin_text in ["", "1H", "🚗🚗🚗", "\0\0\0\0", "$$$", &"1".repeat(1000)] {
        let answer = garage.decode_vin(vin_text, None, Detail::Full).await;
        assert_eq!(code(answer), ErrorCode::Invalid, "{vin_text:?}");
    }
}

#[tokio::test]
async fn a_vin_is_accepted_with_spaces_dashes_and_lower_case() {
    for vin_text in [
        "1hgcm82633a004352",
        " 1HGCM 82633 A004352\n",
        "1HG-CM8-2633-A0-04352",
        "1HGCM82633\u{2011}A004352",
        "1\u{a0}HGCM82633A004352\t",
    ] {
        let folder = Folder::new();
        let added = add(&garage(&folder).await, json!({"vin": vin_text})).await;
        assert_eq!(added.fields.vin.map(String::from).as_deref(), Some(ACCORD), "{vin_text:?}");
        assert_eq!(added.fields.model.as_deref(), Some("Accord"), "{vin_text:?}");
    }
    let folder = Folder::new();
    let sentence = "For sale: Accord, one owner, VIN 1hgcm 82633 a004352, call me";
    let decode = garage(&folder).await.decode_vin(sentence, None, Detail::Fields).await.expect("a decode");
    assert_eq!(decode.vin.as_deref(), Some(ACCORD));
}

#[tokio::test]
async fn a_vin_with_decode_errors_is_saved() {
    let folder = Folder::new();
    let garage = garage(&folder).await;
    // A wrong check digit, an unregistered manufacturer, words, only ones, and a number from before 1981.
    for (vin_text, expected_digit) in [
        ("1HGCM82643A004352", Some('3')),
        ("ZZZZZZZZ0ZZ000000", None),
        ("HELLO WORLD", None),
        ("11111111111111111", None),
        ("1HGCM82633A00435", None),
    ] {
        let decode = garage.decode_vin(vin_text, None, Detail::Fields).await.expect("a decode");
        let failed = decode.check_digit.filter(|check_digit| !check_digit.valid);
        if let Some(expected) = expected_digit {
            assert_eq!(failed.expect("a wrong check digit").expected, expected, "{vin_text}");
            assert!(decode.errors.iter().any(|error| error.code == 1), "{vin_text}: {:?}", decode.errors);
        }
        let added = add(&garage, json!({"vin": vin_text})).await;
        assert_eq!(garage.vehicle(added.id).await.expect("the vehicle"), added, "{vin_text}");
    }
}

#[tokio::test]
async fn an_out_of_range_value_is_refused_with_a_field_error() {
    let folder = Folder::new();
    let garage = garage(&folder).await;
    let id = add(&garage, json!({"nickname": "here", "year": 1999, "odometerReading": 7})).await.id;
    let before = garage.vehicle(id).await.expect("the vehicle");
    let integer = |field: &str| format!("{field} must be an integer");
    let reading = "odometerReading must be between 0 and 9999999";
    for (field, value, message) in [
        ("year", json!(1885), "year must be between 1886 and 2028".to_owned()),
        ("year", json!(3000), "year must be between 1886 and 2028".to_owned()),
        ("year", json!("2003"), integer("year")),
        ("odometerReading", json!(-1), reading.to_owned()),
        ("odometerReading", json!(1_000_000_000_000_i64), reading.to_owned()),
        ("odometerReading", json!(1e12), reading.to_owned()),
        ("odometerReading", json!("NaN"), integer("odometerReading")),
        ("odometerReading", json!(f64::MAX), reading.to_owned()),
        ("odometerReading", json!(0.5), integer("odometerReading")),
        ("notes", json!("n".repeat(10_001)), "notes must be at most 10000 characters".to_owned()),
        ("nickname", json!("🚗".repeat(101)), "nickname must be at most 100 characters".to_owned()),
        ("nickname", json!("a\u{0}b"), "nickname contains control characters".to_owned()),
    ] {
        let refused = garage.edit_vehicle(id, &draft(json!({ field: value }))).await.expect_err("refused");
        assert_eq!(at_field(&refused), [(field.to_owned(), message)], "{field} {value}");
        let mut new = json!({"make": "HONDA"});
        new[field] = value;
        assert_eq!(code(garage.add_vehicle(&draft(new)).await), ErrorCode::Invalid);
    }
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), [before]);
    assert_eq!(garage.history(id).await.expect("a history").len(), 1);
    let notes = "n".repeat(10_000);
    let edited = garage.edit_vehicle(id, &draft(json!({"notes": notes, "odometerReading": 9_999_999}))).await;
    assert_eq!(edited.expect("a value at its limit").fields.notes, Some(notes));
}

#[tokio::test]
async fn an_edit_fails_if_the_garages_file_was_moved_or_replaced() {
    let folder = Folder::new();
    let garage = garage(&folder).await;
    let here = add(&garage, json!({"nickname": "here"})).await;
    let elsewhere = folder.0.path().join("elsewhere.db");
    std::fs::rename(folder.garage_file(), &elsewhere).expect("moved");
    let refused = garage.edit_vehicle(here.id, &draft(json!({"color": "Red"}))).await.expect_err("refused");
    assert!(refused.to_string().contains("moved or deleted"), "{refused}");
    let other = std::fs::read(&elsewhere).expect("read");
    std::fs::write(folder.garage_file(), &other).expect("another file of that name");
    let refused = garage.edit_vehicle(here.id, &draft(json!({"color": "Red"}))).await.expect_err("refused");
    assert!(refused.to_string().contains("moved or deleted"), "{refused}");
    assert_eq!(std::fs::read(folder.garage_file()).expect("read"), other, "the other file is unchanged");
    std::fs::rename(&elsewhere, folder.garage_file()).expect("put back");
    garage.edit_vehicle(here.id, &draft(json!({"color": "Red"}))).await.expect("edited");
}

#[tokio::test]
async fn sql_and_markup_are_stored_and_searched_as_plain_text() {
    let texts = [
        "'; DROP TABLE vehicles; --",
        "\" OR 1=1 --",
        "<script>alert(1)</script>",
        "<img src=x>",
        "a\" NEAR b* AND (",
        "vehicle_words MATCH 'x'",
        "%_\\",
    ];
    let fields = [
        "licensePlate",
        "nickname",
        "make",
        "model",
        "trimLevel",
        "engine",
        "transmission",
        "driveType",
        "fuelType",
        "bodyClass",
        "vehicleType",
        "color",
        "notes",
    ];
    let folder = Folder::new();
    let garage = garage(&folder).await;
    add(&garage, json!({"nickname": "other", "make": "HONDA"})).await;
    for text in texts {
        let is_short = text.chars().count() <= 20;
        let all: serde_json::Map<String, Value> = fields
            .iter()
            .filter(|field| is_short || **field != "licensePlate")
            .map(|field| ((*field).to_owned(), json!(text)))
            .collect();
        let added = add(&garage, Value::Object(all.clone())).await;
        let stored = serde_json::to_value(garage.vehicle(added.id).await.expect("the vehicle")).expect("JSON");
        for field in all.keys() {
            assert_eq!(stored[field], text, "{field}");
        }
        for query in [
            VehicleQuery { search: text.to_owned(), ..VehicleQuery::default() },
            VehicleQuery { make: Some(text.to_owned()), ..VehicleQuery::default() },
            VehicleQuery { vehicle_type: Some(text.to_owned()), ..VehicleQuery::default() },
        ] {
            let found = garage.all_vehicles(query.clone()).await.expect("a list");
            // A search without a letter or digit must find nothing, not everything.
            let is_searched = query.search.is_empty() || query.search.contains(char::is_alphanumeric);
            let expected = if is_searched { vec![added.clone()] } else { vec![] };
            assert_eq!(found, expected, "{query:?}");
        }
    }
    let examination = garage.examine().await.expect("examined");
    assert_eq!((total(&examination.records, "vehicles"), examination.file), (texts.len() as u64 + 1, FileState::Sound));
}
