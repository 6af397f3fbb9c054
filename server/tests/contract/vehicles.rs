//! Vehicles, decoding, and what all routes have in common.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ACCORD, Answer, Server};

#[tokio::test]
async fn a_vehicle_from_adding_to_removing_and_adding_again() {
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
async fn versions_guard_changes_and_spare_answers() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let list = ada.get("/api/vehicles").await;
    let known =
        |path: &str, tag: &str| Answer::of(ada.request(Method::GET, path).header("if-none-match", tag.to_owned()));
    let spared = known("/api/vehicles", list.header("etag")).await;
    assert_eq!((spared.status, spared.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
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
    assert_eq!(unchanged.header("etag"), "\"2\"", "nothing is new about it");
    let stale = Answer::of(ada.request(Method::DELETE, &path).header("if-match", "\"1\"")).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_may_be_sent_again() {
    let server = Server::open().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let body = json!({ "id": uuid::Uuid::now_v7(), "vin": ACCORD, "color": "Red" });
    let first = ada.post("/api/vehicles", body.clone()).await.expect(StatusCode::CREATED);
    let again = ada.post("/api/vehicles", body.clone()).await;
    assert_eq!(again.expect(StatusCode::OK), first);
    let used = "This id is already used by another vehicle";
    let mut other = body.clone();
    other["color"] = json!("Blue");
    ada.post("/api/vehicles", other).await.refused(StatusCode::CONFLICT, used);
    bob.post("/api/vehicles", body).await.refused(StatusCode::CONFLICT, used);
    let bad = ada.post("/api/vehicles", json!({ "id": "7", "nickname": 5 })).await;
    bad.refused(StatusCode::BAD_REQUEST, "nickname must be a string");
    let fields = bad.expect(StatusCode::BAD_REQUEST);
    let fields: Vec<_> = fields["details"].as_array().expect("details").iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["nickname", "id"]);
}

#[tokio::test]
async fn of_many_who_add_one_vin_at_once_one_does() {
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

/// Whatever is asked about another's vehicle, the answer is to the byte that about none.
#[tokio::test]
async fn anothers_vehicle_is_none() {
    let server = Server::open().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (path, _) = ada.add(json!({ "vin": ACCORD })).await;
    let none = "/api/vehicles/018f0000-0000-7000-8000-00000000ffff";
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let ask = async |path: &str| {
            let request =
                bob.request(method.clone(), path).header("if-match", "\"9\"").json(&json!({ "color": "Red" }));
            let mut answer = Answer::of(request).await;
            for own in ["x-request-id", "date"] {
                answer.headers.remove(own);
            }
            (answer.status, answer.headers, answer.text)
        };
        assert_eq!(ask(&path).await, ask(none).await, "{method}");
    }
    assert_eq!(bob.get("/api/vehicles").await.expect(StatusCode::OK), json!([]));
    bob.add(json!({ "vin": ACCORD })).await;
}

#[tokio::test]
async fn whatever_comes_in_gets_the_contracts_answer() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let whole = "A vehicle needs a VIN, a license plate, a nickname or a make";
    for (body, message) in [
        (json!({}), whole),
        (json!({ "vin": "HELLO!" }), "VIN can contain only letters and digits"),
        (json!({ "vin": "1HGCM82633AOO4352" }), "VIN cannot contain I, O or Q"),
        (json!({ "nickname": "x", "year": "2003" }), "year must be an integer"),
        (json!({ "nickname": "x", "odometerReading": -1 }), "odometerReading must be between 0 and 9999999"),
    ] {
        ada.post("/api/vehicles", body).await.refused(StatusCode::BAD_REQUEST, message);
    }
    let post = |body: String, media_type: &'static str| {
        Answer::of(ada.request(Method::POST, "/api/vehicles").header("content-type", media_type).body(body))
    };
    let json_type = "application/json; charset=utf-8";
    post("{".to_owned(), json_type).await.refused(StatusCode::BAD_REQUEST, "Request body is not valid JSON");
    post("[]".to_owned(), json_type).await.refused(StatusCode::BAD_REQUEST, "Request body must be an object");
    let form = post("vin=x".to_owned(), "application/x-www-form-urlencoded").await;
    form.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    let huge = format!("{{\"notes\": \"{}\"}}", "n".repeat(1024 * 1024));
    post(huge, json_type).await.refused(StatusCode::PAYLOAD_TOO_LARGE, "Request body is larger than 1 MiB");
    let nowhere = ada.get("/api/nothing").await;
    nowhere.refused(StatusCode::NOT_FOUND, "Not Found");
    let method = Answer::of(ada.request(Method::PATCH, "/api/vehicles")).await;
    method.refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    assert!(method.header("allow").contains("GET") && method.header("allow").contains("POST"), "{method:?}");
    ada.get("/api/vehicles/nonsense").await.refused(StatusCode::NOT_FOUND, "Vehicle not found");
    assert_eq!(nowhere.header("x-content-type-options"), "nosniff");
    assert!(!nowhere.header("x-request-id").is_empty());
}

#[tokio::test]
async fn vins_are_decoded_and_lists_are_offered() {
    let server = Server::open().await;
    let health = Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    assert_eq!(
        (&health["status"], &health["backend"], &health["database"]),
        (&json!("ok"), &json!("axum"), &json!("ok"))
    );
    let feature = Answer::of(server.request(Method::GET, "/api/vehicles/health")).await.expect(StatusCode::OK);
    assert_eq!(feature, json!({ "status": "ok", "feature": "vehicles", "backend": "axum" }));

    let ada = server.user("ada").await;
    let decode =
        ada.post("/api/vehicles/decode-vin", json!({ "vin": "1hgcm82633a004352" })).await.expect(StatusCode::OK);
    assert_eq!((&decode["vin"], &decode["fields"]["model"]["value"]), (&json!(ACCORD), &json!("Accord")));
    assert!(decode.get("facts").is_none());
    let full = ada.post("/api/vehicles/decode-vin?full=true", json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    assert!(full["facts"].as_array().is_some_and(|facts| facts.len() > 20));
    let refused = ada.post("/api/vehicles/decode-vin", json!({ "vin": "$$$" })).await;
    refused.refused(StatusCode::BAD_REQUEST, "VIN can contain only letters and digits");

    let list = async |path: &str| ada.get(&format!("/api/vehicles/dropdown/{path}")).await.expect(StatusCode::OK);
    assert_eq!(list("years").await[0], 2027);
    let makes = list("makes?year=2003").await;
    let honda =
        makes.as_array().expect("a list").iter().find(|make| make["name"] == "HONDA").expect("HONDA")["id"].clone();
    let models = list(&format!("models?year=2003&makeId={honda}")).await;
    assert!(models.as_array().expect("a list").iter().any(|model| model["name"] == "Accord"), "{models}");
    assert_eq!(list("models").await, json!([]));
    assert_eq!((list("trims").await, list("engines").await), (json!([]), json!([])));
    assert_eq!(list("transmissions").await[1]["name"], "Manual");
}
