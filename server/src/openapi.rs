//! The OpenAPI document: routes and answers come from the handlers' annotations, bodies from the domain's rules, and what
//! all operations have in common is added here.

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    routing::get,
};
use garage_domain::{Field, Rule, VEHICLES};
use garage_protocol::ErrorBody;
use serde_json::{Value, json};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::{
    OpenApi as _, PartialSchema,
    openapi::{
        Components, Content, ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
        path::{Operation, Parameter, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

/// Where the document is served.
const DOCUMENT_PATH: &str = "/api/openapi.json";
/// Where a person can browse it.
const PAGE_PATH: &str = "/api/docs";
/// The page's own scripts and styles, and nothing from anywhere else. Its library sets styles on elements.
const PAGE_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
const TOKEN: &str = "token";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "MotoVault server",
        description = "Vehicles, VIN decoding and accounts. The rules behind it are in docs/contract.md."
    ),
    security(("token" = [])),
    tags(
        (name = "health", description = "Whether the server and its parts answer"),
        (name = "vehicles", description = "The user's vehicles"),
        (name = "decode", description = "What VINs say, and lists for describing a vehicle without one"),
        (name = "auth", description = "Own accounts; absent where an external issuer has them")
    )
)]
struct Document;

/// What all routes' documents begin with.
pub fn beginning() -> OpenApi {
    let mut document = Document::openapi();
    document.info.license = None;
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    components.schemas.insert("ErrorBody".to_owned(), ErrorBody::schema());
    components
        .schemas
        .insert("VehicleChange".to_owned(), body_schema("A change: only the fields sent, null clears", &[]));
    let id = (
        "id",
        json!({ "type": ["string", "null"], "format": "uuid", "description": "Chosen by the client, so that a create may be sent again" }),
    );
    components.schemas.insert(
        "NewVehicle".to_owned(),
        body_schema("A vehicle to add. At least one of vin, licensePlate, nickname and make is needed", &[id]),
    );
    document
}

/// Adds what all operations have in common.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let is_limited = path.ends_with("/login") || path.ends_with("/register");
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let is_public =
                operation.security.as_ref().is_some_and(|wanted| *wanted == [SecurityRequirement::default()]);
            if !is_public {
                add(operation, "401", unauthorized());
            }
            let is_query = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query);
            if operation.parameters.iter().flatten().any(is_query) {
                add(operation, "400", refusal("The query string is not valid"));
            }
            if operation.request_body.is_some() {
                add(operation, "400", refusal("A field breaks a rule, or the body is no JSON object"));
                add(operation, "413", refusal("The body is larger than 1 MiB"));
                add(operation, "415", refusal("The body is no JSON by its own account"));
            }
            if is_limited {
                add(operation, "429", with_retry("Too many requests"));
            }
            add(operation, "500", refusal("A mistake of the server's"));
            add(operation, "503", with_retry("The database, or what else is needed, is away"));
        }
    }
}

/// The document as JSON, and a page to browse it.
pub fn routes(document: OpenApi) -> Router {
    let page: Router =
        SwaggerUi::new(PAGE_PATH).config(utoipa_swagger_ui::Config::new([DOCUMENT_PATH]).validator_url("none")).into();
    let policy =
        SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Router::new().route(DOCUMENT_PATH, get(async move || Json(document))).merge(page.layer(policy))
}

fn add(operation: &mut Operation, status: &str, response: Response) {
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

fn error_content() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build()
}

fn refusal(description: &str) -> Response {
    ResponseBuilder::new().description(description).content("application/json", error_content()).build()
}

fn with_retry(description: &str) -> Response {
    let seconds = HeaderBuilder::new().schema(Some(i64::schema())).description(Some("Seconds to wait")).build();
    ResponseBuilder::from(refusal(description)).header("Retry-After", seconds).build()
}

fn unauthorized() -> Response {
    let scheme = HeaderBuilder::new().schema(Some(String::schema())).description(Some("Bearer")).build();
    ResponseBuilder::from(refusal("Missing or invalid token")).header("WWW-Authenticate", scheme).build()
}

/// A body of fields, as the domain's rules have them.
fn body_schema(description: &str, others: &[(&str, Value)]) -> RefOr<Schema> {
    let mut properties: serde_json::Map<String, Value> =
        VEHICLES.fields.iter().map(|field| (field.name.to_owned(), field_schema(field))).collect();
    properties.extend(others.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    let schema = json!({ "type": "object", "description": description, "properties": properties });
    serde_json::from_value(schema).unwrap_or_else(|error| unreachable!("a schema: {error}"))
}

fn field_schema(field: &Field) -> Value {
    match field.rule {
        Rule::Vin => json!({
            "type": ["string", "null"],
            "description": "Spaces and dashes are taken out and letters made upper case; 17 characters without I, O and Q, or 5 to 16 of a vehicle before 1981"
        }),
        Rule::Text { longest, line_breaks } => {
            let pattern = if line_breaks {
                "^[^\\u0000-\\u0009\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$"
            } else {
                "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
            };
            json!({ "type": ["string", "null"], "maxLength": longest, "pattern": pattern })
        }
        Rule::Year => json!({
            "type": ["integer", "null"], "minimum": 1886, "description": "Up to two years after the current one (UTC)"
        }),
        Rule::Integer { least, greatest } => {
            json!({ "type": ["integer", "null"], "minimum": least, "maximum": greatest })
        }
        Rule::Choice(choices) => {
            let choices: Vec<_> = choices.iter().copied().map(Some).chain([None]).collect();
            json!({ "type": ["string", "null"], "enum": choices })
        }
        Rule::Boolean => json!({ "type": ["boolean", "null"] }),
        Rule::Date => json!({
            "type": ["string", "null"], "format": "date",
            "description": "From 1886 to two years after the current one (UTC)"
        }),
        Rule::Amount => json!({
            "type": ["string", "null"], "description": "Decimal text such as 129.90, 0 to 9999999.99"
        }),
        Rule::Currency => json!({ "type": ["string", "null"], "description": "An ISO 4217 code such as EUR" }),
        Rule::Reference { collection } => json!({
            "type": ["string", "null"], "format": "uuid", "description": format!("The id of a record of {collection}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::openapi;

    /// Who changes a route changes the document as well: `garage-server openapi > docs/openapi.json`.
    #[test]
    fn the_committed_document_is_current() {
        let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
        let current = openapi().to_pretty_json().expect("JSON");
        assert!(
            committed.unwrap_or_default().trim_end() == current,
            "docs/openapi.json is stale: cargo run -p garage-server -- openapi > docs/openapi.json"
        );
    }
}
