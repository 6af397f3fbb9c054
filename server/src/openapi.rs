//! The OpenAPI document. Routes and responses come from the annotations of the handlers, request bodies from the domain's
//! rules for fields. Responses that several operations share are added here.

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

use crate::app::App;

const DOCUMENT_PATH: &str = "/api/openapi.json";
const PAGE_PATH: &str = "/api/docs";
/// The page loads nothing from other origins. Swagger UI sets inline styles.
const PAGE_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
const TOKEN: &str = "token";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "MotoVault server",
        description = "Vehicles, VIN decoding and accounts. docs/contract.md specifies the behavior."
    ),
    security(("token" = [])),
    tags(
        (name = "health", description = "Whether the server responds"),
        (name = "vehicles", description = "The user's vehicles"),
        (name = "sync", description = "Exchange of changes with devices"),
        (name = "decode", description = "Decoding of VINs, and lists for entering a vehicle without a VIN"),
        (name = "auth", description = "The server's own accounts; absent if an external issuer is configured")
    )
)]
struct Document;

/// The document without routes: description, security scheme and schemas.
pub fn beginning() -> OpenApi {
    let mut document = Document::openapi();
    document.info.license = None;
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    components.schemas.insert("ErrorBody".to_owned(), ErrorBody::schema());
    components.schemas.insert(
        "VehicleChange".to_owned(),
        body_schema("A change: only the fields sent change, null clears a field", &[]),
    );
    let id = (
        "id",
        json!({ "type": ["string", "null"], "format": "uuid", "description": "Chosen by the client, so that it can send the request again" }),
    );
    components.schemas.insert(
        "NewVehicle".to_owned(),
        body_schema("A vehicle to add. At least one of vin, licensePlate, nickname and make is required", &[id]),
    );
    document
}

/// Adds the responses that operations share.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let is_limited = path.ends_with("/login") || path.ends_with("/register");
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let is_public =
                operation.security.as_ref().is_some_and(|security| *security == [SecurityRequirement::default()]);
            if !is_public {
                add_response(operation, "401", unauthorized());
            }
            let is_query = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query);
            if operation.parameters.iter().flatten().any(is_query) {
                add_response(operation, "400", error_response("The query string is not valid"));
            }
            if operation.request_body.is_some() {
                add_response(
                    operation,
                    "400",
                    error_response("A field breaks a rule, or the body is not a JSON object"),
                );
                add_response(operation, "413", error_response("The body is larger than 1 MiB"));
                add_response(operation, "415", error_response("The Content-Type is not application/json"));
            }
            if is_limited {
                add_response(operation, "429", error_with_retry_after("Too many requests"));
            }
            add_response(operation, "500", error_response("Internal error"));
            add_response(
                operation,
                "503",
                error_with_retry_after("The server is busy, or something that it needs is unavailable"),
            );
        }
    }
}

/// Serves the document as JSON, and a page that shows it.
pub fn routes(document: OpenApi) -> Router<App> {
    let page: Router<App> =
        SwaggerUi::new(PAGE_PATH).config(utoipa_swagger_ui::Config::new([DOCUMENT_PATH]).validator_url("none")).into();
    let policy =
        SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Router::new().route(DOCUMENT_PATH, get(async move || Json(document))).merge(page.layer(policy))
}

fn add_response(operation: &mut Operation, status: &str, response: Response) {
    operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}

fn error_content() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build()
}

fn error_response(description: &str) -> Response {
    ResponseBuilder::new().description(description).content("application/json", error_content()).build()
}

fn error_with_retry_after(description: &str) -> Response {
    let seconds = HeaderBuilder::new().schema(Some(i64::schema())).description(Some("Seconds to wait")).build();
    ResponseBuilder::from(error_response(description)).header("Retry-After", seconds).build()
}

fn unauthorized() -> Response {
    let scheme = HeaderBuilder::new().schema(Some(String::schema())).description(Some("Bearer")).build();
    ResponseBuilder::from(error_response("Missing or invalid token")).header("WWW-Authenticate", scheme).build()
}

/// The schema of a body with the fields of a vehicle and these other properties.
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
            "description": "Spaces and dashes are removed and letters upper-cased; 17 characters without I, O and Q, or 5 to 16 for a vehicle before 1981"
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

    #[test]
    fn the_committed_document_is_up_to_date() {
        let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
        let current = openapi().to_pretty_json().expect("JSON");
        assert!(
            committed.unwrap_or_default().trim_end() == current,
            "docs/openapi.json is out of date; run cargo run -p garage-server -- openapi > docs/openapi.json"
        );
    }
}
