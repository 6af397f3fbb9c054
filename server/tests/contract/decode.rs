//! The health routes, decoding, and the lists for manual entry.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{ACCORD, Answer, Server};

#[tokio::test]
async fn health_needs_no_token() {
    let server = Server::open().await;
    let health = Answer::of(server.request(Method::GET, "/api/health")).await.expect(StatusCode::OK);
    assert_eq!((&health["status"], &health["database"]), (&json!("ok"), &json!("ok")));
    assert!(health["version"].is_string() && health["backend"].is_string(), "{health}");
    assert!(server.lists("vehicles") && server.lists("decode"), "every backend has these: {health}");
    let feature = Answer::of(server.request(Method::GET, "/api/vehicles/health")).await.expect(StatusCode::OK);
    assert_eq!(feature, json!({ "status": "ok", "feature": "vehicles", "backend": health["backend"] }));
}

#[tokio::test]
async fn vins_are_decoded() {
    let server = Server::open().await;
    let ada = server.user("ada").await;
    let decode =
        ada.post("/api/vehicles/decode-vin", json!({ "vin": "1hgcm82633a004352" })).await.expect(StatusCode::OK);
    assert_eq!((&decode["vin"], &decode["fields"]["model"]["value"]), (&json!(ACCORD), &json!("Accord")));
    assert!(decode.get("facts").is_none());
    for year in [json!(2003.0), json!(2003), json!(null)] {
        let same = ada.post("/api/vehicles/decode-vin", json!({ "vin": "1hgcm82633a004352", "modelYear": year })).await;
        let same = same.expect(StatusCode::OK);
        assert_eq!((&same["modelYear"], &same["errors"]), (&json!(2003), &decode["errors"]), "{year}");
    }
    for year in [json!(9999), json!(-1e3)] {
        let answer = ada.post("/api/vehicles/decode-vin", json!({ "vin": ACCORD, "modelYear": year })).await;
        let ignored = answer.expect(StatusCode::OK);
        assert_eq!((&ignored["modelYear"], &ignored["errors"][0]["code"]), (&json!(2003), &json!(12)), "{year}");
    }
    for (body, message) in [
        (json!({}), "vin must be a string"),
        (json!({ "vin": 7 }), "vin must be a string"),
        (json!({ "vin": ACCORD, "modelYear": "2003" }), "modelYear must be an integer"),
        (json!({ "vin": ACCORD, "modelYear": 1e300 }), "modelYear must be an integer"),
        (json!({ "vin": "" }), "VIN must be 17 characters, or 5 to 16 for vehicles before 1981"),
    ] {
        let answer = ada.post("/api/vehicles/decode-vin", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{message}: {}", answer.text);
        if !message.starts_with("VIN") {
            answer.refused(StatusCode::BAD_REQUEST, message);
        }
    }
    for (query, message) in
        [("full=banana", "full must be a boolean"), ("full=true&full=false", "Query string is not valid")]
    {
        let answer = ada.post(&format!("/api/vehicles/decode-vin?{query}"), json!({ "vin": ACCORD })).await;
        answer.refused(StatusCode::BAD_REQUEST, message);
    }
    let full = ada.post("/api/vehicles/decode-vin?full=true", json!({ "vin": ACCORD })).await.expect(StatusCode::OK);
    assert!(full["facts"].as_array().is_some_and(|facts| facts.len() > 20));
    let refused = ada.post("/api/vehicles/decode-vin", json!({ "vin": "$$$" })).await;
    refused.refused(StatusCode::BAD_REQUEST, "VIN can contain only letters and digits");
}

#[tokio::test]
async fn lists_for_manual_entry_are_narrowed_by_year_and_make() {
    let Some(server) = Server::with_capability("dropdown").await else { return };
    let ada = server.user("ada").await;
    let list = async |path: &str| ada.get(&format!("/api/vehicles/dropdown/{path}")).await.expect(StatusCode::OK);
    let years = list("years").await;
    let years: Vec<i64> = years.as_array().expect("a list").iter().filter_map(serde_json::Value::as_i64).collect();
    assert!(years.len() > 40 && years.is_sorted_by(|a, b| a > b), "{years:?}");
    let makes = list("makes?year=2003").await;
    let honda =
        makes.as_array().expect("a list").iter().find(|make| make["name"] == "HONDA").expect("HONDA")["id"].clone();
    let models = list(&format!("models?year=2003&makeId={honda}")).await;
    assert!(models.as_array().expect("a list").iter().any(|model| model["name"] == "Accord"), "{models}");
    assert_eq!(list("models").await, json!([]));
    assert_eq!((list("trims").await, list("engines").await), (json!([]), json!([])));
    assert_eq!(list("transmissions").await[1]["name"], "Manual");
}
