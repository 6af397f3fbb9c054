//! A fake vPIC API on loopback: serves the snapshot's data in vPIC's format, and can fail in various ways.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use garage_decode::{Decode, Detail, VinQuery};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{now, snapshot};

/// How the fake responds to the next requests.
#[derive(Debug, Clone)]
pub enum Behavior {
    /// Responds correctly and immediately.
    Answers,
    /// Responds with these values in place of the snapshot's.
    Corrects(BTreeMap<String, String>),
    /// Responds to every request with this recorded body.
    Replays(Value),
    /// Responds correctly after this delay.
    IsSlow(Duration),
    /// Responds with 429 and this number of seconds in `Retry-After`.
    LimitsRate(u64),
    /// Responds with 500 and an HTML page.
    Fails,
    /// Responds with 200 and an HTML page instead of JSON, as some proxies do.
    AnswersHtml,
    /// Closes the connection in the middle of the response.
    BreaksOff,
    /// Responds without a vehicle.
    AnswersNothing,
}

struct Shared {
    behavior: Behavior,
    questions: u32,
}

/// A running fake server; dropping it stops the server.
pub struct FakeVpic {
    /// The base URL for the client.
    pub base_url: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl FakeVpic {
    /// Starts the server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(behavior: Behavior) -> FakeVpic {
        let shared = Arc::new(Mutex::new(Shared { behavior, questions: 0 }));
        let router = Router::new()
            .route("/DecodeVinValues/{vin}", get(one))
            .route("/DecodeVINValuesBatch/", post(batch))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        FakeVpic { base_url, shared, server }
    }

    /// Changes the behavior for subsequent requests.
    pub fn set(&self, behavior: Behavior) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).behavior = behavior;
    }

    /// The number of requests received.
    #[must_use]
    pub fn questions(&self) -> u32 {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).questions
    }
}

/// Returns the body of a recorded response; `name` is the file name without extension.
///
/// # Panics
/// If there is no such recording.
#[must_use]
pub fn recorded(name: &str) -> Value {
    let path = format!("{}/fixtures/vpic/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let recorded: Value = serde_json::from_slice(&std::fs::read(path).expect("a recording")).expect("JSON");
    recorded["body"].clone()
}

impl Drop for FakeVpic {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type SharedState = State<Arc<Mutex<Shared>>>;

async fn one(state: SharedState, Path(vin): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let year = query.get("modelyear").and_then(|year| year.parse().ok());
    answer(state, &[(vin, year)]).await
}

async fn batch(state: SharedState, Form(form): Form<BTreeMap<String, String>>) -> Response {
    let vins =
        form.get("data").map(String::as_str).unwrap_or_default().split(';').map(|one| match one.split_once(',') {
            Some((vin, year)) => (vin.to_owned(), year.parse().ok()),
            None => (one.to_owned(), None),
        });
    answer(state, &vins.collect::<Vec<_>>()).await
}

async fn answer(State(shared): SharedState, vins: &[(String, Option<i32>)]) -> Response {
    let behavior = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.questions += 1;
        shared.behavior.clone()
    };
    let right = |corrections: &BTreeMap<String, String>| {
        Json(json!({
            "Count": vins.len(),
            "Message": "Results returned successfully",
            "SearchCriteria": "",
            "Results": vins.iter().map(|(vin, year)| values(vin, *year, corrections)).collect::<Vec<_>>(),
        }))
    };
    let page = Html("<!doctype html><title>Service Unavailable</title>");
    match behavior {
        Behavior::Answers => right(&BTreeMap::new()).into_response(),
        Behavior::Corrects(corrections) => right(&corrections).into_response(),
        Behavior::Replays(body) => Json(body).into_response(),
        Behavior::IsSlow(time) => {
            tokio::time::sleep(time).await;
            right(&BTreeMap::new()).into_response()
        }
        Behavior::LimitsRate(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], page).into_response()
        }
        Behavior::Fails => (StatusCode::INTERNAL_SERVER_ERROR, page).into_response(),
        Behavior::AnswersHtml => page.into_response(),
        Behavior::BreaksOff => {
            // Announce a larger length than is sent.
            (
                [(header::CONTENT_LENGTH, "5000"), (header::CONTENT_TYPE, "application/json")],
                Body::from("{\"Results\": [{"),
            )
                .into_response()
        }
        Behavior::AnswersNothing => {
            Json(json!({"Results": vec![json!({"Make": "", "ErrorCode": "8"}); vins.len()]})).into_response()
        }
    }
}

/// The snapshot's facts in vPIC's flat format.
fn values(vin: &str, year: Option<i32>, corrections: &BTreeMap<String, String>) -> Value {
    let query = VinQuery::parse(vin).ok();
    let decoded: Option<Decode<'_>> =
        query.as_ref().map(|query| snapshot().decode(vin, query, year, Detail::Full, now()));
    let facts = decoded.into_iter().flat_map(|decode| decode.facts.unwrap_or_default());
    let mut values: BTreeMap<String, String> =
        facts.filter(|fact| fact.code != "WmiCountry").map(|fact| (fact.code.into(), fact.value.into())).collect();
    values.insert("VIN".to_owned(), vin.to_owned());
    values.insert("BedType".to_owned(), "Not Applicable".to_owned());
    values.insert("Note".to_owned(), String::new());
    values.extend(corrections.clone());
    json!(values)
}
