//! `POST /api/sync`, as devices see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use garage_domain::{Extra, RecordId};
use garage_protocol::sync::{AuditHash, content_hash};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    store::Sql,
    support::{ACCORD, Answer, Server, User},
};

const OTHER_VIN: &str = "1M8GDM9AXKP042788";

/// A device: what it remembers between requests.
struct Device<'a> {
    user: &'a User<'a>,
    id: Uuid,
    batch: i64,
    epoch: Value,
    cursor: Value,
    limit: usize,
    /// The records by collection and id, as the last changes say.
    records: BTreeMap<(String, String), Value>,
}

impl<'a> Device<'a> {
    fn new(user: &'a User<'a>) -> Device<'a> {
        let records = BTreeMap::new();
        Device { user, id: Uuid::now_v7(), batch: 0, epoch: Value::Null, cursor: Value::Null, limit: 500, records }
    }

    fn request(&self, operations: &[Value]) -> Value {
        let batch = if operations.is_empty() { Value::Null } else { json!(self.batch) };
        json!({
            "account": null, "deviceId": self.id, "batch": batch, "epoch": self.epoch, "cursor": self.cursor,
            "limit": self.limit, "operations": operations,
        })
    }

    async fn send(&self, request: &Value) -> Value {
        self.user.post("/api/sync", request.clone()).await.expect(StatusCode::OK)
    }

    /// Takes a page.
    fn take(&mut self, response: &Value) {
        (self.epoch, self.cursor) = (response["epoch"].clone(), response["cursor"].clone());
        for change in response["changes"].as_array().expect("changes") {
            let text = |name: &str| change[name].as_str().expect("text").to_owned();
            self.records.insert((text("collection"), text("recordId")), change.clone());
        }
    }

    /// Sends a new batch and takes its page. Returns the results.
    async fn push(&mut self, operations: &[Value]) -> Vec<Value> {
        self.batch += 1;
        let response = self.send(&self.request(operations)).await;
        self.take(&response);
        response["results"].as_array().expect("results").clone()
    }

    /// Reads to the end. Returns the number of requests.
    async fn pull(&mut self) -> usize {
        for requests in 1.. {
            let response = self.send(&self.request(&[])).await;
            self.take(&response);
            if response["more"] == false {
                return requests;
            }
        }
        unreachable!("a feed has an end")
    }

    fn record(&self, id: Uuid) -> &Value {
        let found = self.records.iter().find(|((_, record), _)| *record == id.to_string());
        found.expect("a record").1
    }

    fn version(&self, id: Uuid) -> i64 {
        self.record(id)["version"].as_i64().expect("a version")
    }
}

fn operation(collection: &str, id: Uuid, kind: &str, base: Option<i64>, fields: Value) -> Value {
    json!({
        "opId": Uuid::now_v7(), "collection": collection, "recordId": id, "kind": kind, "baseVersion": base,
        "fields": fields, "origins": {}, "createdAt": "2026-11-30T10:00:00.000001Z",
        "updatedAt": "2026-11-30T11:00:00.000002Z",
    })
}

fn create(id: Uuid, fields: Value) -> Value {
    operation("vehicles", id, "create", None, fields)
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().expect("a status")).collect()
}

async fn server() -> Option<Server> {
    Server::with_capability("sync.v1").await
}

#[tokio::test]
async fn changes_of_one_device_reach_the_other_and_plain_rest() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let (mut a, mut b) = (Device::new(&ada), Device::new(&ada));
    let id = Uuid::now_v7();
    let mut first = create(id, json!({ "nickname": "Blue", "year": 2003, "wheels": { "n": 4, "x": 1.50 } }));
    first["origins"] = json!({ "nickname": { "by": "typed", "deviceId": a.id } });
    assert_eq!(statuses(&a.push(&[first]).await), ["applied"]);
    assert_eq!(a.record(id)["deviceId"], json!(a.id), "a page has the device's own changes");
    b.pull().await;
    let seen = b.record(id).clone();
    assert_eq!(
        (&seen["fields"], &seen["createdAt"], &seen["updatedAt"], &seen["deletedAt"]),
        (
            &json!({
                "nickname": "Blue", "year": 2003, "wheels": { "n": 4, "x": 1.50 }, "isActive": true, "odometerUnit": "mi",
            }),
            &json!("2026-11-30T10:00:00.000001Z"),
            &json!("2026-11-30T11:00:00.000002Z"),
            &Value::Null,
        )
    );
    assert_eq!(seen["origins"], json!({ "nickname": { "by": "typed", "deviceId": a.id } }));

    let update = operation("vehicles", id, "update", Some(b.version(id)), json!({ "year": null, "color": "Red" }));
    assert_eq!(statuses(&b.push(&[update]).await), ["applied"]);
    a.pull().await;
    assert_eq!(a.record(id)["fields"]["color"], "Red");
    assert!(a.record(id)["fields"].get("year").is_none(), "null clears a field");
    assert_eq!(a.record(id)["fields"]["wheels"], json!({ "n": 4, "x": 1.50 }));

    let path = format!("/api/vehicles/{id}");
    let shown = ada.get(&path).await.expect(StatusCode::OK);
    assert_eq!((&shown["color"], &shown["version"]), (&json!("Red"), &json!(a.version(id))));
    assert!(shown.get("wheels").is_none(), "plain REST does not show fields without a column");
    ada.put(&path, json!({ "color": "Green" })).await.expect(StatusCode::OK);
    a.pull().await;
    let changed = a.record(id);
    assert_eq!((&changed["fields"]["color"], &changed["deviceId"]), (&json!("Green"), &Value::Null));
    assert_eq!(changed["fields"]["wheels"], json!({ "n": 4, "x": 1.50 }), "and does not change them");

    let delete = operation("vehicles", id, "delete", Some(a.version(id)), json!({ "notes": "Sold" }));
    assert_eq!(statuses(&a.push(&[delete]).await), ["applied"]);
    b.pull().await;
    assert_eq!(b.record(id)["deletedAt"], "2026-11-30T11:00:00.000002Z");
    assert_eq!(b.record(id)["fields"]["notes"], "Sold");
    assert_eq!(ada.get(&path).await.status, StatusCode::NOT_FOUND);
    let restore = operation("vehicles", id, "restore", Some(b.version(id)), json!({}));
    assert_eq!(statuses(&b.push(&[restore]).await), ["applied"]);
    assert_eq!(ada.get(&path).await.expect(StatusCode::OK)["notes"], "Sold");
}

#[tokio::test]
async fn an_idle_request_has_the_same_small_response_with_the_digest() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let mut device = Device::new(&ada);
    let entry = operation(
        "serviceEntries",
        Uuid::now_v7(),
        "create",
        None,
        json!({
            "vehicleId": Uuid::now_v7(), "date": "2026-03-14", "kind": "service",
        }),
    );
    device.push(&[create(Uuid::now_v7(), json!({ "nickname": "Blue" })), entry]).await;
    let request = device.request(&[]);
    let (first, second) = (device.send(&request).await, device.send(&request).await);
    assert_eq!(first, second);
    assert_eq!((&first["cursor"], &first["changes"], &first["more"]), (&device.cursor, &json!([]), &json!(false)));
    for collection in ["vehicles", "serviceEntries"] {
        let (mut count, mut sum) = (0, 0);
        for ((_, id), record) in device.records.iter().filter(|((name, _), _)| name == collection) {
            const PRIME: i64 = (1 << 31) - 1;
            let version = record["version"].as_i64().expect("a version");
            let half = |range| i64::from_str_radix(&id[range], 16).expect("hexadecimal digits");
            let hash = (half(24..30) + version) % PRIME * ((half(30..36) + 3 * version) % PRIME) % PRIME;
            (count, sum) = (count + 1, (sum + hash) % (1 << 48));
        }
        assert_eq!(first["digest"][collection], json!({ "count": count, "hash": sum }), "{collection}");
    }
    assert!(request.to_string().len() < 1024 && first.to_string().len() < 1024);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_has_the_same_results_and_no_other_effect() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let (mut a, mut b) = (Device::new(&ada), Device::new(&ada));
    let (first, twin, invalid) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    a.push(&[create(first, json!({ "vin": ACCORD }))]).await;
    b.pull().await;
    b.batch += 1;
    let update = operation("vehicles", first, "update", Some(b.version(first)), json!({ "color": "Red" }));
    let operations = [update, create(twin, json!({ "vin": ACCORD })), create(invalid, json!({ "year": 1700 }))];
    let request = b.request(&operations);
    let answers = b.send(&request).await;
    let results = answers["results"].as_array().expect("results");
    assert_eq!(statuses(results), ["applied", "exists", "rejected"]);
    assert_eq!(results[1]["current"]["recordId"], json!(first));
    assert_eq!(results[2]["error"]["details"][0]["field"], "year");

    a.pull().await;
    let color = operation("vehicles", first, "update", Some(a.version(first)), json!({ "color": "Green" }));
    a.push(&[color]).await;
    let again = b.send(&request).await;
    assert_eq!(statuses(again["results"].as_array().expect("results")), ["duplicate", "exists", "rejected"]);
    assert_eq!(again["results"][0]["version"], results[0]["version"]);
    assert_eq!(again["results"][1]["current"]["fields"]["color"], "Green", "the other record as it is now");
    assert_eq!(again["results"][2], results[2]);
    let versions = |response: &Value| {
        let changes = response["changes"].as_array().expect("changes").iter();
        changes.map(|change| change["version"].as_i64().expect("a version")).max()
    };
    assert_eq!(versions(&again), Some(a.version(first)), "only the other device's change is new");

    let mut other = request.clone();
    other["operations"][0]["fields"]["color"] = json!("Blue");
    let refused = ada.post("/api/sync", other.clone()).await.expect(StatusCode::BAD_REQUEST);
    assert!(refused["message"].as_str().is_some_and(|it| it.ends_with("was sent before with another content")));
    other["operations"][0]["opId"] = json!(Uuid::now_v7());
    let copied = b.send(&other).await;
    assert_eq!((&copied["copied"], &copied["results"], &copied["changes"]), (&json!(true), &json!([]), &json!([])));

    b.take(&again);
    for number in 0..2 {
        let update =
            operation("vehicles", first, "update", Some(b.version(first)), json!({ "nickname": number.to_string() }));
        assert_eq!(statuses(&b.push(&[update]).await), ["applied"]);
    }
    let mut late = request.clone();
    late["cursor"] = b.cursor.clone();
    let late = b.send(&late).await;
    assert_eq!((&late["late"], &late["results"]), (&json!(true), &json!([])));
    a.pull().await;
    assert_eq!(a.record(first)["fields"]["nickname"], "1");
}

#[tokio::test]
async fn an_operation_on_another_version_is_stale_and_judged_afresh() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let (mut a, mut b) = (Device::new(&ada), Device::new(&ada));
    let id = Uuid::now_v7();
    a.push(&[create(id, json!({ "nickname": "Blue" }))]).await;
    b.pull().await;
    let by = |device: &Device<'_>, kind: &str, color: &str| {
        operation("vehicles", id, kind, Some(device.version(id)), json!({ "color": color }))
    };
    a.push(&[by(&a, "update", "Red")]).await;
    for kind in ["update", "delete"] {
        let results = b.push(&[by(&b, kind, "Green")]).await;
        assert_eq!(statuses(&results), ["stale"]);
        assert_eq!(results[0]["current"]["fields"]["color"], "Red");
        // The page of the same response moved the device's version; an outdated one is needed again.
        b.records.insert(("vehicles".to_owned(), id.to_string()), json!({ "version": 1 }));
    }
    let results = b.push(&[create(id, json!({ "nickname": "Again" }))]).await;
    assert_eq!(statuses(&results), ["stale"], "a create of an id that exists");
    let unknown = operation("vehicles", Uuid::now_v7(), "update", Some(7), json!({ "color": "Green" }));
    let results = b.push(&[unknown]).await;
    assert_eq!((statuses(&results), results[0].get("current")), (vec!["stale"], None));
}

#[tokio::test]
async fn a_second_vehicle_with_a_vin_becomes_an_alias_of_the_first() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let (mut a, mut b) = (Device::new(&ada), Device::new(&ada));
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    a.push(&[create(first, json!({ "vin": ACCORD, "color": "Red" }))]).await;
    let results = b.push(&[create(second, json!({ "vin": ACCORD, "color": "Green" }))]).await;
    assert_eq!(statuses(&results), ["exists"]);
    assert_eq!(results[0]["current"], *b.record(first));
    let tombstone = b.record(second).clone();
    assert_eq!((&tombstone["aliasOf"], &tombstone["fields"]), (&json!(first), &Value::Null));
    assert!(tombstone["deletedAt"].is_string());
    a.pull().await;
    assert_eq!(a.record(second)["aliasOf"], json!(first), "every device learns it");
    for kind in ["create", "update", "delete", "restore"] {
        let base = (kind != "create").then(|| a.version(second));
        let results = a.push(&[operation("vehicles", second, kind, base, json!({ "color": "Blue" }))]).await;
        assert_eq!(statuses(&results), ["exists"], "{kind}");
        assert_eq!(results[0]["current"]["fields"]["color"], "Red");
    }

    let again = ada.post("/api/vehicles", json!({ "id": second, "nickname": "Again" })).await;
    again.refused(StatusCode::CONFLICT, "This id is already used by another vehicle");

    let third = Uuid::now_v7();
    let without = json!({ "vin": null, "nickname": "First" });
    let freed = [
        operation("vehicles", first, "update", Some(a.version(first)), without),
        create(third, json!({ "vin": ACCORD })),
    ];
    assert_eq!(statuses(&a.push(&freed).await), ["applied", "applied"]);
    let taken = operation("vehicles", first, "update", Some(a.version(first)), json!({ "vin": ACCORD }));
    let results = a.push(&[taken]).await;
    assert_eq!(statuses(&results), ["rejected"], "only a create is joined");
    assert_eq!(results[0]["error"]["details"][0]["field"], "vin");
    // Within one batch a VIN can move from one vehicle to another.
    let moved = [
        operation("vehicles", third, "delete", Some(a.version(third)), json!({})),
        operation("vehicles", first, "update", Some(a.version(first)), json!({ "vin": ACCORD })),
    ];
    assert_eq!(statuses(&a.push(&moved).await), ["applied", "applied"]);
    let restored = operation("vehicles", third, "restore", Some(a.version(third)), json!({}));
    let results = a.push(&[restored]).await;
    assert_eq!(statuses(&results), ["rejected"]);
    assert_eq!(results[0]["error"]["details"][0]["field"], "deletedAt");
    let elsewhere = operation("vehicles", third, "restore", Some(a.version(third)), json!({ "vin": OTHER_VIN }));
    assert_eq!(statuses(&a.push(&[elsewhere]).await), ["applied"]);
}

#[tokio::test]
async fn what_breaks_a_rule_is_rejected_and_the_rest_of_the_batch_is_applied() {
    let Some(server) = server().await else { return };
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let (mut a, mut e) = (Device::new(&ada), Device::new(&eve));
    let of_eve = Uuid::now_v7();
    e.push(&[create(of_eve, json!({ "nickname": "Eve's" }))]).await;
    let entry = |fields: Value| operation("serviceEntries", Uuid::now_v7(), "create", None, fields);
    let vehicle = |fields: Value| create(Uuid::now_v7(), fields);
    let rejected = [
        (vehicle(json!({ "vin": "1HG$" })), "vin"),
        (vehicle(json!({ "vin": ACCORD.to_lowercase() })), "vin"),
        (vehicle(json!({ "nickname": " Blue " })), "nickname"),
        (vehicle(json!({ "nickname": "Blue", "isActive": null })), "isActive"),
        (vehicle(json!({ "nickname": "Blue", "odometerUnit": "furlong" })), "odometerUnit"),
        (vehicle(json!({ "color": "Blue" })), ""),
        (create(of_eve, json!({ "nickname": "Mine" })), ""),
        (entry(json!({ "date": "2026-03-14", "kind": "service" })), "vehicleId"),
        (
            entry(
                json!({ "vehicleId": of_eve, "date": "2026-03-14", "kind": "service", "cost": "129.9", "currency": "EUR" }),
            ),
            "cost",
        ),
        (vehicle(json!({ "nickname": "Blue", "large": "x".repeat(600 << 10) })), ""),
    ];
    for (operation, field) in rejected {
        let good = Uuid::now_v7();
        let results = a.push(&[operation.clone(), create(good, json!({ "nickname": "Good" }))]).await;
        let what = operation.to_string().chars().take(200).collect::<String>();
        assert_eq!(statuses(&results), ["rejected", "applied"], "{what}");
        let error = &results[0]["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}");
        assert_eq!(error["details"][0]["field"].as_str().unwrap_or_default(), field, "{what} {error}");
        assert!(!a.records.contains_key(&("vehicles".to_owned(), operation["recordId"].to_string())));
    }
    let kept = entry(json!({
        "vehicleId": of_eve, "date": "2026-03-14", "kind": "service", "cost": "129.90", "currency": "EUR", "by": [1.0],
    }));
    let unknown = operation("tires", Uuid::now_v7(), "create", None, json!({ "size": "205/55 R16", "n": 1e2 }));
    let results = a.push(&[kept.clone(), unknown.clone()]).await;
    assert_eq!(statuses(&results), ["applied", "applied"], "{results:?}");
    for operation in [kept, unknown] {
        let id = operation["recordId"].as_str().expect("an id").parse().expect("an id");
        assert_eq!(a.record(id)["fields"], operation["fields"]);
    }
}

#[tokio::test]
async fn a_feed_of_any_length_is_read_in_pages() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let mut writer = Device::new(&ada);
    let ids: Vec<Uuid> = (0..23).map(|_| Uuid::now_v7()).collect();
    for chunk in ids.chunks(10) {
        let operation = |id: &Uuid| match id.as_u128() % 3 {
            0 => operation("tires", *id, "create", None, json!({ "n": 1 })),
            _ => create(*id, json!({ "nickname": "x" })),
        };
        writer.push(&chunk.iter().map(operation).collect::<Vec<_>>()).await;
    }
    let mut reader = Device::new(&ada);
    reader.limit = 5;
    assert_eq!(reader.pull().await, 5);
    assert_eq!(reader.records, writer.records);

    // A page ends at 1 MiB, too, and has at least one record.
    let text = "x".repeat(400 << 10);
    for id in &ids[..3] {
        let collection = &writer.record(*id)["collection"].as_str().expect("a name").to_owned();
        let update = operation(collection, *id, "update", Some(writer.version(*id)), json!({ "large": text }));
        writer.push(&[update]).await;
    }
    let mut reader = Device::new(&ada);
    let requests = reader.pull().await;
    assert_eq!((requests, reader.records == writer.records), (2, true));
}

#[tokio::test]
async fn requests_that_no_correct_device_sends_are_refused_as_a_whole() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let device = Device::new(&ada);
    let good = device.request(&[create(Uuid::now_v7(), json!({ "nickname": "Blue" }))]);
    let changed = |path: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        request
    };
    let mut twice = good.clone();
    twice["operations"] = json!([good["operations"][0], good["operations"][0]]);
    for (request, message) in [
        (changed("/limit", json!(0)), "limit must be between 1 and 500"),
        (changed("/limit", json!(501)), "limit must be between 1 and 500"),
        (changed("/cursor", json!("7.a")), "cursor must be one of a response, with its epoch"),
        (changed("/batch", json!(null)), "batch must be the number of the batch of operations"),
        (changed("/operations", json!([])), "batch must be the number of the batch of operations"),
        (
            changed("/operations/0/baseVersion", json!(1)),
            "operations[0] must have a base version unless it is a create",
        ),
        (changed("/operations/0/collection", json!("no name")), "operations[0] must have the name of a collection"),
        (
            changed("/operations/0/fields", json!({ "deletedAt": null })),
            "operations[0] must have names of fields: letters and digits, at most 64",
        ),
        (changed("/operations/0/origins", json!({ "year": {} })), "operations[0] must have origins only of its fields"),
        (twice, "operations[1] must have an id and a record of its own"),
    ] {
        ada.post("/api/sync", request).await.refused(StatusCode::BAD_REQUEST, message);
    }
    for (path, value) in [("/deviceId", json!("x")), ("/operations/0/kind", json!("merge")), ("/limit", json!("x"))] {
        let answer = ada.post("/api/sync", changed(path, value)).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer["message"].as_str().is_some_and(|it| it.starts_with("Request body is not valid")), "{answer}");
    }
    let other = changed("/account", json!("another"));
    ada.post("/api/sync", other).await.refused(StatusCode::CONFLICT, "This garage belongs to another account");
    let large = changed("/operations/0/fields/nickname", json!("x".repeat(1 << 20)));
    let large = ada.post("/api/sync", large).await;
    large.refused(StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB");
    let text = ada.request(Method::POST, "/api/sync").body(good.to_string());
    Answer::of(text).await.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK), json!([]), "nothing was applied");
    let answered = device.send(&good).await;
    let with_account = changed("/account", answered["account"].clone());
    assert_eq!(statuses(device.send(&with_account).await["results"].as_array().expect("results")), ["duplicate"]);
}

#[tokio::test]
async fn requests_may_be_compressed() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let mut device = Device::new(&ada);
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    };
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("compressed");
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = ada.request(Method::POST, "/api/sync").header(header::CONTENT_TYPE, "application/json");
        Answer::of(request.header(header::CONTENT_ENCODING, encoding).body(body)).await
    };
    for (encoding, compress) in [("gzip", &gzip as &dyn Fn(&str) -> Vec<u8>), ("zstd", &zstd)] {
        device.batch += 1;
        let request = device.request(&[create(Uuid::now_v7(), json!({ "nickname": "Blue" }))]).to_string();
        let answer = send(encoding, compress(&request)).await.expect(StatusCode::OK);
        assert_eq!(statuses(answer["results"].as_array().expect("results")), ["applied"], "{encoding}");
        let bomb = send(encoding, compress(&" ".repeat(20 << 20))).await;
        bomb.refused(StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB");
        let damaged = send(encoding, b"damaged".to_vec()).await;
        damaged.refused(StatusCode::BAD_REQUEST, "Request body is not validly compressed");
    }
    let unknown = send("br", Vec::new()).await;
    assert_eq!(unknown.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_request_of_another_epoch_applies_nothing() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let mut device = Device::new(&ada);
    let id = Uuid::now_v7();
    device.push(&[create(id, json!({ "nickname": "Blue" }))]).await;
    device.batch += 1;
    let update = operation("vehicles", id, "update", Some(device.version(id)), json!({ "color": "Red" }));
    let mut request = device.request(&[update]);
    request["epoch"] = json!("another");
    let reset = device.send(&request).await;
    assert_eq!((&reset["reset"], &reset["epoch"], &reset["cursor"]), (&json!(true), &device.epoch, &Value::Null));
    assert_eq!((&reset["results"], &reset["changes"]), (&json!([]), &json!([])));
    let mut other = Device::new(&ada);
    other.pull().await;
    assert!(other.record(id)["fields"].get("color").is_none());

    // A cursor that the server cannot have given: the database was restored.
    let version = device.version(id);
    for unknown in [format!("{}.ffffffffffffffff", version), format!("{}.0", version + 7)] {
        let mut request = other.request(&[]);
        request["cursor"] = json!(unknown);
        let reset = other.send(&request).await;
        assert_eq!((&reset["reset"], &reset["changes"]), (&json!(true), &json!([])));
        let lineage = reset["lineage"].as_array().expect("a lineage");
        assert_eq!(lineage.last(), Some(&json!([other.epoch, lineage.last().expect("an epoch")[1]])));
        assert_ne!(reset["epoch"], other.epoch);
        other.epoch = reset["epoch"].clone();
        other.cursor = Value::Null;
        other.pull().await;
        assert_eq!(other.version(id), version, "records keep their versions");
    }
    let refused = device.send(&device.request(&[])).await;
    assert_eq!(refused["reset"], true, "other devices learn of the new epoch");
    assert!(refused["lineage"].as_array().is_some_and(|lineage| lineage.len() == 2 && lineage[0][1] == version));
    (device.epoch, device.cursor) = (refused["epoch"].clone(), Value::Null);
    let update = operation("vehicles", id, "update", Some(version), json!({ "color": "Red" }));
    assert_eq!(statuses(&device.push(&[update]).await), ["applied"]);
    assert!(device.version(id) > version + (2 << 32), "versions of the new epoch are above all before");
}

#[tokio::test]
async fn an_audit_compares_contents() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let mut device = Device::new(&ada);
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
    device.push(&ids.iter().map(|id| create(*id, json!({ "nickname": "x" }))).collect::<Vec<_>>()).await;
    let delete = operation("vehicles", ids[1], "delete", Some(device.version(ids[1])), json!({}));
    device.push(&[delete]).await;
    let audit = async |after: Option<Uuid>, ids: &[Uuid], device: &Device<'_>| {
        let mut hash = AuditHash::default();
        for id in ids {
            let record = device.record(*id);
            let fields: Option<Extra> = serde_json::from_value(record["fields"].clone()).expect("fields");
            hash.add(RecordId(*id), device.version(*id), fields.as_ref(), record["deletedAt"].is_string());
        }
        let mut request = device.request(&[]);
        request["audit"] = json!({ "collection": "vehicles", "after": after, "limit": 3, "hash": hash.finish() });
        let response = device.send(&request).await;
        (request["audit"]["hash"] == response["audit"]["hash"], response["audit"].clone())
    };
    let (equal, first) = audit(None, &ids[..3], &device).await;
    assert_eq!((equal, &first["next"], first.get("records")), (true, &json!(ids[2]), None));
    let (equal, second) = audit(Some(ids[2]), &ids[3..], &device).await;
    assert_eq!((equal, &second["next"]), (true, &Value::Null));
    let (equal, differing) = audit(None, &ids[..2], &device).await;
    assert!(!equal);
    let records = differing["records"].as_array().expect("records");
    assert_eq!(
        records.iter().map(|it| &it["recordId"]).collect::<Vec<_>>(),
        [&json!(ids[0]), &json!(ids[1]), &json!(ids[2])]
    );
    assert_eq!(records[1], *device.record(ids[1]));
    assert_ne!(content_hash(None, true), content_hash(Some(&Extra::new()), true));
}

#[tokio::test]
async fn devices_that_write_at_the_same_time_lose_nothing_and_read_everything() {
    let Some(server) = server().await else { return };
    let ada = server.user("ada").await;
    let writer = async || {
        let mut device = Device::new(&ada);
        let mut ids = BTreeSet::new();
        for _ in 0..8 {
            let new: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
            let results =
                device.push(&new.iter().map(|id| create(*id, json!({ "nickname": "x" }))).collect::<Vec<_>>()).await;
            assert_eq!(statuses(&results), ["applied"; 3]);
            ids.extend(new);
        }
        ids
    };
    let reader = async || {
        let mut device = Device::new(&ada);
        device.limit = 2;
        let mut last = 0;
        while device.records.len() < 4 * 24 {
            let response = device.send(&device.request(&[])).await;
            for change in response["changes"].as_array().expect("changes") {
                let version = change["version"].as_i64().expect("a version");
                assert!(version > last, "ascending, and none twice");
                last = version;
            }
            device.take(&response);
        }
        device.records.keys().map(|(_, id)| id.parse().expect("an id")).collect::<BTreeSet<Uuid>>()
    };
    let (a, b, c, d, read) = tokio::join!(writer(), writer(), writer(), writer(), reader());
    let written: BTreeSet<Uuid> = [a, b, c, d].into_iter().flatten().collect();
    assert_eq!(read, written);
}

/// Rows that other programs delete, with the server's own database.
#[tokio::test]
async fn a_record_whose_row_is_gone_can_be_restored_with_all_its_fields() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    let mut device = Device::new(&ada);
    let (vehicle, tire) = (Uuid::now_v7(), Uuid::now_v7());
    let tire_of = |kind: &str, base| operation("tires", tire, kind, base, json!({ "n": 1 }));
    device.push(&[create(vehicle, json!({ "nickname": "Blue" })), tire_of("create", None)]).await;
    let mut other = Sql::on(server.data()).await;
    other.run("DELETE FROM vehicles; DELETE FROM records").await.expect("deleted");
    device.pull().await;
    for id in [vehicle, tire] {
        let tombstone = device.record(id);
        assert_eq!((&tombstone["fields"], &tombstone["aliasOf"]), (&Value::Null, &Value::Null));
        assert!(tombstone["deletedAt"].is_string());
    }
    let update = operation("vehicles", vehicle, "update", Some(device.version(vehicle)), json!({ "color": "Red" }));
    let before = device.version(vehicle);
    assert_eq!(statuses(&device.push(&[update]).await), ["applied"], "there is nothing to change");
    assert_eq!(device.version(vehicle), before);
    let restore =
        operation("vehicles", vehicle, "restore", Some(before), json!({ "nickname": "Blue", "color": "Red" }));
    let results = device.push(&[restore, tire_of("restore", Some(device.version(tire)))]).await;
    assert_eq!(statuses(&results), ["applied", "applied"]);
    assert_eq!(device.record(vehicle)["fields"]["color"], "Red");
    assert_eq!(device.record(tire)["fields"], json!({ "n": 1 }));
    other.run("DELETE FROM records").await.expect("deleted");
    let digest = device.send(&device.request(&[])).await["digest"].clone();
    assert_eq!((&digest["vehicles"]["count"], &digest["tires"]["count"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_devices() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    let mut device = Device::new(&ada);
    device.push(&[create(Uuid::now_v7(), json!({ "nickname": "Blue" }))]).await;
    let mut other = Sql::on(server.data()).await;
    let numbered = "WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1998)
        INSERT INTO devices (user_id, device_id, cursors) SELECT user_id, {id}, '' FROM devices CROSS JOIN numbers";
    let id = if other.is_sqlite() {
        "'018f0000-0000-7000-8000-00000000' || n"
    } else {
        "CAST('018f0000-0000-7000-8000-00000000' || n AS UUID)"
    };
    other.run(&numbered.replace("{id}", id)).await.expect("inserted");
    let new = Device::new(&ada);
    let refused = ada.post("/api/sync", new.request(&[])).await;
    refused.refused(StatusCode::FORBIDDEN, "An account can have at most 1000 devices");
    device.push(&[create(Uuid::now_v7(), json!({ "nickname": "Red" }))]).await;
}

#[tokio::test]
async fn what_the_database_refuses_is_rejected_and_the_rest_of_the_batch_is_applied() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    let mut operator = Sql::on(server.data()).await;
    let constraint = if operator.is_sqlite() {
        "CREATE TRIGGER no_pink BEFORE INSERT ON vehicles WHEN NEW.color = 'Pink'
         BEGIN SELECT RAISE(ABORT, 'no pink vehicles'); END"
    } else {
        "ALTER TABLE vehicles ADD CONSTRAINT no_pink CHECK (color <> 'Pink')"
    };
    operator.run(constraint).await.expect("added");
    let colors = ["Blue", "Pink", "Red", "Pink", "Green"];
    let operations =
        colors.map(|color| create(Uuid::now_v7(), json!({ "nickname": color, "color": color, "licensePlate": "P" })));
    let mut device = Device::new(&ada);
    let results = device.push(&operations).await;
    assert_eq!(statuses(&results), ["applied", "rejected", "applied", "rejected", "applied"]);
    assert_eq!(results[1]["error"]["message"], "The database refuses this record");
    assert_eq!(device.records.len(), 3);
    let again = device.send(&device.request(&operations)).await["results"].clone();
    assert_eq!(
        statuses(again.as_array().expect("results")),
        ["duplicate", "rejected", "duplicate", "rejected", "duplicate"]
    );
}

#[tokio::test]
async fn operations_are_in_the_next_list_although_lists_are_remembered() {
    let server = Server::start(&["--open-registration", "--list-cache", "300s"]).await;
    let ada = server.account("ada").await;
    let mut device = Device::new(&ada);
    for count in 0..3 {
        let list = ada.get("/api/vehicles").await.expect(StatusCode::OK);
        assert_eq!(list.as_array().map(Vec::len), Some(count));
        device.push(&[create(Uuid::now_v7(), json!({ "nickname": "Blue" }))]).await;
    }
}

#[tokio::test]
async fn a_restored_database_tells_devices_which_versions_it_lost() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    let mut device = Device::new(&ada);
    let id = Uuid::now_v7();
    device.push(&[create(id, json!({ "nickname": "Blue" }))]).await;
    let (epoch, version) = (device.epoch.clone(), device.version(id));
    let (token, cursor, device_id) = (ada.token.clone(), device.cursor.clone(), device.id);
    let data = server.stop();
    let begun = data.command(&["new-epoch"]).output().expect("it runs");
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let server = Server::start_on(data, &[]);
    let request = json!({
        "account": null, "deviceId": device_id, "batch": null, "epoch": epoch, "cursor": cursor, "limit": 500,
        "operations": [],
    });
    let request = server.request(Method::POST, "/api/sync").bearer_auth(token).json(&request);
    let reset = Answer::of(request).await.expect(StatusCode::OK);
    assert_eq!((&reset["reset"], &reset["lineage"]), (&json!(true), &json!([[epoch, version]])));
    assert_ne!(reset["epoch"], epoch);
}
