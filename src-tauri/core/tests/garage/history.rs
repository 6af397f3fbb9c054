//! History, undo, and the origins of values.

use garage_core::{ChangeKind, ErrorCode, FieldValue, Garage, HistoryEntry, Origin, VehicleId, VehicleQuery};
use serde_json::json;

use crate::support::{ACCORD, Folder, add, code, draft, open};

fn text(value: &str) -> Option<FieldValue> {
    Some(FieldValue::Text(value.to_owned()))
}

async fn history(garage: &Garage, id: VehicleId) -> Vec<HistoryEntry> {
    garage.history(id).await.expect("a history")
}

fn from_snapshot() -> Origin {
    Origin::Decoded { from: "snapshot".to_owned(), month: Some("2026-10".to_owned()) }
}

#[tokio::test]
async fn every_write_adds_a_history_entry_with_values_time_program_and_device() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"vin": ACCORD, "nickname": "Blue"})).await.id;
    garage.edit_vehicle(id, &draft(json!({"nickname": "Bluey", "odometerReading": 5}))).await.expect("edited");
    garage.edit_vehicle(id, &draft(json!({"nickname": "Bluey"}))).await.expect("no change");
    garage.remove_vehicle(id).await.expect("removed");
    garage.restore_vehicle(id).await.expect("restored");

    let entries = history(&garage, id).await;
    let kinds: Vec<ChangeKind> = entries.iter().map(|entry| entry.kind.clone()).collect();
    assert_eq!(kinds, [ChangeKind::Restored, ChangeKind::Removed, ChangeKind::Edited, ChangeKind::Added]);
    let edited = &entries[2];
    let values: Vec<_> = edited.fields.iter().map(|it| (it.field.as_str(), it.old.clone(), it.new.clone())).collect();
    assert_eq!(
        values,
        [("nickname", text("Blue"), text("Bluey")), ("odometerReading", None, Some(FieldValue::Integer(5))),]
    );
    let added = &entries[3];
    let origin = |field: &str| added.fields.iter().find(|it| it.field == field).map(|it| it.origin.clone());
    assert_eq!(origin("nickname"), Some(Origin::Typed));
    assert_eq!(origin("make"), Some(from_snapshot()));
    assert_eq!(origin("color"), None, "a field that stays empty is not a change");
    assert!(entries.windows(2).all(|pair| pair[0].at > pair[1].at));
    assert!(entries.iter().all(|entry| entry.program == "app" && entry.device_id == entries[0].device_id));
    assert_eq!(entries[0].device_id.len(), 36);
    let other = Folder::new();
    let other_garage = open(&other.garage_file()).await.expect("open");
    let other_id = add(&other_garage, json!({"nickname": "x"})).await.id;
    assert_ne!(history(&other_garage, other_id).await[0].device_id, entries[0].device_id);
}

#[tokio::test]
async fn typing_a_value_replaces_the_decoded_origin() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD, "engine": "J30A4"})).await;
    assert_eq!(added.origins.get("make"), Some(&from_snapshot()));
    assert_eq!(added.origins.get("engine"), None, "typed");
    let edited = garage.edit_vehicle(added.id, &draft(json!({"make": "Honda"}))).await.expect("edited");
    assert_eq!(edited.origins.get("make"), None);
    assert_eq!(edited.origins.get("model"), Some(&from_snapshot()));
    assert_eq!(garage.vehicle(added.id).await.expect("the vehicle"), edited);

    let confirmed = garage.edit_vehicle(added.id, &draft(json!({"model": "Accord"}))).await.expect("confirmed");
    assert_eq!(confirmed.origins.get("model"), None, "a confirmed value counts as typed");
    let entries = history(&garage, added.id).await;
    assert_eq!((&entries[0].fields[0].old, &entries[0].fields[0].new), (&text("Accord"), &text("Accord")));
    let undone = garage.undo(entries[0].id).await.expect("undone");
    assert_eq!(undone.origins, edited.origins);
    assert_eq!(code(garage.undo(entries[0].id).await), ErrorCode::ChangedSince, "a change can be undone once");
    let unchanged = garage.edit_vehicle(added.id, &draft(json!({"make": "Honda"}))).await.expect("the same");
    assert_eq!(unchanged, undone, "the same value is not a change");
}

#[tokio::test]
async fn any_change_can_be_undone_and_an_undo_too() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD, "nickname": "Blue"})).await;
    let id = added.id;
    garage.edit_vehicle(id, &draft(json!({"make": "Honda", "nickname": null}))).await.expect("edited");
    let edit = history(&garage, id).await[0].id;
    let undone = garage.undo(edit).await.expect("undone");
    assert_eq!((&undone.fields, &undone.origins), (&added.fields, &added.origins), "origins are restored too");
    let undo = history(&garage, id).await[0].clone();
    assert_eq!((undo.kind, undo.undoes), (ChangeKind::Edited, Some(edit)));
    let redone = garage.undo(undo.id).await.expect("redone");
    assert_eq!((redone.fields.make.as_deref(), redone.fields.nickname), (Some("Honda"), None));

    garage.remove_vehicle(id).await.expect("removed");
    let removal = history(&garage, id).await[0].id;
    assert_eq!(garage.undo(removal).await.expect("undone").deleted_at, None);
    assert_eq!(code(garage.undo(removal).await), ErrorCode::ChangedSince);
    assert_eq!(history(&garage, id).await.len(), 6, "every change is in history");
}

#[tokio::test]
async fn only_the_last_addition_removal_or_restore_can_be_undone() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "Blue"})).await.id;
    let addition = history(&garage, id).await[0].id;
    garage.edit_vehicle(id, &draft(json!({"color": "red"}))).await.expect("edited");
    let refused = garage.undo(addition).await.expect_err("the vehicle has a later change");
    assert_eq!(refused.code(), ErrorCode::ChangedSince);
    assert_eq!(refused.to_string(), "The vehicle was changed after it was added; remove it instead");
    garage.remove_vehicle(id).await.expect("removed");
    let refused = garage.undo(addition).await.expect_err("the vehicle has later changes");
    assert_eq!(refused.to_string(), "The vehicle was changed after it was added; it is removed already");
    let first_removal = history(&garage, id).await[0].id;
    garage.restore_vehicle(id).await.expect("restored");
    let restoring = history(&garage, id).await[0].id;
    garage.remove_vehicle(id).await.expect("removed again");
    for earlier in [first_removal, restoring] {
        let refused = garage.undo(earlier).await.expect_err("the second removal is the latest");
        assert_eq!(refused.code(), ErrorCode::ChangedSince);
        let message = "It has been removed or restored since, so this change can no longer be undone";
        assert_eq!(refused.to_string(), message);
    }
    let second_removal = history(&garage, id).await[0].id;
    assert_eq!(garage.undo(second_removal).await.expect("undone").deleted_at, None);
    garage
        .edit_vehicle(id, &draft(json!({"color": "blue"})))
        .await
        .expect("an edit does not prevent undo of the removal");
    let undoing = history(&garage, id).await[1].id;
    assert!(garage.undo(undoing).await.expect("undone").deleted_at.is_some());

    let other = add(&garage, json!({"nickname": "other"})).await.id;
    let addition = history(&garage, other).await[0].id;
    assert!(garage.undo(addition).await.expect("no later change").deleted_at.is_some());
    assert_eq!(garage.all_vehicles(VehicleQuery::default()).await.expect("a list"), []);
}

#[tokio::test]
async fn undo_of_a_field_that_changed_since_fails_and_names_the_field() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let id = add(&garage, json!({"nickname": "a", "color": "red"})).await.id;
    garage.edit_vehicle(id, &draft(json!({"nickname": "b", "color": "blue"}))).await.expect("edited");
    let change = history(&garage, id).await[0].id;
    garage.edit_vehicle(id, &draft(json!({"color": "green"}))).await.expect("edited");
    let refused = garage.undo(change).await.expect_err("refused");
    assert_eq!(refused.to_string(), "color has been changed since; undo that change first");
    assert_eq!(
        garage.vehicle(id).await.expect("the vehicle").fields.nickname.as_deref(),
        Some("b"),
        "no field is undone"
    );
}

#[tokio::test]
async fn undo_validates_the_vehicle_as_an_edit_does() {
    let folder = Folder::new();
    let garage = open(&folder.garage_file()).await.expect("open");
    let first = add(&garage, json!({"vin": ACCORD})).await.id;
    garage.edit_vehicle(first, &draft(json!({"vin": null}))).await.expect("edited");
    add(&garage, json!({"vin": ACCORD})).await;
    let cleared = history(&garage, first).await[0].id;
    assert_eq!(code(garage.undo(cleared).await), ErrorCode::DuplicateVin);

    let bare = add(&garage, json!({"licensePlate": "X"})).await.id;
    garage.edit_vehicle(bare, &draft(json!({"nickname": "Y"}))).await.expect("edited");
    let named = history(&garage, bare).await[0].id;
    garage.edit_vehicle(bare, &draft(json!({"licensePlate": null}))).await.expect("edited");
    assert_eq!(code(garage.undo(named).await), ErrorCode::Invalid, "nothing would identify the vehicle");
}
