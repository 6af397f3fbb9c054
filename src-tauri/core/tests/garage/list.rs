//! Search, sort, filters and pages.

use garage_core::{Garage, ImportMode, Progress, Sort, VehicleQuery};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{ACCORD, Folder, add, draft, open};

fn searching(search: &str) -> VehicleQuery {
    VehicleQuery { search: search.to_owned(), ..VehicleQuery::default() }
}

async fn names(garage: &Garage, query: VehicleQuery) -> Vec<String> {
    let vehicles = garage.all_vehicles(query).await.expect("a list");
    vehicles.into_iter().map(|it| it.fields.nickname.unwrap_or_default()).collect()
}

async fn garage_of_three(folder: &Folder) -> Garage {
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"vin": ACCORD, "nickname": "accord", "licensePlate": "ÄB-C 123", "odometerReading": 50_000}))
        .await;
    add(
        &garage,
        json!({"nickname": "Landy", "make": "Land Rover", "year": 1964, "notes": "Señor's\nfirst", "isActive": false}),
    )
    .await;
    add(&garage, json!({"nickname": "citroën", "make": "CITROËN", "year": 1972, "color": "Bleu"})).await;
    garage
}

#[tokio::test]
async fn search_matches_word_prefixes_ignoring_case_and_accents() {
    let folder = Folder::new();
    let garage = garage_of_three(&folder).await;
    for (search, found) in [
        ("", vec!["citroën", "Landy", "accord"]),
        ("  ", vec!["citroën", "Landy", "accord"]),
        ("l", vec!["Landy"]),
        ("CITROE", vec!["citroën"]),
        ("senor", vec!["Landy"]),
        ("rover land", vec!["Landy"]),
        ("gasol coup", vec!["accord"]),
        ("1964", vec!["Landy"]),
        ("over", vec![]),
        ("land citroen", vec![]),
        ("\" OR *", vec![]),
        ("NOT (AND) NEAR/2 -x:y", vec![]),
        ("citroe\u{308}n", vec!["citroën"]),
        ("sen\u{303}or", vec!["Landy"]),
        ("land-rover", vec!["Landy"]),
        ("---", vec![]),
        ("%_\\ ' \"", vec![]),
    ] {
        assert_eq!(names(&garage, searching(search)).await, found, "{search:?}");
    }
}

#[tokio::test]
async fn search_matches_any_fragment_of_a_vin_or_a_plate() {
    let folder = Folder::new();
    let garage = garage_of_three(&folder).await;
    for start in 0..ACCORD.len() - 1 {
        for end in start + 2..=ACCORD.len() {
            let fragment = &ACCORD[start..end];
            assert_eq!(names(&garage, searching(fragment)).await, ["accord"], "{fragment}");
        }
    }
    for fragment in ["004352", "1hgcm-82633", "äb-c", "abc123", "BC1", "C 123", "bc 23", "23"] {
        assert_eq!(names(&garage, searching(fragment)).await, ["accord"], "{fragment}");
    }
}

#[tokio::test]
async fn search_ignores_the_separators_of_plates_and_matches_special_letters_by_base_letters() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "Łódź Straße", "licensePlate": "AB.123·X"})).await;
    add(&garage, json!({"nickname": "Sø\u{301}ren Æbler", "licensePlate": "KLM456"})).await;
    let last = json!({"nickname": "Ёлка Ήλιος", "licensePlate": "(AB–777:Z)", "vin": "1HGCM82633A00435Z"});
    add(&garage, last).await;
    add(&garage, json!({"nickname": "Truck", "make": "FORD", "model": "F-150"})).await;
    for (search, found) in [
        ("AB123X", "Łódź Straße"),
        ("ab.123", "Łódź Straße"),
        ("b-12", "Łódź Straße"),
        ("23x", "Łódź Straße"),
        ("klm-456", "Sø\u{301}ren Æbler"),
        ("lodz", "Łódź Straße"),
        ("ŁÓDŹ", "Łódź Straße"),
        ("strasse", "Łódź Straße"),
        ("straß", "Łódź Straße"),
        ("f150", "Truck"),
        ("f-150", "Truck"),
        ("150", "Truck"),
        ("B777", "Ёлка Ήλιος"),
        ("ab777z", "Ёлка Ήλιος"),
        ("елка", "Ёлка Ήλιος"),
        ("ЁЛКА", "Ёлка Ήλιος"),
        ("ηλιος", "Ёлка Ήλιος"),
        ("1HGCM82633A00435", "Ёлка Ήλιος"),
        ("z", "Ёлка Ήλιος"),
        ("soren aebler", "Sø\u{301}ren Æbler"),
    ] {
        assert_eq!(names(&garage, searching(search)).await, [found], "{search}");
    }
}

#[tokio::test]
async fn every_write_updates_the_search_index() {
    let folder = Folder::new();
    let garage = garage_of_three(&folder).await;
    let id = garage.all_vehicles(searching("landy")).await.expect("a list")[0].id;
    garage.edit_vehicle(id, &draft(json!({"nickname": "Defender"}))).await.expect("edited");
    assert_eq!(names(&garage, searching("landy")).await, [""; 0]);
    assert_eq!(names(&garage, searching("defen")).await, ["Defender"]);
    garage.remove_vehicle(id).await.expect("removed");
    assert_eq!(names(&garage, searching("defen")).await, [""; 0]);
    let removed = VehicleQuery { is_removed: true, ..searching("defen") };
    assert_eq!(names(&garage, removed).await, ["Defender"]);
}

#[tokio::test]
async fn each_filter_returns_only_matching_vehicles() {
    let folder = Folder::new();
    let garage = garage_of_three(&folder).await;
    let all = VehicleQuery::default;
    for (query, found) in [
        (VehicleQuery { make: Some(" land rover".to_owned()), ..all() }, vec!["Landy"]),
        (VehicleQuery { year: Some(1972), ..all() }, vec!["citroën"]),
        (VehicleQuery { vehicle_type: Some("passenger car".to_owned()), ..all() }, vec!["accord"]),
        (VehicleQuery { is_active: Some(false), ..all() }, vec!["Landy"]),
        (VehicleQuery { is_active: Some(true), ..searching("land") }, vec![]),
        (VehicleQuery { is_removed: true, ..all() }, vec![]),
        (VehicleQuery { sort: Sort::Name, ..searching("a") }, vec!["accord"]),
    ] {
        assert_eq!(names(&garage, query.clone()).await, found, "{query:?}");
    }
}

#[tokio::test]
async fn filters_ignore_the_case_of_any_letter() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for make in ["Škoda", "ŠKODA", "škoda"] {
        add(&garage, json!({"nickname": make, "make": make, "vehicleType": format!("{make} Ö")})).await;
    }
    assert_eq!(garage.filter_choices().await.expect("choices").makes.len(), 1, "one spelling per make");
    for make in ["Škoda", "ŠKODA", "škoda"] {
        let by_make = VehicleQuery { make: Some(make.to_owned()), ..VehicleQuery::default() };
        assert_eq!(names(&garage, by_make).await.len(), 3, "{make}");
        let by_type = VehicleQuery { vehicle_type: Some(format!("{make} ö")), ..VehicleQuery::default() };
        assert_eq!(names(&garage, by_type).await.len(), 3, "{make}");
    }
}

#[tokio::test]
async fn each_sort_orders_by_its_field_with_empty_values_last() {
    let folder = Folder::new();
    let garage = garage_of_three(&folder).await;
    add(&garage, json!({"licensePlate": "ZZZ", "notes": "nothing else"})).await;
    for year in [2008, 1984] {
        add(&garage, json!({"make": "ZZ", "model": "Top", "year": year, "isActive": false})).await;
    }
    let by_name = VehicleQuery { sort: Sort::Name, make: Some("ZZ".to_owned()), ..VehicleQuery::default() };
    let equals = garage.all_vehicles(by_name).await.expect("a list");
    assert_eq!(equals.iter().map(|it| it.fields.year).collect::<Vec<_>>(), [Some(1984), Some(2008)]);
    for vehicle in equals {
        garage.remove_vehicle(vehicle.id).await.expect("removed");
    }
    for (sort, order) in [
        (Sort::Newest, ["", "citroën", "Landy", "accord"]),
        (Sort::Name, ["accord", "citroën", "Landy", ""]),
        (Sort::Make, ["citroën", "accord", "Landy", ""]),
        (Sort::Year, ["accord", "citroën", "Landy", ""]),
        (Sort::Odometer, ["accord", "", "citroën", "Landy"]),
        (Sort::Updated, ["", "citroën", "Landy", "accord"]),
    ] {
        assert_eq!(names(&garage, VehicleQuery { sort, ..VehicleQuery::default() }).await, order, "{sort:?}");
    }
}

#[tokio::test]
async fn paging_returns_every_vehicle_once_during_concurrent_writes() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for index in 0..25 {
        add(
            &garage,
            json!({"nickname": format!("car {index}"), "make": if index % 2 == 0 { "A" } else { "B" }, "year": 2000 + index % 3}),
        )
        .await;
    }
    for sort in [Sort::Newest, Sort::Name, Sort::Make, Sort::Year, Sort::Odometer, Sort::Updated] {
        for search in ["", "car"] {
            let mut query = VehicleQuery { sort, limit: 4, ..searching(search) };
            let mut whole = names(&garage, query.clone()).await;
            whole.retain(|name| name != "in between");
            let mut seen = Vec::new();
            loop {
                let page = garage.list_vehicles(query.clone()).await.expect("a page");
                assert!(page.vehicles.len() <= 4);
                seen.extend(page.vehicles.iter().map(|it| it.nickname.clone().expect("a name")));
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
                // New vehicles before and after the current page may be missing; no vehicle is returned twice.
                if seen.len() == 4 {
                    add(&garage, json!({"nickname": "in between", "make": "0", "year": 2020})).await;
                    add(&garage, json!({"nickname": "in between", "make": "Z", "year": 1900})).await;
                }
            }
            seen.retain(|name| name != "in between");
            assert_eq!(seen, whole, "{sort:?} {search}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn search_succeeds_with_any_text(search in "\\PC{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = Folder::new();
            let garage = open(&folder.garage_file()).await.expect("open");
            garage.list_vehicles(searching(&search)).await.expect("a page");
        });
    }
}

#[tokio::test]
async fn sort_newest_orders_by_creation_time_then_id() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    add(&garage, json!({"nickname": "now n"})).await;
    let vehicle = |number: u32, created_at: &str| {
        let id = format!("018f0000-0000-7000-8000-0000000000{number:02}");
        json!({"id": id, "nickname": format!("{number} n"), "createdAt": created_at})
    };
    let (old, older) = ("2020-01-01T00:00:00Z", "2010-01-01T00:00:00Z");
    let list = json!([vehicle(2, old), vehicle(1, old), vehicle(4, older), vehicle(3, old)]);
    garage.import_json(&list.to_string(), ImportMode::Write, Progress::none()).await.expect("imported");
    for search in ["", "n"] {
        let query = VehicleQuery { search: search.to_owned(), ..VehicleQuery::default() };
        assert_eq!(names(&garage, query).await, ["now n", "3 n", "2 n", "1 n", "4 n"], "{search:?}");
    }
}

#[tokio::test]
async fn names_are_sorted_by_base_letters_and_filters_ignore_accents() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    for name in ["Zebra", "Äpfel", "apfel", "Öl", "nut", "Łódź"] {
        add(&garage, json!({"nickname": name, "make": "CITROËN", "vehicleType": "Lkw ä"})).await;
    }
    let by_name = VehicleQuery { sort: Sort::Name, ..VehicleQuery::default() };
    assert_eq!(names(&garage, by_name).await, ["Äpfel", "apfel", "Łódź", "nut", "Öl", "Zebra"]);
    let folded = |make: Option<&str>, vehicle_type: Option<&str>| VehicleQuery {
        make: make.map(str::to_owned),
        vehicle_type: vehicle_type.map(str::to_owned),
        ..VehicleQuery::default()
    };
    for query in [folded(Some("citroen"), None), folded(Some(" Citroën "), None), folded(None, Some("LKW A"))] {
        assert_eq!(garage.count_vehicles(query.clone()).await.expect("a count"), 6, "{query:?}");
    }
    let choices = garage.filter_choices().await.expect("choices");
    assert_eq!((choices.makes, choices.vehicle_types), (vec!["CITROËN".to_owned()], vec!["Lkw ä".to_owned()]));
}
