//! A server that is killed must not lose writes that it acknowledged.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    support::{Answer, Data, Server},
    tokens::token,
};

/// How often the server is killed. `GARAGE_TEST_KILLS` sets another number.
const KILLS: usize = 40;

/// The server is killed as soon as one of several concurrent writes is acknowledged. The others may have been performed or
/// not. Sent again with the same id, they are performed once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() {
    let kills = std::env::var("GARAGE_TEST_KILLS").map_or(KILLS, |text| text.parse().expect("a number"));
    let mut data = Data::new().await;
    let mut acknowledged: BTreeMap<Uuid, Value> = BTreeMap::new();
    let mut unknown: Vec<Value> = Vec::new();
    for round in 0..kills {
        let server = Server::start_on(data, &[]);
        let ada = token(&server.data().keys(), "ada");
        let listed = Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(&ada)).await;
        check(&acknowledged, &listed.expect(StatusCode::OK), round);
        let mut writes = tokio::task::JoinSet::new();
        let retried = unknown.pop().into_iter();
        let new = (0..3).map(|number| json!({ "id": Uuid::now_v7(), "nickname": format!("{round} {number}") }));
        for body in retried.chain(new) {
            let request = server.request(Method::POST, "/api/vehicles").bearer_auth(&ada).json(&body);
            writes.spawn(async move {
                let answer = request.send().await;
                let status = answer.as_ref().map(reqwest::Response::status);
                (body, status.is_ok_and(|status| status == StatusCode::CREATED || status == StatusCode::OK))
            });
        }
        let mut has_killed = false;
        let mut server = Some(server);
        let mut left = None;
        while let Some(write) = writes.join_next().await {
            let (body, is_acknowledged) = write.expect("no panic");
            if is_acknowledged {
                let id = body["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
                acknowledged.insert(id, body);
                if !has_killed {
                    left = server.take().map(Server::kill);
                    has_killed = true;
                }
            } else {
                unknown.push(body);
            }
        }
        data = left.expect("one write is acknowledged");
    }
    let server = Server::start_on(data, &[]);
    let ada = token(&server.data().keys(), "ada");
    let listed = Answer::of(server.request(Method::GET, "/api/vehicles").bearer_auth(&ada)).await;
    check(&acknowledged, &listed.expect(StatusCode::OK), kills);
    assert!(acknowledged.len() >= kills);
}

fn check(acknowledged: &BTreeMap<Uuid, Value>, listed: &Value, round: usize) {
    let listed: BTreeMap<&str, &Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|vehicle| (vehicle["id"].as_str().expect("an id"), &vehicle["nickname"]))
        .collect();
    for (id, body) in acknowledged {
        assert_eq!(listed.get(id.to_string().as_str()), Some(&&body["nickname"]), "{id} is lost in round {round}");
    }
}
