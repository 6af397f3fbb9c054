//! Sync with a server without `sync.v1`.

use std::{collections::BTreeMap, time::Duration};

use garage_core::{
    ChangeListener, Environment, Garage, GarageConfig, GivenSession, SessionConfig, Unencrypted, Vehicle, VehicleQuery,
    sync::{Attention, Choice, Exchanged, RemoteError, SyncError, SyncStatus},
};
use serde_json::{Value, json};

use crate::{
    fake_server::{json as answer, response},
    plain_server::{Fault, PlainServer, error},
    support::{ACCORD, Folder, add, config, draft, entry},
};

/// A device that is signed in to a server. Its ids are its own.
struct Device {
    garage: Garage,
    _folder: Folder,
}

impl Device {
    async fn of(server: &PlainServer) -> Device {
        let folder = Folder::new();
        let url = server.fake.url.clone();
        let given = Some(GivenSession { server: url, token: "token".into(), unencrypted: Unencrypted::Refuse });
        let config = GarageConfig {
            environment: Environment::new(garage_testkit::now, uuid::Uuid::now_v7),
            session: SessionConfig { given, ..SessionConfig::default() },
            ..config(&folder.garage_file())
        };
        Device { garage: Garage::open(config, ChangeListener::none()).await.expect("open"), _folder: folder }
    }

    async fn try_sync(&self) -> Result<Exchanged, SyncError> {
        let session = self.garage.session().await.expect("a session");
        self.garage.sync(&session, Duration::ZERO, |_| ()).await
    }

    async fn sync(&self) -> Exchanged {
        self.try_sync().await.expect("synced")
    }

    async fn add(&self, values: Value) -> Vehicle {
        add(&self.garage, values).await
    }

    async fn edit(&self, vehicle: &Vehicle, values: Value) {
        self.garage.edit_vehicle(vehicle.id, &draft(values)).await.expect("edited");
    }

    async fn vehicles(&self) -> Vec<Vehicle> {
        self.garage.all_vehicles(VehicleQuery::default()).await.expect("a list")
    }

    /// The vehicles' fields by id.
    async fn fields(&self) -> BTreeMap<String, Value> {
        let vehicles = self.vehicles().await.into_iter();
        vehicles.map(|it| (it.id.to_string(), serde_json::to_value(it.fields).expect("JSON"))).collect()
    }

    async fn status(&self) -> SyncStatus {
        self.garage.sync_status().await.expect("a status")
    }

    /// The fields with conflicts, each with its value and the others.
    async fn conflicts(&self) -> Vec<(String, String, Vec<String>)> {
        let text = |value: &Option<garage_core::domain::FieldValue>| {
            value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        let conflicts = self.garage.conflicts().await.expect("a list").into_iter();
        let others =
            |it: &garage_core::sync::OpenConflict| it.alternatives.iter().map(|it| text(&it.value)).collect::<Vec<_>>();
        conflicts.map(|it| (it.field.clone(), text(&it.value), others(&it))).collect()
    }

    /// Asserts that everything is on the server, and that no table of sync has a problem.
    async fn assert_synced(&self) {
        let status = self.status().await;
        assert!(status.is_synced(), "{status:?}");
        assert_eq!(self.garage.examine_sync().await.expect("examined"), Vec::<String>::new());
        let idle = self.sync().await;
        assert_eq!((idle.sent, idle.received, idle.waiting, idle.requests), (0, 0, 0, 1));
    }
}

#[tokio::test]
async fn two_devices_end_with_the_same_vehicles() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    let blue = one.add(json!({ "nickname": "Blue", "color": "Blue", "licensePlate": "B 1" })).await;
    for number in 0..30 {
        one.add(json!({ "nickname": format!("N{number}") })).await;
    }
    let exchanged = one.sync().await;
    assert_eq!((exchanged.sent, exchanged.requests), (31, 3), "two batches and a list");
    two.sync().await;
    assert_eq!(two.fields().await, one.fields().await);

    one.edit(&blue, json!({ "color": "Red" })).await;
    two.edit(&blue, json!({ "notes": "From two" })).await;
    let removed = two.vehicles().await.into_iter().find(|it| it.fields.nickname.as_deref() == Some("N7"));
    two.garage.remove_vehicle(removed.expect("a vehicle").id).await.expect("removed");
    for device in [&one, &two, &one] {
        device.sync().await;
    }
    for device in [&one, &two] {
        let vehicle = device.garage.vehicle(blue.id).await.expect("a vehicle");
        assert_eq!((vehicle.fields.color.as_deref(), vehicle.fields.notes.as_deref()), (Some("Red"), Some("From two")));
        assert_eq!(device.vehicles().await.len(), 30);
        device.assert_synced().await;
    }
    // A copy of the file reads everything again.
    two.garage.become_another_device().await.expect("another id");
    two.sync().await;
    two.assert_synced().await;
    assert_eq!(two.fields().await, one.fields().await);
}

#[tokio::test]
async fn the_same_vin_on_two_devices_is_one_vehicle_with_the_values_of_both() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    one.add(json!({ "vin": ACCORD, "nickname": "Mine", "color": "Red" })).await;
    two.add(json!({ "vin": ACCORD, "licensePlate": "B 1", "color": "Blue" })).await;
    for device in [&one, &two, &one, &two] {
        device.sync().await;
    }
    assert_eq!(two.conflicts().await, [("color".to_owned(), "Red".to_owned(), vec!["Blue".to_owned()])]);
    assert_eq!(one.conflicts().await, [], "conflicts do not travel");
    let fields = one.fields().await;
    assert_eq!((fields.len(), &two.fields().await), (1, &fields));
    let vehicle = fields.values().next().expect("a vehicle");
    assert_eq!((&vehicle["nickname"], &vehicle["licensePlate"]), (&"Mine".into(), &"B 1".into()));
    one.assert_synced().await;
}

#[tokio::test]
async fn a_field_that_two_devices_set_is_a_conflict_on_the_one_that_finds_it() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    let blue = one.add(json!({ "nickname": "Blue" })).await;
    one.sync().await;
    two.sync().await;
    one.edit(&blue, json!({ "color": "Red" })).await;
    two.edit(&blue, json!({ "color": "Green" })).await;
    for device in [&one, &two, &one] {
        device.sync().await;
    }
    assert_eq!(one.conflicts().await, []);
    assert_eq!(two.conflicts().await, [("color".to_owned(), "Red".to_owned(), vec!["Green".to_owned()])]);
    let status = two.status().await;
    assert_eq!((status.waiting, status.on_this_device_only["vehicles"]), (0, 1));
    let open = two.garage.conflicts().await.expect("a list").remove(0);
    let choice = Choice::Other(open.alternatives[0].id);
    two.garage.resolve(&garage_core::VEHICLES, blue.id, "color", choice).await.expect("settled");
    for device in [&two, &one] {
        device.sync().await;
        let vehicle = device.garage.vehicle(blue.id).await.expect("a vehicle");
        assert_eq!(vehicle.fields.color.as_deref(), Some("Green"));
        assert_eq!(device.conflicts().await, []);
    }
}

#[tokio::test]
async fn a_lost_response_has_no_second_effect_and_no_conflict() {
    let server = PlainServer::start();
    let device = Device::of(&server).await;
    let lose = async |route| {
        server.fail(route, Fault::Lost);
        let failed = device.try_sync().await;
        assert!(matches!(failed, Err(SyncError::Remote(RemoteError::Unreadable(_)))), "{route}: {failed:?}");
    };
    let blue = device.add(json!({ "vin": ACCORD, "color": "Blue" })).await;
    device.add(json!({ "nickname": "Other" })).await;
    lose("POST /api/vehicles").await;
    // Edited before the device knows that it was added.
    device.edit(&blue, json!({ "color": "Red" })).await;
    device.sync().await;
    assert_eq!(server.model().vehicles.len(), 2);
    assert_eq!(server.model().vehicles[&blue.id.to_string()]["color"], "Red");

    device.edit(&blue, json!({ "color": "Green" })).await;
    lose("PUT /api/vehicles").await;
    device.edit(&blue, json!({ "color": "White" })).await;
    device.sync().await;
    assert_eq!(device.conflicts().await, []);
    assert_eq!(server.model().vehicles[&blue.id.to_string()]["color"], "White");

    device.garage.remove_vehicle(blue.id).await.expect("removed");
    lose("DELETE /api/vehicles").await;
    device.sync().await;
    assert_eq!(device.vehicles().await.len(), 1);
    device.assert_synced().await;
}

#[tokio::test]
async fn what_the_server_fills_in_comes_back_and_what_the_server_changes_is_merged_from_what_was_sent() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    let blue = one.add(json!({ "vin": "AB12345", "color": "Blue" })).await;
    server.fail("POST /api/vehicles", Fault::Lost);
    one.try_sync().await.expect_err("lost");
    two.sync().await;
    two.edit(&blue, json!({ "color": "Red", "notes": "From two" })).await;
    two.sync().await;
    one.edit(&blue, json!({ "nickname": "Mine" })).await;
    one.sync().await;
    assert_eq!(one.conflicts().await, []);
    let vehicle = one.garage.vehicle(blue.id).await.expect("a vehicle").fields;
    assert_eq!(vehicle.vehicle_type.as_deref(), Some("DECODED THERE"));
    assert_eq!((vehicle.color.as_deref(), vehicle.notes.as_deref()), (Some("Red"), Some("From two")));
    two.sync().await;
    assert_eq!(two.fields().await, one.fields().await);
}

#[tokio::test]
async fn an_edit_of_a_vehicle_that_was_removed_elsewhere_adds_it_again_with_a_conflict() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    let blue = one.add(json!({ "nickname": "Blue", "notes": "x" })).await;
    let other = one.add(json!({ "nickname": "Other" })).await;
    let service = entry(json!({ "vehicleId": blue.id, "date": "2026-03-14", "description": "Oil" }));
    two.sync().await;
    one.garage.add_service_entry(&service).await.expect("added");
    one.sync().await;
    two.sync().await;
    two.garage.remove_vehicle(blue.id).await.expect("removed");
    two.sync().await;
    one.edit(&blue, json!({ "color": "Red" })).await;
    one.sync().await;
    assert_eq!(one.conflicts().await, [("deletedAt".to_owned(), "false".to_owned(), vec!["true".to_owned()])]);
    two.sync().await;
    assert_eq!(two.fields().await, one.fields().await);
    let again = one.garage.vehicle(blue.id).await.expect("found by its old id");
    assert!(again.id != blue.id && again.fields.notes.as_deref() == Some("x"));
    assert_eq!(one.garage.service_log(again.id).await.expect("a log").entries.len(), 1, "references follow");
    assert!(one.garage.history(again.id).await.expect("a history").len() > 2, "so does the history");

    // Both restore what one has removed: one vehicle.
    one.garage.remove_vehicle(other.id).await.expect("removed");
    one.sync().await;
    two.sync().await;
    for device in [&one, &two] {
        device.garage.restore_vehicle(other.id).await.expect("restored");
    }
    server.fail("POST /api/vehicles", Fault::Lost);
    one.try_sync().await.expect_err("lost");
    for device in [&two, &one, &two] {
        device.sync().await;
    }
    assert_eq!((two.fields().await, one.vehicles().await.len()), (one.fields().await, 2));
    two.assert_synced().await;
}

#[tokio::test]
async fn a_create_whose_record_was_removed_meanwhile_is_decided_by_a_person() {
    let server = PlainServer::start();
    let (one, two) = (Device::of(&server).await, Device::of(&server).await);
    let blue = one.add(json!({ "nickname": "Blue" })).await;
    server.fail("POST /api/vehicles", Fault::Lost);
    one.try_sync().await.expect_err("lost");
    two.sync().await;
    two.garage.remove_vehicle(blue.id).await.expect("removed");
    two.sync().await;
    one.sync().await;
    assert_eq!(one.conflicts().await, [("deletedAt".to_owned(), "false".to_owned(), vec!["true".to_owned()])]);
    assert_eq!((one.vehicles().await.len(), one.status().await.waiting), (1, 0));
}

#[tokio::test]
async fn absence_is_a_removal_only_if_the_server_says_so() {
    let server = PlainServer::start();
    let device = Device::of(&server).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(device.add(json!({ "nickname": format!("N{number}") })).await.id.to_string());
    }
    device.sync().await;
    let whole = device.fields().await;
    // A list that lacks a vehicle, which is there.
    server.model().hidden = [ids[1].clone()].into();
    server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
    device.sync().await;
    assert_eq!(device.fields().await, whole);
    // One that is there is asked for by a proxy's page.
    server.model().hidden = [ids[1].clone()].into();
    server.fail("GET /api/vehicles/", Fault::Answered(response("404 Not Found", "", b"<html>Vehicle not found")));
    server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
    let failed = device.try_sync().await;
    assert!(matches!(failed, Err(SyncError::Remote(RemoteError::Unreadable(_)))), "{failed:?}");
    assert_eq!(device.fields().await, whole);

    // More than half of them, or all.
    for hidden in [&ids[..3], &ids[..]] {
        server.model().hidden = hidden.iter().cloned().collect();
        server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
        let missing = u64::try_from(hidden.len()).expect("a number");
        let stopped = Attention::Removals { missing, is_accepted: false };
        let failed = device.try_sync().await.expect_err("stopped");
        assert!(matches!(&failed, SyncError::Attention(attention) if *attention == stopped), "{failed:?}");
        assert_eq!((device.fields().await, device.status().await.attention), (whole.clone(), Some(stopped)));
    }
    // What is there stays there although a person has accepted it.
    device.garage.accept_removals().await.expect("accepted");
    server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
    device.sync().await;
    assert_eq!(device.fields().await, whole);
    server.model().hidden.clear();
    device.assert_synced().await;

    // Removed by another program.
    for id in &ids[..3] {
        server.model().vehicles.get_mut(id).expect("a vehicle")["deletedAt"] = "2027-03-14T00:00:00Z".into();
    }
    server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
    device.try_sync().await.expect_err("stopped");
    device.garage.accept_removals().await.expect("accepted");
    server.fail("GET /api/vehicles", Fault::Answered(list_without_tag(&server)));
    device.sync().await;
    assert_eq!(device.vehicles().await.len(), 2);
    device.assert_synced().await;
}

/// The response to a list, without what is hidden, and without an entity tag.
fn list_without_tag(server: &PlainServer) -> Vec<u8> {
    let model = server.model();
    let live = model.vehicles.iter().filter(|(id, it)| it["deletedAt"].is_null() && !model.hidden.contains(*id));
    answer("200 OK", &live.map(|(_, vehicle)| vehicle.clone()).collect::<Vec<_>>().into())
}

#[tokio::test]
async fn other_responses_remove_nothing_and_say_what_is_wrong() {
    let server = PlainServer::start();
    let device = Device::of(&server).await;
    let blue = device.add(json!({ "nickname": "Blue" })).await;
    device.sync().await;
    let unauthorized = || error("401 Unauthorized", "Missing or invalid token", &Value::Null);
    let busy = || response("503 Service Unavailable", "retry-after: 7\r\n", b"");
    let too_many = || response("429 Too Many Requests", "retry-after: 9\r\n", b"");
    let of_others = || {
        let mut list: Value = server.model().vehicles.values().cloned().collect::<Vec<_>>().into();
        list[0]["userId"] = "eve".into();
        answer("200 OK", &list)
    };
    let wait =
        |seconds| RemoteError::Unavailable { message: String::new(), retry_after: Some(Duration::from_secs(seconds)) };
    let unreadable = || RemoteError::Unreadable(String::new());
    let responses: [(Vec<u8>, RemoteError); 8] = [
        (unauthorized(), RemoteError::SignedOut),
        (busy(), wait(7)),
        (too_many(), wait(9)),
        (of_others(), RemoteError::OtherAccount),
        (response("200 OK", "", b"<html>"), unreadable()),
        (response("200 OK", "content-length: 99\r\n", b"[]"), unreadable()),
        (answer("200 OK", &json!([{ "id": "x" }])), unreadable()),
        (response("302 Found", "location: /\r\n", b""), unreadable()),
    ];
    for (bytes, expected) in responses {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        server.fail("GET /api/vehicles", Fault::Answered(bytes));
        let failed = device.try_sync().await.expect_err("an error");
        let SyncError::Remote(failed) = failed else { panic!("{failed:?}") };
        assert_eq!(without_message(&failed), expected, "{shown}");
        assert_eq!((device.vehicles().await.len(), device.status().await.waiting), (1, 0), "{shown}");
    }
    // A write whose outcome is not known is sent again.
    device.edit(&blue, json!({ "color": "Red" })).await;
    for bytes in [busy(), too_many(), unauthorized(), response("200 OK", "", b"<html>")] {
        server.fail("PUT /api/vehicles", Fault::Answered(bytes));
        device.try_sync().await.expect_err("an error");
        assert_eq!(device.status().await.waiting, 1);
    }
    device.sync().await;
    assert_eq!(server.model().vehicles[&blue.id.to_string()]["color"], "Red");
    device.assert_synced().await;
}

fn without_message(error: &RemoteError) -> RemoteError {
    match error.clone() {
        RemoteError::Unavailable { retry_after, .. } => {
            RemoteError::Unavailable { message: String::new(), retry_after }
        }
        RemoteError::Unreadable(_) => RemoteError::Unreadable(String::new()),
        error => error,
    }
}

#[tokio::test]
async fn what_the_server_refuses_or_does_not_have_stays_here_and_the_rest_is_sent() {
    let server = PlainServer::start();
    server.model().lacks = Some("bodyClass");
    let device = Device::of(&server).await;
    let blue = device.add(json!({ "nickname": "Blue" })).await;
    device.add(json!({ "nickname": "Other", "vin": "AB12345" })).await;
    device.sync().await;
    device.edit(&blue, json!({ "color": "Red", "year": 2027, "bodyClass": "Coupe" })).await;
    device.sync().await;
    let refusals = device.garage.refusals().await.expect("a list");
    let named: Vec<_> = refusals.iter().map(|it| (it.field.as_deref(), it.reason.as_str())).collect();
    assert_eq!(
        named,
        [
            (Some("bodyClass"), "This server does not have this field"),
            (Some("year"), "year must be between 1886 and 2026"),
        ]
    );
    assert_eq!(server.model().vehicles[&blue.id.to_string()]["color"], "Red");
    assert_eq!(device.status().await.waiting, 0);
    let vehicle = device.garage.vehicle(blue.id).await.expect("a vehicle");
    assert_eq!((vehicle.fields.year, vehicle.fields.body_class.as_deref()), (Some(2027), Some("Coupe")));
}

#[tokio::test]
async fn a_restored_database_stops_sync_without_a_change() {
    let server = PlainServer::start();
    let device = Device::of(&server).await;
    let blue = device.add(json!({ "nickname": "Blue", "color": "Blue" })).await;
    device.sync().await;
    device.edit(&blue, json!({ "color": "Red" })).await;
    device.sync().await;
    let older = |it: &mut Value| (it["version"], it["color"]) = (1.into(), "Blue".into());
    server.model().vehicles.get_mut(&blue.id.to_string()).map(older).expect("a vehicle");
    device.edit(&blue, json!({ "notes": "New" })).await;
    let failed = device.try_sync().await.expect_err("stopped");
    assert!(failed.to_string().contains("older than what this device has read"), "{failed}");
    assert_eq!(device.fields().await[&blue.id.to_string()]["color"], "Red");
}

#[tokio::test]
async fn service_entries_stay_on_the_device_until_a_server_takes_them() {
    let server = PlainServer::start();
    let device = Device::of(&server).await;
    let blue = device.add(json!({ "nickname": "Blue" })).await;
    let service = entry(json!({ "vehicleId": blue.id, "date": "2026-03-14", "description": "Oil" }));
    device.garage.add_service_entry(&service).await.expect("added");
    let before = device.status().await;
    assert_eq!((before.waiting, before.collections), (2, None), "nobody has asked the server yet");
    device.sync().await;
    let status = device.status().await;
    assert_eq!((status.waiting, status.collections), (0, Some(vec!["vehicles".to_owned()])));
    assert_eq!(status.on_this_device_only, BTreeMap::from([("serviceEntries".to_owned(), 1)]));
    device.assert_synced().await;

    let everything = || Fault::Answered(answer("200 OK", &json!({ "capabilities": ["vehicles", "sync.v1"] })));
    server.fail("GET /api/health", everything());
    server.fail("POST /api/sync", Fault::Answered(response("503 Service Unavailable", "", b"")));
    device.try_sync().await.expect_err("away");
    let requests = server.fake.received();
    let sync = requests.iter().rfind(|it| it.route == "POST /api/sync").expect("a request");
    let body: Value = serde_json::from_str(&sync.body).expect("JSON");
    assert_eq!((&body["cursor"], &body["operations"][0]["collection"]), (&Value::Null, &"serviceEntries".into()));
    let status = device.status().await;
    assert_eq!((status.waiting, status.on_this_device_only.len(), status.collections), (1, 0, None));
    // And back before it was answered: the entry stays.
    device.sync().await;
    let status = device.status().await;
    assert_eq!((status.waiting, status.on_this_device_only["serviceEntries"]), (0, 1));
}
