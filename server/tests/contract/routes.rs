//! The routes of the contract and of the OpenAPI document.

use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    operations::{self, UNUSED_ID, contract_routes},
    support::{Answer, Server},
};

#[tokio::test]
async fn every_route_of_the_contract_responds() {
    let server = Server::open().await;
    // `/api/auth/me` refuses tokens of users without an account.
    let token =
        if server.lists("auth") { server.account("ada").await.token.clone() } else { server.user("ada").await.token };
    let routes = contract_routes();
    assert!(routes.len() > 15, "{routes:?}");
    for (method, template) in routes {
        let capability = operations::capability(&template);
        if !server.lists(capability) {
            println!("{method} {template} is not tested: the server does not list the capability `{capability}`");
            continue;
        }
        let path = template.replace("{id}", UNUSED_ID);
        let mut request = server.request(method.parse().expect("a method"), &path).bearer_auth(&token);
        if method == "POST" || method == "PUT" {
            request = request.header("content-type", "application/json").body("{");
        }
        let answer = Answer::of(request).await;
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let is_missing = match answer.status {
            StatusCode::NOT_FOUND => body["message"] != "Vehicle not found",
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED => true,
            status => status.is_server_error(),
        };
        assert!(!is_missing, "{method} {template}: {} {}", answer.status, answer.text);
    }
}

#[test]
fn every_operation_of_the_openapi_document_is_in_the_contract() {
    let routes = contract_routes();
    for operation in operations::all() {
        let route = (operation.method.to_string(), operation.template);
        assert!(routes.contains(&route), "{route:?} is not in docs/contract.md");
    }
}
