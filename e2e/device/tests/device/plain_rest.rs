//! Sync with the backends on Node, which have no `sync.v1`, and with `garage-server` on the same database.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    proxy::Proxy,
    support::{Bus, Device, EMAIL, PASSWORD, Server},
    sync::{sign_in, state, vehicles},
};

const ACCORD: &str = "1HGCM82633A004352";

/// How many vehicles are added while connections break.
const ADDED: usize = 30;

/// The vehicles by id, without what each device has of its own: origins do not travel, and of a creation the earlier time
/// stands.
fn content(device: &Device<'_>) -> BTreeMap<String, Value> {
    let all = vehicles(device).into_values().flatten();
    let shared = |mut vehicle: Value| {
        let members = vehicle.as_object_mut().expect("an object");
        members.retain(|name, _| !["createdAt", "updatedAt", "origins"].contains(&name.as_str()));
        let id = vehicle["id"].as_str().expect("an id").to_owned();
        (id, vehicle)
    };
    all.map(shared).collect()
}

fn sync(devices: &[&Device<'_>]) {
    for device in devices {
        device.json(&["sync"], "");
    }
}

fn add(device: &Device<'_>, words: &[&str]) {
    device.json(&[&["vehicle", "add"], words].concat(), "");
}

fn edit(device: &Device<'_>, vehicle: &str, words: &[&str]) {
    device.json(&[&["vehicle", "edit", vehicle], words].concat(), "");
}

/// The value and the other values of the only conflict.
fn conflict(device: &Device<'_>) -> (Value, Value) {
    let conflicts = device.json(&["conflicts"], "");
    assert_eq!(conflicts.as_array().map(Vec::len), Some(1), "{conflicts}");
    (conflicts[0]["value"].clone(), conflicts[0]["alternatives"][0]["value"].clone())
}

fn is_idle(device: &Device<'_>) {
    let idle = device.json(&["sync"], "");
    assert_eq!((&idle["sent"], &idle["received"], &idle["requests"]), (&0.into(), &0.into(), &1.into()));
    assert_eq!(device.json(&["doctor"], "")["file"]["state"], "sound");
}

fn two_devices_converge_over(backend: &str) {
    let (mut server, bus) = (Server::start_on_postgres(), Bus::with_key_store());
    let one = Device::new(&bus);
    one.sign_up(&server);
    let two = sign_in(&bus, &server.url);
    server.switch_to(backend);
    for nickname in ["Blue", "Sold", "Third", "Fourth"] {
        add(&one, &["--nickname", nickname, "--license-plate", "B 1"]);
    }
    one.json(&["service", "add", "Blue", "--kind", "service", "--description", "Oil"], "");
    sync(&[&one, &two]);
    assert_eq!(content(&two), content(&one));
    assert_eq!(content(&one).len(), 4);

    // Service entries stay, and are said to stay.
    let status = one.json(&["status"], "");
    assert_eq!((&status["state"], &status["status"]["waiting"]), (&"synced".into(), &0.into()));
    assert_eq!(status["status"]["onThisDeviceOnly"]["serviceEntries"], 1);
    let (_, shown, _) = one.garage(&["status"], "");
    assert!(shown.contains("Synced vehicles at ") && shown.contains("only: 1 service entries"), "{shown}");

    edit(&one, "Blue", &["--color", "Red"]);
    edit(&two, "Blue", &["--notes", "From two", "--odometer-reading", "51000"]);
    two.json(&["vehicle", "remove", "Sold"], "");
    add(&one, &[ACCORD, "--nickname", "Mine"]);
    add(&two, &[ACCORD, "--license-plate", "A 1"]);
    sync(&[&one, &two, &one]);
    assert_eq!(content(&two), content(&one));
    let (blue, same) = (&vehicles(&one)["Blue"][0], &vehicles(&one)["Mine"][0]);
    assert_eq!((&blue["color"], &blue["notes"]), (&"Red".into(), &"From two".into()));
    assert_eq!((&same["licensePlate"], content(&one).len()), (&"A 1".into(), 4));
    assert_eq!(one.json(&["conflicts"], ""), Value::Array(Vec::new()));

    edit(&one, "Blue", &["--color", "White"]);
    edit(&two, "Blue", &["--color", "Green"]);
    sync(&[&one, &two, &one]);
    assert_eq!(conflict(&two), ("White".into(), "Green".into()), "where it was found");
    assert_eq!(state(&one), "synced", "and nowhere else");
    two.json(&["resolve", "1", "a"], "");
    sync(&[&two, &one]);
    assert_eq!(vehicles(&one)["Blue"][0]["color"], "Green");
    assert_eq!(content(&two), content(&one));

    // An edit that had not seen a removal adds the vehicle again, with its service entry.
    two.json(&["vehicle", "remove", "Blue"], "");
    sync(&[&two]);
    edit(&one, "Blue", &["--color", "Yellow"]);
    sync(&[&one, &two, &one]);
    assert_eq!(conflict(&one), (false.into(), true.into()));
    one.json(&["resolve", "1", "keep"], "");
    sync(&[&one, &two]);
    assert_eq!(content(&two), content(&one));
    assert_eq!(one.json(&["service", "list", "Blue"], "")["entries"][0]["description"], "Oil");
    for device in [&one, &two] {
        is_idle(device);
    }
}

#[test]
#[ignore = "needs PostgreSQL and Node: cargo xtask test --only contract"]
fn two_devices_converge_over_express() {
    two_devices_converge_over("express");
}

#[test]
#[ignore = "needs PostgreSQL and Node: cargo xtask test --only contract"]
fn two_devices_converge_over_fastify() {
    two_devices_converge_over("fastify");
}

#[test]
#[ignore = "needs PostgreSQL and Node: cargo xtask test --only contract"]
fn broken_connections_to_express_lose_no_vehicle_and_make_none_twice() {
    let (mut server, bus) = (Server::start_on_postgres(), Bus::with_key_store());
    let proxy = Proxy::start(&server.url);
    let one = Device::new(&bus);
    one.json(&["sign-up", &proxy.url, "--email", EMAIL, "--password-stdin"], PASSWORD);
    let two = sign_in(&bus, &server.url);
    server.switch_to("express");
    proxy.set_faulty(true);
    let mut failures = 0;
    for number in 0..ADDED {
        add(&one, &["--nickname", &format!("P{number}"), "--license-plate", "P"]);
        if number % 3 == 2 {
            edit(&one, &format!("P{}", number - 1), &["--color", "Red"]);
        }
        let (code, _, _) = one.garage(&["sync"], "");
        failures += usize::from(code != 0);
    }
    proxy.set_faulty(false);
    sync(&[&one, &two]);
    assert!(failures > 0, "no connection was broken");
    assert_eq!(content(&two), content(&one));
    let nicknames: Vec<usize> = vehicles(&two).values().map(Vec::len).collect();
    assert_eq!(nicknames, vec![1; ADDED]);
    assert_eq!(two.json(&["conflicts"], ""), Value::Array(Vec::new()));
    is_idle(&one);
}

#[test]
#[ignore = "needs PostgreSQL and Node: cargo xtask test --only contract"]
fn a_switch_of_the_backend_and_back_loses_nothing() {
    let (mut server, bus) = (Server::start_on_postgres(), Bus::with_key_store());
    let one = Device::new(&bus);
    one.sign_up(&server);
    let two = sign_in(&bus, &server.url);
    let entries = |device: &Device<'_>| {
        let list = device.json(&["service", "list", "Blue"], "");
        let entries = list["entries"].as_array().expect("a list").iter();
        let mut texts: Vec<String> =
            entries.map(|it| it["description"].as_str().unwrap_or_default().to_owned()).collect();
        texts.sort();
        texts
    };
    let service = |device: &Device<'_>, what: &str| {
        device.json(&["service", "add", "Blue", "--kind", "service", "--description", what], "");
    };
    for nickname in ["Blue", "Second", "Third"] {
        add(&one, &["--nickname", nickname]);
    }
    service(&one, "On axum");
    sync(&[&one, &two]);
    assert_eq!(entries(&two), ["On axum"]);

    server.switch_to("fastify");
    service(&one, "On fastify");
    edit(&one, "Blue", &["--color", "Red"]);
    edit(&two, "Blue", &["--color", "Green", "--notes", "From two"]);
    two.json(&["vehicle", "remove", "Third"], "");
    add(&two, &["--nickname", "Added"]);
    sync(&[&one, &two, &one]);
    assert_eq!((state(&one).as_str(), state(&two).as_str()), ("synced", "needsAttention"));
    assert_eq!(content(&two), content(&one));
    assert_eq!(one.json(&["status"], "")["status"]["onThisDeviceOnly"]["serviceEntries"], 1);
    assert_eq!(conflict(&two), ("Red".into(), "Green".into()));

    // Edits wait while the backend changes under the devices.
    edit(&one, "Second", &["--color", "Black"]);
    server.switch_to("axum");
    sync(&[&one, &two, &one]);
    assert_eq!(content(&two), content(&one));
    for device in [&one, &two] {
        assert_eq!(entries(device), ["On axum", "On fastify"]);
        assert_eq!(conflict(device), ("Red".into(), "Green".into()), "conflicts travel again");
        let vehicles = vehicles(device);
        assert_eq!(vehicles.keys().collect::<Vec<_>>(), ["Added", "Blue", "Second"]);
        assert_eq!(
            (&vehicles["Second"][0]["color"], &vehicles["Blue"][0]["notes"]),
            (&"Black".into(), &"From two".into())
        );
        let status = device.json(&["status"], "");
        assert_eq!(status["status"]["onThisDeviceOnly"], Value::Object(Default::default()));
    }
    one.json(&["resolve", "1", "a"], "");
    sync(&[&one, &two]);
    for device in [&one, &two] {
        assert_eq!((state(device).as_str(), &vehicles(device)["Blue"][0]["color"]), ("synced", &"Green".into()));
        is_idle(device);
    }
}
