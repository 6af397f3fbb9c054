//! `--list-cache`: lists that are sent without a look at the database.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::{
    store::Sql,
    support::{Answer, Server},
};

#[tokio::test]
async fn a_remembered_list_is_sent_again_until_its_user_writes_through_the_server() {
    let server = Server::start(&["--open-registration", "--list-cache", "300s"]).await;
    let ada = server.account("ada").await;
    let names = async || {
        let list = ada.get("/api/vehicles").await.expect(StatusCode::OK);
        let names = list.as_array().expect("a list").iter().map(|vehicle| vehicle["nickname"].to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names().await, "");
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    assert_eq!(names().await, "\"Blue\"");
    ada.put(&path, json!({ "nickname": "Red" })).await.expect(StatusCode::OK);
    assert_eq!(names().await, "\"Red\"");

    let mut other = Sql::on(server.data()).await;
    other.run("UPDATE vehicles SET nickname = 'Green'").await.expect("changed");
    let hidden = ada.get("/api/vehicles").await;
    assert_eq!(hidden.expect(StatusCode::OK)[0]["nickname"], "Red", "the list is remembered");
    let known = server.request(Method::GET, "/api/vehicles").bearer_auth(&ada.token);
    let known = Answer::of(known.header(header::IF_NONE_MATCH, hidden.header("etag"))).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    ada.delete(&path).await;
    assert_eq!(names().await, "");
}

#[tokio::test]
async fn no_list_is_remembered_after_a_write_whose_client_has_hung_up() {
    let server = Server::start(&["--open-registration", "--list-cache", "300s"]).await;
    let ada = server.account("ada").await;
    let (path, _) = ada.add(json!({ "nickname": "Blue" })).await;
    let nickname = async || ada.get("/api/vehicles").await.expect(StatusCode::OK)[0]["nickname"].clone();
    let mut other = Sql::on(server.data()).await;
    other
        .run(if other.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; LOCK TABLE feeds IN EXCLUSIVE MODE" })
        .await
        .expect("locked");
    let write = tokio::time::timeout(Duration::from_secs(1), ada.put(&path, json!({ "nickname": "Red" })));
    assert!(write.await.is_err(), "the write waits for the lock");
    // The write must not begin before the server has noticed that its client has hung up.
    tokio::time::sleep(Duration::from_secs(2)).await;
    other.run("ROLLBACK").await.expect("unlocked");
    // The write may be committed at any time, as these changes by another program are.
    let shows_each_change = async {
        let (mut number, mut shown) = (0, 0);
        while shown < 3 {
            number += 1;
            let name = number.to_string();
            other.run(&format!("UPDATE vehicles SET nickname = '{name}'")).await.expect("changed");
            shown = if nickname().await == name { shown + 1 } else { 0 };
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shows_each_change).await.expect("every change is in the next list");
}

#[tokio::test]
async fn without_the_setting_a_change_by_another_program_is_in_the_next_list() {
    let server = Server::start(&["--open-registration"]).await;
    let ada = server.account("ada").await;
    ada.add(json!({ "nickname": "Blue" })).await;
    ada.get("/api/vehicles").await.expect(StatusCode::OK);
    let mut other = Sql::on(server.data()).await;
    other.run("UPDATE vehicles SET nickname = 'Green'").await.expect("changed");
    assert_eq!(ada.get("/api/vehicles").await.expect(StatusCode::OK)[0]["nickname"], "Green");
}
