//! What VINs say, and lists for describing a vehicle without one.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::{Json, extract::State};
use garage_decode::{CatalogEntry, Decode, Detail};
use garage_domain::FieldError;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::User,
    error::ApiError,
    http::{JsonObject, Parameters},
};

/// The routes of this feature.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(decode_vin))
        .routes(routes!(years))
        .routes(routes!(makes))
        .routes(routes!(models))
        .routes(routes!(trims))
        .routes(routes!(engines))
        .routes(routes!(transmissions))
}

/// What is to be decoded.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "for the document: bodies are read field by field, so that every one that is wrong is told"
)]
struct VinText {
    /// A VIN, a part of one, or text in which one stands; `*` for a character that is not known
    vin: String,
    /// The year, where the VIN leaves two
    model_year: Option<i32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// All of vPIC's facts as well
    #[param(value_type = Option<bool>)]
    full: Option<String>,
}

/// What a VIN says.
#[utoipa::path(
    post,
    path = "/api/vehicles/decode-vin",
    tag = "decode",
    operation_id = "decodeVin",
    params(Wanted),
    request_body = VinText,
    responses((status = OK, description = "What it says", body = Decode<'static>))
)]
async fn decode_vin(
    State(app): State<App>,
    _user: User,
    Parameters(Wanted { full }): Parameters<Wanted>,
    JsonObject(body): JsonObject,
) -> Result<Json<Decode<'static>>, ApiError> {
    let mut errors = Vec::new();
    let mut broken = |field: &str, message: String| {
        errors.push(FieldError { field: field.to_owned(), message });
    };
    let vin_text = match body.get("vin") {
        Some(Value::String(text)) => text.as_str(),
        _ => {
            broken("vin", "vin must be a string".to_owned());
            ""
        }
    };
    let model_year = match body.get("modelYear") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let year = value.as_i64().and_then(|year| i32::try_from(year).ok());
            if year.is_none() {
                broken("modelYear", "modelYear must be an integer".to_owned());
            }
            year
        }
    };
    let detail = match full.as_deref() {
        Some("true") => Detail::Full,
        None | Some("false") => Detail::Fields,
        Some(_) => {
            broken("full", "full must be a boolean".to_owned());
            Detail::Fields
        }
    };
    if !errors.is_empty() {
        return Err(ApiError::Fields(errors));
    }
    Ok(Json(app.decode(vin_text, model_year, detail, Timestamp::now()).await?))
}

/// What a list is narrowed by. What is no number narrows nothing down.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct Narrowing {
    /// A model year
    year: Option<String>,
    /// A make, by its id in the list of makes
    make_id: Option<String>,
}

impl Narrowing {
    fn year(&self) -> Option<i32> {
        self.year.as_ref()?.parse().ok()
    }

    fn make_id(&self) -> Option<i32> {
        self.make_id.as_ref()?.parse().ok()
    }
}

/// The model years, descending.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/years",
    tag = "decode",
    operation_id = "listYears",
    responses((status = OK, description = "The list", body = Vec<i32>))
)]
async fn years(State(app): State<App>, _user: User) -> Result<Json<Vec<i32>>, ApiError> {
    Ok(Json(app.catalog().await?.years(Timestamp::now())))
}

/// The makes, those of a year where one is named.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/makes",
    tag = "decode",
    operation_id = "listMakes",
    params(Narrowing),
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn makes(
    State(app): State<App>,
    _user: User,
    Parameters(narrowing): Parameters<Narrowing>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    Ok(Json(app.catalog().await?.makes(narrowing.year())))
}

/// The models of a make, those of a year where one is named.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/models",
    tag = "decode",
    operation_id = "listModels",
    params(Narrowing),
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn models(
    State(app): State<App>,
    _user: User,
    Parameters(narrowing): Parameters<Narrowing>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    let catalog = app.catalog().await?;
    Ok(Json(narrowing.make_id().map_or_else(Vec::new, |make_id| catalog.models(make_id, narrowing.year()))))
}

/// Always empty: vPIC's patterns name these of a VIN, not of a model.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/trims",
    tag = "decode",
    operation_id = "listTrims",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn trims(_user: User) -> Json<Vec<CatalogEntry>> {
    Json(Vec::new())
}

/// Always empty: vPIC's patterns name these of a VIN, not of a model.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/engines",
    tag = "decode",
    operation_id = "listEngines",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn engines(_user: User) -> Json<Vec<CatalogEntry>> {
    Json(Vec::new())
}

/// Automatic and manual.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/transmissions",
    tag = "decode",
    operation_id = "listTransmissions",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn transmissions(_user: User) -> Json<Vec<CatalogEntry>> {
    let entry = |id, name: &str| CatalogEntry { id, name: name.to_owned() };
    Json(vec![entry(1, "Automatic"), entry(2, "Manual")])
}
