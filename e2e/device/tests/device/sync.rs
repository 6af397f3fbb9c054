//! Sync between devices with the real programs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    proxy::Proxy,
    support::{Bus, Device, EMAIL, PASSWORD, Server},
};

/// How many times a program is killed.
const KILLS: u32 = 200;

fn sign_in<'a>(bus: &'a Bus, url: &str) -> Device<'a> {
    let device = Device::new(bus);
    device.json(&["sign-in", url, "--email", EMAIL, "--password-stdin"], PASSWORD);
    device
}

fn state(device: &Device<'_>) -> String {
    device.json(&["status"], "")["state"].as_str().expect("a state").to_owned()
}

/// The vehicles by nickname, without what only one device knows.
fn vehicles(device: &Device<'_>) -> BTreeMap<String, Vec<Value>> {
    let mut vehicles = BTreeMap::<String, Vec<Value>>::new();
    for vehicle in device.json(&["vehicle", "list"], "").as_array().expect("a list") {
        vehicles.entry(vehicle["nickname"].as_str().unwrap_or_default().to_owned()).or_default().push(vehicle.clone());
    }
    vehicles
}

#[test]
fn three_devices_say_the_truth_while_the_server_comes_and_goes() {
    let (mut server, bus) = (Server::start(), Bus::with_key_store());
    let one = Device::new(&bus);
    one.json(&["vehicle", "add", "--nickname", "Blue", "--license-plate", "B 1"], "");
    assert_eq!(state(&one), "localOnly");
    one.sign_up(&server);
    assert_eq!((state(&one).as_str(), &one.json(&["status"], "")["status"]["waiting"]), ("waiting", &1.into()));
    one.json(&["sync"], "");
    assert_eq!(state(&one), "synced");
    let (two, three) = (sign_in(&bus, &server.url), sign_in(&bus, &server.url));
    assert_eq!(state(&two), "waiting", "not synced yet");
    for device in [&two, &three] {
        assert_eq!(device.json(&["sync"], "")["received"], 1);
    }
    assert_eq!(vehicles(&two), vehicles(&one));

    server.stop();
    one.json(&["service", "add", "Blue", "--kind", "service", "--description", "Oil"], "");
    one.json(&["vehicle", "edit", "Blue", "--color", "Red"], "");
    two.json(&["vehicle", "edit", "Blue", "--color", "Green"], "");
    two.json(&["vehicle", "edit", "Blue", "--notes", "From two"], "");
    let (code, _, stderr) = one.garage(&["sync"], "");
    assert!(code == 1 && stderr.contains("cannot be reached"), "{stderr}");
    assert_eq!((state(&one), state(&two)), ("waiting".to_owned(), "waiting".to_owned()));
    server.start_again();
    for device in [&one, &two, &three, &one] {
        device.json(&["sync"], "");
    }
    for device in [&one, &two, &three] {
        assert_eq!(state(device), "needsAttention");
        let conflicts = device.json(&["conflicts"], "");
        assert_eq!(conflicts.as_array().map(Vec::len), Some(1));
        assert_eq!(
            (&conflicts[0]["value"], &conflicts[0]["alternatives"][0]["value"]),
            (&"Red".into(), &"Green".into())
        );
    }
    three.json(&["resolve", "1", "a"], "");
    for device in [&three, &one, &two] {
        device.json(&["sync"], "");
        assert_eq!(state(device), "synced");
        let vehicle = vehicles(device)["Blue"][0].clone();
        assert_eq!((&vehicle["color"], &vehicle["notes"]), (&"Green".into(), &"From two".into()));
        assert_eq!(device.json(&["service", "list", "Blue"], "")["entries"][0]["description"], "Oil");
    }
    two.json(&["vehicle", "remove", "Blue"], "");
    two.json(&["sync"], "");
    one.json(&["sync"], "");
    assert_eq!(vehicles(&one).len(), 0);
    let idle = one.json(&["sync"], "");
    assert_eq!((&idle["sent"], &idle["received"], &idle["requests"]), (&0.into(), &0.into(), &1.into()));
}

#[test]
fn a_watching_device_sends_what_other_programs_edit_and_goes_on_after_the_server_was_away() {
    let (mut server, bus) = (Server::start(), Bus::with_key_store());
    let one = Device::new(&bus);
    one.sign_up(&server);
    let two = sign_in(&bus, &server.url);
    let _watching = one.start_garage(&["sync", "--watch"]);
    for number in 0..3 {
        if number == 2 {
            server.stop();
        }
        let nickname = format!("W{number}");
        one.json(&["vehicle", "add", "--nickname", &nickname, "--license-plate", "P"], "");
        if number == 2 {
            std::thread::sleep(Duration::from_secs(1));
            server.start_again();
        }
        // Sent by the other program; this one only looks.
        while !vehicles(&two).contains_key(&nickname) {
            std::thread::sleep(Duration::from_millis(50));
            two.garage(&["sync"], "");
        }
    }
    let same = two.json(&["vehicle", "list"], "");
    assert_eq!(same.as_array().map(Vec::len), Some(3));
}

#[test]
fn an_acknowledged_vehicle_survives_kills_of_the_program_and_broken_connections() {
    let (server, bus) = (Server::start(), Bus::with_key_store());
    let proxy = Proxy::start(&server.url);
    let one = Device::new(&bus);
    one.json(&["sign-up", &proxy.url, "--email", EMAIL, "--password-stdin"], PASSWORD);
    let two = sign_in(&bus, &proxy.url);
    proxy.set_faulty(true);
    let mut acknowledged = Vec::new();
    for number in 0..KILLS {
        let device = if number % 2 == 0 { &one } else { &two };
        let nickname = format!("K{number}");
        let words = match number % 4 {
            0 | 1 => vec!["vehicle", "add", "--nickname", &nickname, "--license-plate", "P"],
            _ => vec!["sync"],
        };
        // Spread over what the programs take.
        let delay = Duration::from_millis(u64::from(number * 37 % 120));
        if device.killed_after(&words, delay) && words.len() > 1 {
            acknowledged.push(nickname);
        }
    }
    proxy.set_faulty(false);
    for device in [&one, &two, &one, &two] {
        device.json(&["sync"], "");
    }
    let (here, there) = (vehicles(&one), vehicles(&two));
    assert_eq!(here, there);
    assert!(here.values().all(|same| same.len() == 1), "no vehicle is there twice");
    for nickname in &acknowledged {
        assert!(here.contains_key(nickname), "{nickname} is lost");
    }
    assert!(!acknowledged.is_empty() && acknowledged.len() < 100, "{} were not killed", acknowledged.len());
    for device in [&one, &two] {
        assert_eq!(state(device), "synced");
        assert_eq!(device.json(&["doctor"], "")["file"]["state"], "sound");
    }
}
