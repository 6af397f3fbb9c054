//! The operations of the OpenAPI document and the routes of the contract.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

/// Takes the place of `{id}` in paths. No vehicle has this id.
pub const UNUSED_ID: &str = "018f0000-0000-7000-8000-00000000ffff";

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// An operation of the OpenAPI document.
pub struct Operation {
    pub method: Method,
    /// The path as in the document, such as `/api/vehicles/{id}`.
    pub template: String,
    /// The path with [`UNUSED_ID`].
    pub path: String,
    /// The operation's object in the document.
    pub specification: Value,
}

/// The committed OpenAPI document.
pub fn document() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json")).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// All operations of the committed OpenAPI document.
pub fn all() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, specification) in item.as_object().expect("operations") {
            operations.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                template: template.clone(),
                path: template.replace("{id}", UNUSED_ID),
                specification: specification.clone(),
            });
        }
    }
    operations
}

/// The capability that a backend with this route lists.
pub fn capability(path: &str) -> &'static str {
    let prefixes = [
        ("/api/auth/", "auth"),
        ("/.well-known/jwks.json", "auth"),
        ("/api/vehicles/dropdown/", "dropdown"),
        ("/api/vehicles/decode-vin", "decode"),
        ("/api/sync/changes", "sync.wait"),
        ("/api/sync", "sync.v1"),
    ];
    let found = prefixes.iter().find(|(prefix, _)| path.starts_with(prefix));
    found.map_or("vehicles", |(_, capability)| capability)
}

/// The method and the path of each route that `docs/contract.md` names, with paths as in the OpenAPI document.
pub fn contract_routes() -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/contract.md")).expect("a file");
    routes_in(&text)
}

/// The routes in the code spans of a Markdown text: `METHOD /path`, where `{a,b}` in the path names several routes and
/// `:id` is a parameter.
fn routes_in(markdown: &str) -> BTreeSet<(String, String)> {
    // Every second part is a fenced code block.
    let text: String = markdown.split("```").step_by(2).collect();
    let mut routes = BTreeSet::new();
    for span in text.split('`').skip(1).step_by(2) {
        let Some((method, path)) = span.split_once(' ') else { continue };
        if METHODS.contains(&method) && path.starts_with('/') {
            routes.extend(expand(path).into_iter().map(|path| (method.to_owned(), path.replace(":id", "{id}"))));
        }
    }
    routes
}

fn expand(path: &str) -> Vec<String> {
    let Some((start, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (choices, end) = rest.split_once('}').expect("a closing brace");
    choices.split(',').map(|choice| format!("{start}{choice}{end}")).collect()
}

#[test]
fn routes_are_found_in_tables_and_text_but_not_in_code_blocks() {
    let text = "| `GET /a/{b,c}` | `x` |\n```\nGET /no\n`\n```\nText `PUT /d/:id` and `POST` `/e`, `DELETE the rest`.";
    let route = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    assert_eq!(routes_in(text), [route("GET", "/a/b"), route("GET", "/a/c"), route("PUT", "/d/{id}")].into());
}
