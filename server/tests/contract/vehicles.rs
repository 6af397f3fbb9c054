//! The routes of vehicles, and that users see only their own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ACCORD, Answer, Server};

#[tokio::test]
async fn vehicle_is_added_changed_deleted_and_added_again() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let answer =
        ada.post("/api/vehicles", json!({ "vin": "1hgcm-82633 a004352", "nickname": " Blue ", "userId": "x" })).await;
    let added = answer.expect(StatusCode::CREATED);
    assert_eq!(
        (&added["vin"], &added["nickname"], &added["model"]),
        (&json!(ACCORD), &json!("Blue"), &json!("Accord"))
    );
    assert_eq!((&added["version"], answer.header("etag")), (&json!(1), "\"1\""));
    let path = format!("/api/vehicles/{}", added["id"].as_str().expect("an id"));
    assert_eq!(answer.header("location"), path);
    assert_eq!(ada.get(&path).await.expect(StatusCode::OK), added);

    let changed = ada.put(&path, json!({ "odometerReading": 51_000, "nickname": null })).await;
    let changed_body = changed.expect(StatusCode::OK);
    assert_eq!((&changed_body["odometerReading"], &changed_body["nickname"]), (&json!(51_000), &Value::Null));
    assert_eq!((&changed_body["make"], changed.header("etag")), (&json!("HONDA"), "\"2\""));

    let twice = ada.post("/api/vehicles", json!({ "vin": ACCORD })).await;
    twice.refused(StatusCode::CONFLICT, "Vehicle with this VIN already exists");
    ada.delete(&path).await.expect(StatusCode::NO_CONTENT);
    for gone in [ada.delete(&path).await, ada.get(&path).await, ada.put(&path, json!({ "nickname": "x" })).await] {
        gone.refused(StatusCode::NOT_FOUND, "Vehicle not found");
    }
    let (_, again) = ada.add(json!({ "vin": ACCORD })).await;
    assert_ne!(again["id"], added["id"]);
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK), json!([again]));
}

#[tokio::test]
async fn if_match_guards_changes_and_if_none_match_saves_responses() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let list = ada.get("/api/vehicles").await;
    let known =
        |path: &str, tag: &str| Answer::of(ada.request(Method::GET, path).header("if-none-match", tag.to_owned()));
    let not_modified = known("/api/vehicles", list.header("etag")).await;
    assert_eq!((not_modified.status, not_modified.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(known(&path, "\"1\"").await.status, StatusCode::NOT_MODIFIED);

    let change = |tag: &'static str| {
        Answer::of(ada.request(Method::PUT, &path).header("if-match", tag).json(&json!({ "color": "Red" })))
    };
    let refused = change("\"7\"").await;
    refused.refused(StatusCode::PRECONDITION_FAILED, "The vehicle has changed");
    assert_eq!(refused.expect(StatusCode::PRECONDITION_FAILED)["current"]["version"], 1);
    change("\"1\"").await.expect(StatusCode::OK);
    assert_eq!(known(&path, "\"1\"").await.status, StatusCode::OK);
    assert_eq!(known("/api/vehicles", list.header("etag")).await.status, StatusCode::OK);
    let unchanged = ada.put(&path, json!({ "color": "Red" })).await;
    assert_eq!(unchanged.header("etag"), "\"2\"", "a PUT without changes makes no version");
    let stale = Answer::of(ada.request(Method::DELETE, &path).header("if-match", "\"1\"")).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_create_can_be_sent_again_with_the_same_id() {
    let server = Server::open().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let body = json!({ "id": Uuid::now_v7(), "vin": ACCORD, "color": "Red" });
    let first = ada.post("/api/vehicles", body.clone()).await.expect(StatusCode::CREATED);
    let again = ada.post("/api/vehicles", body.clone()).await;
    assert_eq!(again.expect(StatusCode::OK), first);
    let used = "This id is already used by another vehicle";
    let mut other = body.clone();
    other["color"] = json!("Blue");
    ada.post("/api/vehicles", other).await.refused(StatusCode::CONFLICT, used);
    bob.post("/api/vehicles", body.clone()).await.refused(StatusCode::CONFLICT, used);
    // Creates are compared by their bodies, so decoding and later changes make no difference.
    let path = format!("/api/vehicles/{}", body["id"].as_str().expect("an id"));
    ada.put(&path, json!({ "color": "Green" })).await.expect(StatusCode::OK);
    assert_eq!(ada.post("/api/vehicles", body.clone()).await.expect(StatusCode::OK)["color"], "Green");
    ada.delete(&path).await.expect(StatusCode::NO_CONTENT);
    ada.post("/api/vehicles", body).await.refused(StatusCode::CONFLICT, used);
    let bad = ada.post("/api/vehicles", json!({ "id": "7", "nickname": 5 })).await;
    bad.refused(StatusCode::BAD_REQUEST, "nickname must be a string");
    let fields = bad.expect(StatusCode::BAD_REQUEST);
    let fields: Vec<_> = fields["details"].as_array().expect("details").iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["nickname", "id"]);
}

#[tokio::test]
async fn one_of_many_concurrent_creates_with_the_same_vin_succeeds() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let creates: Vec<_> = (0..64)
        .map(|_| tokio::spawn(Answer::of(ada.request(Method::POST, "/api/vehicles").json(&json!({ "vin": ACCORD })))))
        .collect();
    let mut statuses = Vec::new();
    for create in creates {
        statuses.push(create.await.expect("no panic").status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count(), 63, "{statuses:?}");
}

/// Responses must not reveal that another user has a vehicle with this id.
#[tokio::test]
async fn responses_for_vehicles_of_others_equal_those_for_unknown_ids() {
    let server = Server::open().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (path, before) = ada.add(json!({ "vin": ACCORD })).await;
    let (removed, _) = bob.add(json!({ "nickname": "Gone" })).await;
    bob.delete(&removed).await.expect(StatusCode::NO_CONTENT);
    let unknown = format!("/api/vehicles/{}", Uuid::now_v7());
    let bodies = [Some(json!({ "color": "Red" })), Some(json!({ "year": "x" })), Some(json!([])), None];
    let mut tested = 0;
    for operation in server.operations() {
        if !operation.template.contains("{id}") {
            continue;
        }
        let method = operation.method;
        for (body, tag) in bodies.iter().flat_map(|body| ["\"1\"", "\"9\"", "*", ""].map(|tag| (body, tag))) {
            let ask = async |path: &str| {
                let mut request = bob.request(method.clone(), path);
                if !tag.is_empty() {
                    request = request.header("if-match", tag).header("if-none-match", tag);
                }
                if let Some(body) = body {
                    request = request.json(body);
                }
                let mut answer = Answer::of(request).await;
                for header in ["x-request-id", "date"] {
                    answer.headers.remove(header);
                }
                (answer.status, answer.headers, answer.text)
            };
            let expected = ask(&unknown).await;
            for other in [path.as_str(), &removed, "/api/vehicles/nonsense", "/api/vehicles/%00", "/api/vehicles/%ff"] {
                assert_eq!(ask(other).await, expected, "{method} {other} {body:?} {tag}");
            }
            tested += 1;
        }
    }
    assert_eq!(tested, 3 * 16, "GET, PUT and DELETE, each with every body and condition");
    assert_eq!(bob.get("/api/vehicles").await.expect(StatusCode::OK), json!([]));
    bob.add(json!({ "vin": ACCORD })).await;
    assert_eq!(ada.get(&path).await.expect(StatusCode::OK), before);
}

/// Tests the contract's table of fields.
#[tokio::test]
async fn invalid_fields_are_refused_with_the_message_of_their_rule() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year() + 2;
    let years = format!("year must be between 1886 and {year}");
    let vin_length = "VIN must be 17 characters, or 5 to 16 for vehicles before 1981";
    let mut cases: Vec<(&str, Value, String)> = vec![
        ("vin", json!("HELLO!"), "VIN can contain only letters and digits".into()),
        ("vin", json!("\u{212a}1234"), "VIN can contain only letters and digits".into()),
        ("vin", json!("1234"), vin_length.into()),
        ("vin", json!("1HGCM82633A0043521"), vin_length.into()),
        ("vin", json!("1HGCM82633AOO4352"), "VIN cannot contain I, O or Q".into()),
        ("vin", json!(7), "vin must be a string".into()),
        ("year", json!("2003"), "year must be an integer".into()),
        ("year", json!(2003.5), "year must be an integer".into()),
        ("year", json!(true), "year must be an integer".into()),
        ("year", json!(1885), years.clone()),
        ("year", json!(year + 1), years.clone()),
        ("year", json!(1e300), years.clone()),
        ("odometerReading", json!("1"), "odometerReading must be an integer".into()),
        ("odometerReading", json!(-1), "odometerReading must be between 0 and 9999999".into()),
        ("odometerReading", json!(10_000_000), "odometerReading must be between 0 and 9999999".into()),
        ("odometerUnit", json!("miles"), "odometerUnit must be one of mi, km, h".into()),
        ("odometerUnit", json!(1), "odometerUnit must be one of mi, km, h".into()),
        ("isActive", json!("true"), "isActive must be a boolean".into()),
        ("isActive", json!(1), "isActive must be a boolean".into()),
    ];
    let texts = [
        ("licensePlate", 20),
        ("color", 50),
        ("nickname", 100),
        ("make", 100),
        ("model", 100),
        ("trimLevel", 100),
        ("engine", 100),
        ("transmission", 100),
        ("driveType", 100),
        ("fuelType", 100),
        ("bodyClass", 100),
        ("vehicleType", 100),
        ("notes", 10_000),
    ];
    for (field, longest) in texts {
        cases.push((field, json!(["x"]), format!("{field} must be a string")));
        cases.push((
            field,
            json!("\u{1f697}".repeat(longest + 1)),
            format!("{field} must be at most {longest} characters"),
        ));
        for control in ["a\0b", "a\u{7}b", "a\u{85}b"] {
            cases.push((field, json!(control), format!("{field} contains control characters")));
        }
        let kept = ada.put(&path, json!({ field: format!(" {} ", "\u{1f697}".repeat(longest)) })).await;
        assert_eq!(kept.expect(StatusCode::OK)[field], "\u{1f697}".repeat(longest), "{field}");
        if field != "nickname" {
            assert_eq!(ada.put(&path, json!({ field: "  " })).await.expect(StatusCode::OK)[field], Value::Null);
        }
    }
    for (field, value, message) in cases {
        let expected = json!([{ "field": field, "message": message }]);
        for answer in [
            ada.post("/api/vehicles", json!({ "nickname": "x", field: value })).await,
            ada.put(&path, json!({ field: value })).await,
        ] {
            answer.refused(StatusCode::BAD_REQUEST, &message);
            assert_eq!(answer.expect(StatusCode::BAD_REQUEST)["details"], expected);
        }
    }
    let lines = ada.put(&path, json!({ "notes": "one\r\ntwo" })).await.expect(StatusCode::OK);
    assert_eq!(lines["notes"], "one\r\ntwo");
    let all = ada.post("/api/vehicles", json!({ "isActive": 1, "year": 1, "vin": "x", "color": 7 })).await;
    let fields = all.expect(StatusCode::BAD_REQUEST);
    let fields: Vec<_> = fields["details"].as_array().expect("details").iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["vin", "color", "year", "isActive"], "in the table's order");
}

#[tokio::test]
async fn a_vehicle_without_an_identifying_field_is_refused() {
    let whole = "A vehicle needs a VIN, a license plate, a nickname or a make";
    let server = Server::open().await;
    let ada = server.user("ada").await;
    for body in [json!({}), json!({ "color": "Red", "vin": "  " }), json!({ "nickname": "", "model": "Accord" })] {
        let answer = ada.post("/api/vehicles", body).await;
        answer.refused(StatusCode::BAD_REQUEST, whole);
        assert!(answer.expect(StatusCode::BAD_REQUEST).get("details").is_none());
    }
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    ada.put(&path, json!({ "nickname": null })).await.refused(StatusCode::BAD_REQUEST, whole);
    ada.put(&path, json!({ "nickname": null, "make": "Honda" })).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn put_changes_only_the_fields_that_are_sent() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (path, added) =
        ada.add(json!({ "nickname": "Blue", "color": "Red", "odometerUnit": "km", "isActive": false })).await;
    assert_eq!(
        (&added["isActive"], &added["odometerUnit"], &added["imageUrl"]),
        (&json!(false), &json!("km"), &Value::Null)
    );
    let with_ignored_fields = json!({
        "id": Uuid::now_v7(), "userId": "x", "version": 99, "createdAt": "2000-01-01T00:00:00Z", "deletedAt": "2000-01-01T00:00:00Z",
        "imageUrl": "https://example.org/x.png", "unknown": 7, "color": "Green"
    });
    let changed = ada.put(&path, with_ignored_fields).await.expect(StatusCode::OK);
    for same in ["id", "userId", "createdAt", "deletedAt", "imageUrl", "nickname", "odometerUnit", "isActive"] {
        assert_eq!(changed[same], added[same], "{same}");
    }
    assert_eq!((&changed["color"], &changed["version"], changed.get("unknown")), (&json!("Green"), &json!(2), None));
    assert!(changed["updatedAt"].as_str() > added["updatedAt"].as_str());
    // Null sets the default of fields that are never empty.
    let back = ada.put(&path, json!({ "odometerUnit": null, "isActive": null })).await.expect(StatusCode::OK);
    assert_eq!((&back["odometerUnit"], &back["isActive"]), (&json!("mi"), &json!(true)));

    // The decode of a new VIN fills only empty fields.
    let filled = ada.put(&path, json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    assert_eq!((&filled["make"], &filled["year"], &filled["color"]), (&json!("HONDA"), &json!(2003), &json!("Green")));
    let cleared = ada.put(&path, json!({ "make": null })).await.expect(StatusCode::OK);
    assert_eq!(cleared["make"], Value::Null, "a cleared field is not filled again");
    let (other, _) = ada.add(json!({ "vin": "5YJSA1E26HF000337" })).await;
    let duplicate = ada.put(&other, json!({ "vin": ACCORD.to_lowercase() })).await;
    duplicate.refused(StatusCode::CONFLICT, "Vehicle with this VIN already exists");
}

#[tokio::test]
async fn list_is_newest_first_and_every_change_gives_it_another_tag() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let empty = ada.get("/api/vehicles").await;
    assert_eq!(empty.expect(StatusCode::OK), json!([]));
    let mut tags = vec![empty.header("etag").to_owned()];
    let mut paths = Vec::new();
    for name in ["one", "two", "three"] {
        let (path, _) = ada.add(json!({ "nickname": name })).await;
        paths.push(path);
        tags.push(ada.get("/api/vehicles").await.header("etag").to_owned());
    }
    ada.put(&paths[0], json!({ "color": "Red" })).await.expect(StatusCode::OK);
    let list = ada.get("/api/vehicles").await;
    let names: Vec<_> =
        list.expect(StatusCode::OK).as_array().expect("a list").iter().map(|it| it["nickname"].clone()).collect();
    assert_eq!(names, ["three", "two", "one"]);
    tags.push(list.header("etag").to_owned());
    ada.delete(&paths[1]).await.expect(StatusCode::NO_CONTENT);
    let last = ada.get("/api/vehicles").await;
    assert_eq!(last.expect(StatusCode::OK).as_array().map(Vec::len), Some(2));
    tags.push(last.header("etag").to_owned());
    let different: std::collections::BTreeSet<&String> = tags.iter().collect();
    assert_eq!(different.len(), tags.len(), "{tags:?}");
    for (tag, status) in [
        (tags[5].as_str(), StatusCode::NOT_MODIFIED),
        ("*", StatusCode::NOT_MODIFIED),
        (&tags[4], StatusCode::OK),
        ("x", StatusCode::OK),
    ] {
        let answer = Answer::of(ada.request(Method::GET, "/api/vehicles").header("if-none-match", tag)).await;
        assert_eq!((answer.status, answer.header("etag")), (status, tags[5].as_str()), "{tag}");
    }
    let weak = format!("\"x\", W/{}", tags[5]);
    let weak = Answer::of(ada.request(Method::GET, "/api/vehicles").header("if-none-match", weak)).await;
    assert_eq!(weak.status, StatusCode::NOT_MODIFIED);
}
