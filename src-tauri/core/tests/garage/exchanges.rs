//! Single exchanges, with responses of a server as a test wants them.

use garage_core::{
    Garage, ServerAccount, Vehicle,
    domain::{FieldValue, RecordId},
    sync::{Exchange, Limits, Next, Scope},
};
use garage_protocol::sync::{CollectionDigest, Operation, OperationKind};
use serde_json::{Value, json};

use crate::support::{ACCORD, Folder, add, draft, open};

const PRIUS: &str = "JTDKN3DU5A0123456";

async fn opened(folder: &Folder) -> Garage {
    let garage = open(&folder.garage_file()).await.expect("open");
    let account = ServerAccount { server: "http://127.0.0.1".to_owned(), account: "ada".to_owned(), email: None };
    garage.bind_to_account(account).await.expect("bound");
    garage
}

/// A garage with a vehicle that the server has as version 1.
async fn with_sent(folder: &Folder, fields: Value) -> (Garage, Vehicle) {
    let garage = opened(folder).await;
    let vehicle = add(&garage, fields).await;
    let exchange = begin(&garage).await;
    finish(&garage, exchange, vec![applied(1)], Vec::new(), "1.aa").await;
    (garage, vehicle)
}

async fn begin(garage: &Garage) -> Exchange {
    garage.begin_exchange(&Scope::Everything, Limits::default()).await.expect("begun")
}

fn operations(exchange: &Exchange) -> &[Operation] {
    &exchange.request().operations
}

fn sent(exchange: &Exchange) -> Vec<RecordId> {
    operations(exchange).iter().map(|it| it.record_id).collect()
}

/// Applies a response with these results and changes, of the request's epoch. There is always more, so that digests are not
/// compared.
async fn finish(garage: &Garage, exchange: Exchange, mut results: Vec<Value>, changes: Vec<Value>, cursor: &str) {
    for (result, operation) in results.iter_mut().zip(operations(&exchange)) {
        result["opId"] = json!(operation.op_id);
    }
    let response = json!({
        "account": "ada", "epoch": exchange.request().epoch.as_deref().unwrap_or("e"), "results": results,
        "changes": changes, "cursor": cursor, "more": true,
    });
    respond(garage, exchange, response).await;
}

async fn respond(garage: &Garage, exchange: Exchange, response: Value) {
    let response = serde_json::from_value(response).expect("a response");
    assert_eq!(garage.finish_exchange(exchange, response).await.expect("applied"), Next::Continue);
}

/// The response of a server that was restored, and has lost what came after this version.
fn reset(last: i64) -> Value {
    json!({
        "account": "ada", "epoch": "e2", "reset": true, "lineage": [["e", last]], "results": [], "changes": [],
        "cursor": "0.bb", "more": true,
    })
}

fn applied(version: i64) -> Value {
    json!({ "status": "applied", "version": version })
}

fn vehicle(id: impl ToString, version: i64, vin: &str) -> Value {
    json!({
        "collection": "vehicles", "recordId": id.to_string(), "version": version, "deletedAt": null,
        "fields": { "vin": vin, "isActive": true, "odometerUnit": "mi" }, "origins": {},
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "deviceId": null,
    })
}

fn alias(id: impl ToString, version: i64, of: impl ToString) -> Value {
    json!({
        "collection": "vehicles", "recordId": id.to_string(), "version": version, "deletedAt": "2026-01-01T00:00:00Z",
        "aliasOf": of.to_string(), "fields": null, "origins": {},
    })
}

/// Otherwise the server would take the second vehicle for a duplicate of the first.
#[tokio::test]
async fn a_vin_is_not_taken_while_the_server_refuses_to_free_it() {
    let folder = Folder::new();
    let (garage, first) = with_sent(&folder, json!({ "vin": ACCORD })).await;

    garage.edit_vehicle(first.id, &draft(json!({ "vin": PRIUS }))).await.expect("edited");
    let second = add(&garage, json!({ "vin": ACCORD })).await;
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [first.id], "the second one waits for the first");
    let message = "Vehicle with this VIN already exists";
    let error = json!({ "message": message, "details": [{ "field": "vin", "message": message }] });
    finish(&garage, exchange, vec![json!({ "status": "rejected", "error": error })], Vec::new(), "2.aa").await;

    // What was decoded from the VIN is not refused.
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [first.id], "the server still has the VIN in the first one");
    finish(&garage, exchange, vec![applied(3)], Vec::new(), "3.aa").await;
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), []);
    finish(&garage, exchange, Vec::new(), Vec::new(), "3.ab").await;

    garage.edit_vehicle(first.id, &draft(json!({ "vin": null, "licensePlate": "P" }))).await.expect("edited");
    let exchange = begin(&garage).await;
    finish(&garage, exchange, vec![applied(4)], Vec::new(), "4.aa").await;
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [second.id]);
}

/// A vehicle that was added and removed, and may have arrived, is added once more so that it can be removed there.
#[tokio::test]
async fn a_removed_vehicle_takes_no_vin_that_the_server_has_in_another_one() {
    let folder = Folder::new();
    let (garage, first) = with_sent(&folder, json!({ "vin": ACCORD })).await;
    garage.edit_vehicle(first.id, &draft(json!({ "vin": null, "licensePlate": "P" }))).await.expect("edited");
    let second = add(&garage, json!({ "vin": ACCORD })).await;
    let exchange = begin(&garage).await;
    finish(&garage, exchange, vec![applied(2)], Vec::new(), "2.aa").await;
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [second.id]);
    finish(&garage, exchange, vec![applied(3)], Vec::new(), "3.aa").await;

    garage.remove_vehicle(second.id).await.expect("removed");
    // The server was restored, and has lost the second vehicle and the edit of the first.
    let exchange = begin(&garage).await;
    respond(&garage, exchange, reset(1)).await;
    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [second.id]);
    let results = vec![json!({ "status": "stale", "current": null })];
    finish(&garage, exchange, results, vec![vehicle(first.id, 1, ACCORD)], "1.bb").await;

    let exchange = begin(&garage).await;
    assert_eq!(sent(&exchange), [first.id], "the other one waits until the server has freed its VIN");
}

#[tokio::test]
async fn two_vehicles_can_become_one_the_other_way_round_after_the_server_was_restored() {
    let folder = Folder::new();
    let garage = opened(&folder).await;
    let ours = add(&garage, json!({ "vin": ACCORD, "color": "Red" })).await;
    let theirs = "00000000-0000-4000-8000-000000000001";
    let exchange = begin(&garage).await;
    let exists = json!({ "status": "exists", "current": vehicle(theirs, 1, ACCORD) });
    let changes = vec![vehicle(theirs, 1, ACCORD), alias(ours.id, 2, theirs)];
    finish(&garage, exchange, vec![exists], changes, "2.aa").await;
    let exchange = begin(&garage).await;
    assert_eq!(operations(&exchange)[0].record_id.to_string(), theirs, "the color is sent");
    finish(&garage, exchange, vec![applied(3)], Vec::new(), "3.aa").await;

    // The server has lost all of it, and another device has sent the vehicle that was an alias.
    let exchange = begin(&garage).await;
    respond(&garage, exchange, reset(0)).await;
    let exchange = begin(&garage).await;
    let mut digest = CollectionDigest::default();
    digest.add(ours.id, 1);
    let response = json!({
        "account": "ada", "epoch": "e2", "results": [], "changes": [vehicle(ours.id, 1, ACCORD)], "cursor": "1.bb",
        "more": false, "digest": { "vehicles": digest },
    });
    respond(&garage, exchange, response).await;

    let mut vehicles = Vec::new();
    for cursor in 2..8 {
        let exchange = begin(&garage).await;
        let Some(operation) = operations(&exchange).first().cloned() else {
            finish(&garage, exchange, Vec::new(), Vec::new(), &format!("{cursor}.bb")).await;
            vehicles = garage.all_vehicles(Default::default()).await.expect("a list");
            break;
        };
        let (result, changes) = match (operation.kind, operation.record_id == ours.id) {
            (OperationKind::Create | OperationKind::Restore, false) => (
                json!({ "status": "exists", "current": vehicle(ours.id, 1, ACCORD) }),
                vec![alias(theirs, cursor, ours.id)],
            ),
            _ => (applied(cursor), Vec::new()),
        };
        finish(&garage, exchange, vec![result], changes, &format!("{cursor}.bb")).await;
    }
    assert_eq!(vehicles.iter().map(|it| it.id).collect::<Vec<_>>(), [ours.id], "sync comes to an end");
    let color = serde_json::to_value(&vehicles[0]).expect("JSON")["color"].clone();
    assert_eq!(color, "Red");
    let aliases: Vec<_> = garage.aliases().await.expect("aliases").into_keys().map(|it| it.to_string()).collect();
    assert_eq!(aliases, [theirs]);
}

/// Its versions are others, so that a base of ours must not count as a state that it has.
#[tokio::test]
async fn what_was_edited_here_is_not_replaced_by_the_state_of_another_database() {
    let folder = Folder::new();
    let (garage, ours) = with_sent(&folder, json!({ "vin": ACCORD, "color": "Red" })).await;
    let exchange = begin(&garage).await;
    let mut other = reset(100 << 32);
    other["lineage"] = json!([["x", 1], ["y", 100_i64 << 32]]);
    let response = serde_json::from_value(other).expect("a response");
    garage.finish_exchange(exchange, response).await.expect_err("a person decides");
    garage.accept_other_database().await.expect("accepted");

    let exchange = begin(&garage).await;
    let mut theirs = vehicle(ours.id, 101 << 32, ACCORD);
    theirs["fields"]["color"] = json!("Blue");
    finish(&garage, exchange, Vec::new(), vec![theirs], "2.bb").await;
    let conflicts = garage.conflicts().await.expect("conflicts");
    let conflict = conflicts.iter().find(|it| it.field == "color").expect("a conflict about the color");
    let value = |value: &Option<FieldValue>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!((value(&conflict.value), value(&conflict.alternatives[0].value)), ("Blue".to_owned(), "Red".to_owned()));
}
