//! Validation of both collections against the contract.

use jiff::Timestamp;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::{
    COLLECTIONS, Collection, Field, FieldAccess, FieldValue, Invalid, OdometerUnit, Patch, Record, RecordId, Rule,
    SERVICE_ENTRIES, ServiceEntryFields, VEHICLES, VehicleFields, VehicleQuery, service_entry, vehicle,
    view::FieldType,
};

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

fn message_in(collection: &'static Collection, value: Value) -> String {
    Patch::parse(collection, &object(value.clone()), now())
        .map_or_else(|invalid| invalid.to_string(), |patch| panic!("{value} was accepted as {patch:?}"))
}

fn accepted(value: Value) -> VehicleFields {
    let patch = Patch::parse(&VEHICLES, &object(value), now()).expect("a valid draft");
    patch.apply(VehicleFields { nickname: Some("kept".to_owned()), ..VehicleFields::default() }).expect("identifiable")
}

fn entry(value: Value) -> Result<ServiceEntryFields, Invalid> {
    Patch::parse(&SERVICE_ENTRIES, &object(value), now())?.apply(ServiceEntryFields::default())
}

#[test]
fn field_names_match_serialized_names() {
    let views = [
        (&VEHICLES, serde_json::to_value(VehicleFields::default())),
        (&SERVICE_ENTRIES, serde_json::to_value(ServiceEntryFields::default())),
    ];
    assert_eq!(views.each_ref().map(|(collection, _)| collection.name), COLLECTIONS.map(|collection| collection.name));
    for (collection, value) in views {
        let value = value.expect("JSON");
        let names: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(names, collection.fields.iter().map(|field| field.name).collect::<Vec<_>>());
    }
}

#[test]
fn vehicle_messages_match_the_contract() {
    for (value, expected) in [
        (json!({"vin": "123"}), "VIN must be 17 characters, or 5 to 16 for vehicles before 1981"),
        (json!({"vin": "1HGCM8263IA004352"}), "VIN cannot contain I, O or Q"),
        (json!({"vin": "1HGCM82633A00435!"}), "VIN can contain only letters and digits"),
        (json!({"vin": 5}), "vin must be a string"),
        (json!({"nickname": 5}), "nickname must be a string"),
        (json!({"nickname": "n".repeat(101)}), "nickname must be at most 100 characters"),
        (json!({"nickname": "a\u{7}b"}), "nickname contains control characters"),
        (json!({"nickname": "a\nb"}), "nickname contains control characters"),
        (json!({"licensePlate": "p".repeat(21)}), "licensePlate must be at most 20 characters"),
        (json!({"color": "c".repeat(51)}), "color must be at most 50 characters"),
        (json!({"notes": "n".repeat(10_001)}), "notes must be at most 10000 characters"),
        (json!({"notes": "a\0b"}), "notes contains control characters"),
        (json!({"year": "2003"}), "year must be an integer"),
        (json!({"year": 2003.5}), "year must be an integer"),
        (json!({"year": 1885}), "year must be between 1886 and 2028"),
        (json!({"year": 3000}), "year must be between 1886 and 2028"),
        (json!({"odometerReading": -1}), "odometerReading must be between 0 and 9999999"),
        (json!({"odometerReading": 1e12}), "odometerReading must be between 0 and 9999999"),
        (json!({"odometerReading": 1e300}), "odometerReading must be between 0 and 9999999"),
        (json!({"odometerReading": true}), "odometerReading must be an integer"),
        (json!({"odometerUnit": "miles"}), "odometerUnit must be one of mi, km, h"),
        (json!({"odometerUnit": 1}), "odometerUnit must be one of mi, km, h"),
        (json!({"isActive": "true"}), "isActive must be a boolean"),
    ] {
        assert_eq!(message_in(&VEHICLES, value.clone()), expected, "{value}");
    }
}

#[test]
fn service_entry_messages_match_the_contract() {
    let kinds = "kind must be one of reading, service, repair, upgrade, inspection, tires, other";
    for (value, expected) in [
        (json!({"vehicleId": "7"}), "vehicleId must be a UUID"),
        (json!({"vehicleId": 7}), "vehicleId must be a UUID"),
        (json!({"date": "14.3.2026"}), "date must be a date such as 2026-03-14"),
        (json!({"date": "20260314"}), "date must be a date such as 2026-03-14"),
        (json!({"date": "2026-02-30"}), "date must be a date such as 2026-03-14"),
        (json!({"date": "2026-03-14T00:00:00Z"}), "date must be a date such as 2026-03-14"),
        (json!({"date": 2026}), "date must be a string"),
        (json!({"date": "1885-12-31"}), "date must be between 1886-01-01 and 2028-12-31"),
        (json!({"date": "2029-01-01"}), "date must be between 1886-01-01 and 2028-12-31"),
        (json!({"kind": "wash"}), kinds),
        (json!({"description": "d".repeat(201)}), "description must be at most 200 characters"),
        (json!({"vendor": "v".repeat(201)}), "vendor must be at most 200 characters"),
        (json!({"notes": "n".repeat(10_001)}), "notes must be at most 10000 characters"),
        (json!({"odometerReading": -1}), "odometerReading must be between 0 and 9999999"),
        (json!({"odometerUnit": "miles"}), "odometerUnit must be one of mi, km, h"),
        (json!({"cost": 129.9}), "cost must be a string"),
        (json!({"cost": "129,90"}), "cost must be an amount such as 129.90"),
        (json!({"cost": "-1"}), "cost must be between 0 and 9999999.99"),
        (json!({"cost": "10000000"}), "cost must be between 0 and 9999999.99"),
        (json!({"currency": "euro"}), "currency must be an ISO 4217 code such as EUR"),
    ] {
        assert_eq!(message_in(&SERVICE_ENTRIES, value.clone()), expected, "{value}");
    }
}

#[test]
fn service_entry_requires_a_vehicle_a_date_and_content() {
    let vehicle = "018f0000-0000-7000-8000-000000000001";
    let Err(Invalid::Fields(errors)) = entry(json!({"cost": "1.5"})) else { panic!("accepted") };
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(messages, ["vehicleId is required", "date is required", "currency is required with a cost"]);
    let nothing = "A service entry needs an odometer reading, a description or a kind other than other";
    let base = json!({"vehicleId": vehicle, "date": "2026-03-14"});
    let with = |more: Value| {
        let mut value = base.clone();
        value.as_object_mut().expect("an object").extend(object(more));
        entry(value)
    };
    assert_eq!(with(json!({})), Err(Invalid::Incomplete(nothing)));
    assert_eq!(with(json!({"kind": "other", "cost": "1", "currency": "EUR"})), Err(Invalid::Incomplete(nothing)));
    for enough in [json!({"odometerReading": 0}), json!({"description": "Oil"}), json!({"kind": "tires"})] {
        let fields = with(enough.clone()).unwrap_or_else(|invalid| panic!("{enough}: {invalid}"));
        assert_eq!(fields.vehicle_id.map(|id| id.to_string()).as_deref(), Some(vehicle));
    }
    let cost = |cost: &str, currency: &str| {
        with(json!({"kind": "service", "cost": cost, "currency": currency})).map(|fields| fields.cost)
    };
    assert_eq!(cost("129.9", "eur"), Ok(Some("129.90".to_owned())));
    assert_eq!(cost("129", "JPY"), Ok(Some("129".to_owned())));
    let message = cost("129.5", "JPY").expect_err("no such coin").to_string();
    assert_eq!(message, "cost must have at most 0 decimal places in JPY");
}

#[test]
fn all_broken_fields_are_reported_in_contract_order() {
    let broken = object(json!({"isActive": 1, "year": "x", "nickname": 1, "vin": "!", "make": "HONDA"}));
    let Err(Invalid::Fields(errors)) = Patch::parse(&VEHICLES, &broken, now()) else { panic!("accepted") };
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["vin", "nickname", "year", "isActive"]);
}

#[test]
fn bounds_are_inclusive_and_lengths_count_characters() {
    let fields = accepted(json!({
        "year": 2028, "odometerReading": 9_999_999, "color": "é".repeat(50), "notes": "a\r\nb\n", "make": "  HONDA ",
    }));
    assert_eq!(fields.year, Some(2028));
    assert_eq!(fields.odometer_reading, Some(9_999_999));
    assert_eq!(fields.notes.as_deref(), Some("a\r\nb"));
    assert_eq!(fields.make.as_deref(), Some("HONDA"));
    assert_eq!(accepted(json!({"year": 1886})).year, Some(1886));
    assert_eq!(accepted(json!({"year": 2003.0})).year, Some(2003));
}

#[test]
fn null_and_empty_text_clear_a_field_or_reset_its_default() {
    let fields = accepted(json!({"make": "   ", "vin": " ", "odometerUnit": null, "isActive": null, "year": null}));
    assert_eq!(fields, VehicleFields { nickname: Some("kept".to_owned()), ..VehicleFields::default() });
    assert_eq!(accepted(json!({"odometerUnit": "h"})).odometer_unit, OdometerUnit::H);
    assert!(!accepted(json!({"isActive": false})).is_active);
}

#[test]
fn vehicle_requires_an_identifying_field() {
    let clearing = Patch::parse(&VEHICLES, &object(json!({"nickname": null})), now()).expect("valid");
    let only_nickname = VehicleFields { nickname: Some("Blue".to_owned()), ..VehicleFields::default() };
    assert_eq!(
        clearing.apply(only_nickname).map_err(|invalid| invalid.to_string()),
        Err("A vehicle needs a VIN, a license plate, a nickname or a make".to_owned())
    );
}

#[test]
fn unknown_fields_are_ignored() {
    let fields = accepted(json!({"userId": "x", "version": 3, "createdAt": "x", "__proto__": {}, "make": "HONDA"}));
    assert_eq!(fields.make.as_deref(), Some("HONDA"));
}

#[test]
fn fitting_truncates_and_drops_decoded_values() {
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let fitted = |field: &Field, value: FieldValue| field.fitted(value, now());
    assert_eq!(fitted(&vehicle::MODEL, text("Accord")), Some(text("Accord")));
    assert_eq!(fitted(&vehicle::MODEL, text(" a\u{7}b\n")), Some(text("a b")));
    assert_eq!(fitted(&vehicle::MODEL, text(&"é".repeat(300))), Some(text(&"é".repeat(100))));
    assert_eq!(fitted(&vehicle::MODEL, text("\u{1b}\0")), None);
    assert_eq!(fitted(&vehicle::MODEL, FieldValue::Integer(5)), None);
    assert_eq!(fitted(&vehicle::YEAR, FieldValue::Integer(2003)), Some(FieldValue::Integer(2003)));
    assert_eq!(fitted(&vehicle::YEAR, FieldValue::Integer(1500)), None);
}

#[test]
fn values_of_other_versions_are_distinguished_from_invalid_ones() {
    let text = |text: &str| FieldValue::Text(text.to_owned());
    for (field, value, is_carried) in [
        (&vehicle::ODOMETER_UNIT, text("ly"), true),
        (&vehicle::ODOMETER_UNIT, text("l\u{1b}[2J"), false),
        (&vehicle::VIN, text("1HGCM82633A004352-NEW"), true),
        (&vehicle::VIN, text(&"1".repeat(101)), false),
        (&vehicle::YEAR, text("MMXX"), true),
        (&vehicle::YEAR, FieldValue::Integer(3000), true),
        (&vehicle::NICKNAME, text("a\u{1b}[2J"), false),
        (&vehicle::NICKNAME, text(&"n".repeat(101)), false),
        (&service_entry::KIND, text("wash"), true),
    ] {
        assert_eq!(field.may_be_of_another_version(&value), is_carried, "{field:?} {value:?}");
    }
}

#[test]
fn a_patch_names_the_fields_that_it_sets_or_clears() {
    let patch = Patch::parse(&VEHICLES, &object(json!({"year": 2003, "vin": null, "size": 1})), now()).expect("valid");
    assert_eq!(patch.fields().map(|field| field.name).collect::<Vec<_>>(), ["vin", "year"]);
    assert_eq!(patch.value(&vehicle::YEAR), Some(Some(&FieldValue::Integer(2003))));
    assert_eq!([patch.value(&vehicle::VIN), patch.value(&vehicle::MAKE)], [Some(None), None]);
    assert!(patch.names(&vehicle::VIN) && patch.names(&vehicle::YEAR) && !patch.names(&vehicle::MAKE));
}

#[test]
fn a_field_is_filled_only_if_it_is_empty() {
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let mut fields = VehicleFields::default();
    assert!(fields.fill(&vehicle::MAKE, text("HONDA")));
    assert!(!fields.fill(&vehicle::MAKE, text("TOYOTA")));
    assert_eq!(fields.make.as_deref(), Some("HONDA"));
}

#[test]
fn views_convert_every_type_of_field_in_both_directions() {
    let text = |text: &str| FieldValue::Text(text.to_owned());
    let id = "018f0000-0000-7000-8000-000000000001";
    let mut fields = VehicleFields::default();
    for (field, value) in [
        (&vehicle::VIN, text("1HGCM82633A004352")),
        (&vehicle::NICKNAME, text("Blue")),
        (&vehicle::YEAR, FieldValue::Integer(2003)),
        (&vehicle::ODOMETER_UNIT, text("km")),
        (&vehicle::IS_ACTIVE, FieldValue::Boolean(false)),
    ] {
        fields.set(field, Some(value.clone()));
        assert_eq!(fields.get(field), Some(value), "{field:?}");
    }
    let mut fields = ServiceEntryFields::default();
    for (field, value) in [
        (&service_entry::VEHICLE_ID, text(id)),
        (&service_entry::ODOMETER_UNIT, text("furlongs")),
        (&service_entry::COST, text("129.90")),
    ] {
        fields.set(field, Some(value.clone()));
        assert_eq!(fields.get(field), Some(value), "{field:?}");
    }
    // A column of another version may hold anything; `extra` has the value.
    fields.set(&service_entry::ODOMETER_READING, Some(text("many")));
    assert_eq!(fields.get(&service_entry::ODOMETER_READING), None);
    assert!(<bool as FieldType>::from_value(None), "a vehicle without a mark is active");
}

#[test]
fn units_have_a_name_each_and_other_names_are_kept() {
    let other = OdometerUnit::Other("ly".to_owned());
    for (unit, name) in [(OdometerUnit::Mi, "mi"), (OdometerUnit::Km, "km"), (OdometerUnit::H, "h"), (other, "ly")] {
        assert_eq!((unit.as_str(), unit.to_string().as_str()), (name, name));
        assert_eq!(serde_json::to_value(&unit).expect("JSON"), json!(name));
        assert_eq!(serde_json::from_value::<OdometerUnit>(json!(name)).expect("a unit"), unit);
    }
}

#[test]
fn records_refer_to_others_and_know_that_they_are_removed() {
    let references: Vec<_> = SERVICE_ENTRIES.references().collect();
    assert_eq!(references, [(&service_entry::VEHICLE_ID, VEHICLES.name)]);
    assert_eq!(VEHICLES.references().count(), 0);
    assert_ne!(VEHICLES, SERVICE_ENTRIES);
    let id = RecordId(uuid::Uuid::from_u128(7));
    let mut record = Record::new(&SERVICE_ENTRIES, id, now());
    assert_eq!(record.reference(&service_entry::VEHICLE_ID), None);
    record.set(&service_entry::VEHICLE_ID, Some(FieldValue::Text(id.to_string())));
    assert_eq!(record.reference(&service_entry::VEHICLE_ID), Some(id));
    assert!(!record.is_removed());
    record.deleted_at = Some(now());
    assert!(record.is_removed());
}

#[test]
fn pages_have_50_vehicles_by_default_and_500_at_most() {
    let length = |limit| VehicleQuery { limit, ..VehicleQuery::default() }.page_length();
    assert_eq!([0, 1, 500, 501, u32::MAX].map(length), [50, 1, 500, 500, 500]);
}

/// Generates valid values for each rule, mixed with JSON of any shape.
fn values_for(rule: Rule) -> BoxedStrategy<Value> {
    let likely = match rule {
        Rule::Vin => prop_oneof!["[A-HJ-NPR-Z0-9]{17}", "[a-zA-Z0-9 -]{5,16}"].prop_map(Value::from).boxed(),
        Rule::Text { longest, .. } => {
            let pattern = format!("[ -~é😀]{{0,{}}}", longest.min(120));
            proptest::string::string_regex(&pattern).expect("a pattern").prop_map(Value::from).boxed()
        }
        Rule::Year => (1880..2035_i64).prop_map(Value::from).boxed(),
        Rule::Integer { least, greatest } => (least - 5..=greatest + 5).prop_map(Value::from).boxed(),
        Rule::Choice(choices) => proptest::sample::select(choices).prop_map(Value::from).boxed(),
        Rule::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Rule::Date => "(18|19|20)[0-9]{2}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])".prop_map(Value::from).boxed(),
        Rule::Amount => "[0-9]{1,7}(\\.[0-9]{1,3})?".prop_map(Value::from).boxed(),
        Rule::Currency => {
            proptest::sample::select(vec!["EUR", "usd", "JPY", "KWD", "XYZ"]).prop_map(Value::from).boxed()
        }
        Rule::Reference { .. } => {
            any::<u128>().prop_map(|id| Value::from(uuid::Uuid::from_u128(id).to_string())).boxed()
        }
    };
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(json!([1])),
        Just(json!({"a": 1})),
    ];
    prop_oneof![3 => likely, 1 => other].boxed()
}

/// Accepted values round-trip and are accepted again. Counts the acceptances, because the test would pass vacuously if
/// every value were rejected.
#[test]
fn accepted_values_round_trip_and_stay_valid() {
    for collection in COLLECTIONS {
        for field in collection.fields {
            let mut runner = TestRunner::deterministic();
            let acceptances = std::cell::Cell::new(0);
            let property = |value: Value| {
                let one = Map::from_iter([(field.name.to_owned(), value)]);
                let Ok(patch) = Patch::parse(collection, &one, now()) else { return Ok(()) };
                let mut record = Record::new(collection, RecordId(uuid::Uuid::nil()), now());
                for (needed, value) in [
                    ("nickname", "kept"),
                    ("make", "kept"),
                    ("vehicleId", "018f0000-0000-7000-8000-000000000001"),
                    ("date", "2026-03-14"),
                    ("description", "kept"),
                    ("kind", "service"),
                    ("currency", "KWD"),
                ] {
                    if let Some(needed) = collection.field(needed) {
                        record.set(needed, Some(FieldValue::Text(value.to_owned())));
                    }
                }
                // Clearing required content rejects the whole patch.
                let Ok(record) = patch.apply(record) else { return Ok(()) };
                if record.get(field).is_some() {
                    acceptances.set(acceptances.get() + 1);
                }
                let stored = record.get(field).map_or(Value::Null, |value| value.to_json().value());
                let again = Map::from_iter([(field.name.to_owned(), stored)]);
                let patch = Patch::parse(collection, &again, now());
                let again = patch.and_then(|patch| patch.apply(record.clone()));
                prop_assert_eq!(again.as_ref(), Ok(&record));
                Ok(())
            };
            runner.run(&values_for(field.rule), property).unwrap_or_else(|error| panic!("{field:?}: {error}"));
            assert!(acceptances.get() > 30, "{field:?}: only {} values were accepted", acceptances.get());
        }
    }
}
