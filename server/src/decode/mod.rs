//! What VINs say, and lists for describing a vehicle without one.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use garage_decode::{CatalogEntry, Decode, Detail};
use garage_domain::FieldError;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{app::App, auth::User, error::ApiError, http::JsonObject};

/// The routes of this feature.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/vehicles/decode-vin", post(decode_vin))
        .route("/api/vehicles/dropdown/years", get(years))
        .route("/api/vehicles/dropdown/makes", get(makes))
        .route("/api/vehicles/dropdown/models", get(models))
        // vPIC's patterns name these of a VIN, not of a model.
        .route("/api/vehicles/dropdown/trims", get(nothing))
        .route("/api/vehicles/dropdown/engines", get(nothing))
        .route("/api/vehicles/dropdown/transmissions", get(transmissions))
}

#[derive(Deserialize)]
struct Wanted {
    full: Option<bool>,
}

async fn decode_vin(
    State(app): State<App>,
    _user: User,
    Query(Wanted { full }): Query<Wanted>,
    JsonObject(body): JsonObject,
) -> Result<Json<Decode>, ApiError> {
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
    if !errors.is_empty() {
        return Err(ApiError::Fields(errors));
    }
    let detail = if full == Some(true) { Detail::Full } else { Detail::Fields };
    Ok(Json(app.decode(vin_text, model_year, detail, Timestamp::now()).await?))
}

/// What a list is narrowed by. What is no number narrows nothing down.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Narrowing {
    year: Option<String>,
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

async fn years(State(app): State<App>, _user: User) -> Result<Json<Vec<i32>>, ApiError> {
    Ok(Json(app.catalog().await?.years(Timestamp::now())))
}

async fn makes(
    State(app): State<App>,
    _user: User,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    Ok(Json(app.catalog().await?.makes(narrowing.year())))
}

async fn models(
    State(app): State<App>,
    _user: User,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    let catalog = app.catalog().await?;
    Ok(Json(narrowing.make_id().map_or_else(Vec::new, |make_id| catalog.models(make_id, narrowing.year()))))
}

async fn nothing(_user: User) -> Json<Value> {
    Json(json!([]))
}

async fn transmissions(_user: User) -> Json<Value> {
    Json(json!([{ "id": 1, "name": "Automatic" }, { "id": 2, "name": "Manual" }]))
}
