//! Service entries: validation, history, and the vehicle's odometer reading.

use garage_core::{ChangeKind, ErrorCode, Garage, Origin, ServiceEntry, VehicleId};
use serde_json::{Value, json};

use crate::support::{Folder, add, code, draft, entry, open};

async fn garage() -> (Folder, Garage, VehicleId) {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue", "odometerReading": 50_000, "odometerUnit": "km"})).await.id;
    (folder, garage, id)
}

async fn add_entry(garage: &Garage, vehicle: VehicleId, date: &str, more: Value) -> ServiceEntry {
    let mut value = json!({"vehicleId": vehicle, "date": date, "kind": "service"});
    value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    garage.add_service_entry(&entry(value)).await.expect("added")
}

async fn reading(garage: &Garage, vehicle: VehicleId) -> (Option<i32>, Option<Origin>) {
    let vehicle = garage.vehicle(vehicle).await.expect("the vehicle");
    (vehicle.fields.odometer_reading, vehicle.origins.get("odometerReading").cloned())
}

fn of(entry: &ServiceEntry) -> Option<Origin> {
    let date = entry.fields.date.as_ref().and_then(|date| date.parse().ok()).expect("a date");
    Some(Origin::Entry { entry: entry.id, date })
}

#[tokio::test]
async fn a_service_entry_is_added_edited_undone_removed_and_restored() {
    let (_folder, garage, blue) = garage().await;
    let fields =
        json!({"cost": "129.9", "currency": "eur", "description": " Oil and filter ", "odometerReading": 51_000});
    let added = add_entry(&garage, blue, "2026-03-14", fields).await;
    assert_eq!(added.fields.cost.as_deref(), Some("129.90"));
    assert_eq!(added.fields.currency.as_deref(), Some("EUR"));
    assert_eq!(added.fields.odometer_unit.as_ref().map(|unit| unit.as_str()), Some("km"), "the vehicle's");
    assert_eq!(added.created_at, added.updated_at);
    let edited =
        garage.edit_service_entry(added.id, &entry(json!({"vendor": "Ada", "cost": "130"}))).await.expect("edited");
    assert_eq!(edited.fields.cost.as_deref(), Some("130.00"));
    let history = garage.service_history(added.id).await.expect("a history");
    assert_eq!(history.iter().map(|it| it.kind.clone()).collect::<Vec<_>>(), [ChangeKind::Edited, ChangeKind::Added]);
    assert!(history.iter().all(|it| it.collection == "serviceEntries" && it.record_id == added.id));
    let undone = garage.undo_service_change(history[0].id).await.expect("undone");
    assert_eq!(undone.fields, added.fields);
    assert_eq!(code(garage.undo(history[0].id).await), ErrorCode::NotFound, "not a change of a vehicle");
    garage.remove_service_entry(added.id).await.expect("removed");
    assert_eq!(garage.service_log(blue).await.expect("a log").entries, []);
    assert_eq!(code(garage.edit_service_entry(added.id, &entry(json!({"vendor": "x"}))).await), ErrorCode::NotFound);
    garage.restore_service_entry(added.id).await.expect("restored");
    assert_eq!(garage.service_log(blue).await.expect("a log").entries.len(), 1);
    let nowhere = entry(json!({"vehicleId": added.id, "date": "2026-01-01", "kind": "tires"}));
    assert_eq!(garage.add_service_entry(&nowhere).await.expect_err("no such vehicle").to_string(), "Vehicle not found");
}

#[tokio::test]
async fn the_latest_reading_is_copied_to_the_vehicle_and_reverted_with_its_entry() {
    let (_folder, garage, blue) = garage().await;
    let typed = (Some(50_000), None);
    let march = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_000})).await;
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)));
    let january = add_entry(&garage, blue, "2026-01-10", json!({"odometerReading": 49_000})).await;
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)), "a later reading exists");
    let miles = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 33_000, "odometerUnit": "mi"})).await;
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)), "in another unit");
    let same_day = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_500})).await;
    assert_eq!(reading(&garage, blue).await, (Some(51_500), of(&same_day)), "the greater reading of one date wins");
    garage.remove_service_entry(same_day.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)));
    garage.edit_service_entry(march.id, &entry(json!({"odometerReading": 51_200}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, (Some(51_200), of(&march)));
    garage.edit_service_entry(march.id, &entry(json!({"notes": "nothing of the reading"}))).await.expect("edited");
    garage.edit_service_entry(march.id, &entry(json!({"odometerReading": null}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, typed, "the value typed before");
    let cleared = garage.service_history(march.id).await.expect("a history")[0].id;
    garage.undo_service_change(cleared).await.expect("undone");
    assert_eq!(reading(&garage, blue).await, (Some(51_200), of(&march)));

    // A value typed in between is not reverted.
    garage.edit_vehicle(blue, &draft(json!({"odometerReading": 52_000}))).await.expect("edited");
    garage.remove_service_entry(march.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(52_000), None));
    let june = add_entry(&garage, blue, "2026-06-01", json!({"odometerReading": 52_500})).await;
    garage.remove_service_entry(january.id).await.expect("removed");
    garage.remove_service_entry(miles.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(52_500), of(&june)), "removing other entries reverts nothing");
    garage.remove_service_entry(june.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(52_000), None));
}

#[tokio::test]
async fn an_entry_and_its_vehicles_reading_are_written_in_one_transaction() {
    let (_folder, garage, blue) = garage().await;
    let other = add(&garage, json!({"nickname": "other", "odometerUnit": "km"})).await.id;
    let moved = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_000})).await;
    garage.edit_service_entry(moved.id, &entry(json!({"vehicleId": other}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None), "the entry moved to another vehicle");
    assert_eq!(reading(&garage, other).await.0, Some(51_000));
    let vehicle = garage.history(other).await.expect("a history");
    let own = garage.service_history(moved.id).await.expect("a history");
    assert_eq!(vehicle[0].at, own[0].at, "the same time");
    assert_eq!(vehicle[0].fields[0].origin, of(&moved).expect("an origin"));
}

#[tokio::test]
async fn entries_of_a_removed_vehicle_are_kept_and_restored_with_it() {
    let (_folder, garage, blue) = garage().await;
    let kept = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_000})).await;
    let removed = add_entry(&garage, blue, "2026-03-15", json!({})).await;
    garage.remove_service_entry(removed.id).await.expect("removed");
    let removal = garage.service_history(removed.id).await.expect("a history").remove(0);
    let other = add(&garage, json!({"nickname": "other"})).await.id;
    garage.remove_vehicle(blue).await.expect("removed");
    for refused in [
        garage.add_service_entry(&entry(json!({"vehicleId": blue, "date": "2026-01-01", "kind": "tires"}))).await,
        garage.edit_service_entry(kept.id, &entry(json!({"vendor": "x"}))).await,
        garage.edit_service_entry(kept.id, &entry(json!({"vehicleId": other}))).await,
        garage.remove_service_entry(kept.id).await,
        garage.restore_service_entry(removed.id).await,
        garage.undo_service_change(removal.id).await,
    ] {
        let message = "The vehicle has been removed; restore it first";
        assert_eq!(refused.expect_err("no entry of a removed vehicle is changed").to_string(), message);
    }
    let log = garage.service_log(blue).await.expect("the log of a removed vehicle");
    assert_eq!((log.entries.len(), log.added_after_removal), (1, 0));
    let export =
        serde_json::to_value(garage.export(garage_core::Progress::none()).await.expect("exported")).expect("JSON");
    assert_eq!(export["serviceEntries"][0]["id"], kept.id.to_string());
    garage.restore_vehicle(blue).await.expect("restored");
    assert_eq!(garage.service_log(blue).await.expect("a log").entries, std::slice::from_ref(&kept));
    garage.remove_service_entry(kept.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None));
}

#[tokio::test]
async fn a_reverted_reading_skips_values_that_were_undone() {
    let (_folder, garage, blue) = garage().await;
    let march = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_000})).await;
    garage.edit_vehicle(blue, &draft(json!({"odometerReading": 60_000}))).await.expect("edited");
    let typed = garage.history(blue).await.expect("a history").remove(0);
    garage.undo(typed.id).await.expect("undone");
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)));
    garage.remove_service_entry(march.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None));

    // The entry becomes the origin again, by undo of its removal, by undo, and by undo of that undo.
    let removal = garage.service_history(march.id).await.expect("a history").remove(0);
    garage.undo_service_change(removal.id).await.expect("undone");
    for _ in 0..2 {
        let newest = garage.history(blue).await.expect("a history").remove(0);
        garage.undo(newest.id).await.expect("undone");
    }
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&march)));
    garage.remove_service_entry(march.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None));
}

#[tokio::test]
async fn an_edited_entry_keeps_or_loses_the_vehicles_reading_in_one_change() {
    let (_folder, garage, blue) = garage().await;
    let changes = async || garage.history(blue).await.expect("a history").len();
    let first = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 51_000})).await;
    let second = add_entry(&garage, blue, "2026-03-14", json!({"odometerReading": 52_000})).await;
    let before = changes().await;
    garage.edit_service_entry(second.id, &entry(json!({"odometerReading": 50_500}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&first)), "the other entry has the greater reading");
    assert_eq!(changes().await, before + 1);
    garage.remove_service_entry(second.id).await.expect("removed");
    let earlier = entry(json!({"date": "2026-02-01"}));
    let first = garage.edit_service_entry(first.id, &earlier).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&first)));
    assert_eq!(changes().await, before + 2, "only the date of the origin has changed");

    // An entry that another one outranked takes over when that is removed.
    let may = add_entry(&garage, blue, "2026-05-01", json!({"odometerReading": 53_000})).await;
    let april = add_entry(&garage, blue, "2026-04-01", json!({"odometerReading": 52_500})).await;
    assert_eq!(reading(&garage, blue).await, (Some(53_000), of(&may)));
    garage.remove_service_entry(may.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(52_500), of(&april)));
    garage.remove_service_entry(april.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(51_000), of(&first)));
}

#[tokio::test]
async fn a_later_reading_in_another_unit_and_a_newer_greater_typed_one_are_kept() {
    let (_folder, garage, blue) = garage().await;
    add_entry(&garage, blue, "2016-04-01", json!({"odometerReading": 5_000})).await;
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None), "an old invoice does not turn the odometer back");
    let miles = add_entry(&garage, blue, "2026-05-01", json!({"odometerReading": 33_000, "odometerUnit": "mi"})).await;
    let april = add_entry(&garage, blue, "2026-04-01", json!({"odometerReading": 51_000})).await;
    assert_eq!(reading(&garage, blue).await, (Some(50_000), None), "a later reading exists, in another unit");
    garage.remove_service_entry(miles.id).await.expect("removed");
    garage.edit_service_entry(april.id, &entry(json!({"odometerReading": 51_100}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await.0, Some(51_100));

    // In another unit, the number is no longer the entry's.
    garage.edit_vehicle(blue, &draft(json!({"odometerUnit": "mi"}))).await.expect("edited");
    assert_eq!(reading(&garage, blue).await, (Some(51_100), None));
    garage.remove_service_entry(april.id).await.expect("removed");
    assert_eq!(reading(&garage, blue).await, (Some(51_100), None));
}
