//! The data of the first screen, embedded in the page.
//!
//! The garage is open before the webview requests the page. Embedding the data saves the first screen its command
//! round trips and the repaints between them. Invariant: the data is embedded at most once, and never after the garage
//! or the preferences have changed. Without it, the page calls the usual commands.

use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
};

use garage_core::{FilterChoices, Garage, GarageError, VehiclePage, VehicleQuery};
use serde::Serialize;
use tauri::{
    App, AppHandle, Manager, Runtime, WebviewWindowBuilder,
    http::{Response, header::CONTENT_TYPE},
};

use crate::{
    preferences::{PreferenceStore, Preferences},
    state::AppGarage,
};

/// The number of vehicles to embed; more than one screen shows.
const FIRST_PAGE: u32 = 60;

/// The data of the first screen.
#[derive(Serialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// Same as the response of `preferences`.
    preferences: Preferences,
    /// The first page of the vehicles that match the preferences' filter, in the preferences' order.
    vehicles: VehiclePage,
    /// How many vehicles match the filter.
    count: u32,
    /// How many vehicles are not removed.
    all_count: u32,
    /// How many vehicles are removed.
    removed_count: u32,
    /// Same as the response of `filter_choices`.
    filter_choices: FilterChoices,
    /// The value of `change_count` before the other values were read.
    change_count: u32,
}

impl Start {
    pub(crate) async fn read(
        garage: &Garage,
        preferences: Preferences,
        change_count: u32,
    ) -> Result<Start, GarageError> {
        let filter = preferences.filter.clone();
        let wanted = VehicleQuery {
            sort: preferences.sort,
            make: filter.make,
            year: filter.year,
            vehicle_type: filter.vehicle_type,
            is_active: filter.is_active,
            is_removed: filter.is_removed,
            ..VehicleQuery::default()
        };
        let (vehicles, count, all_count, removed_count, filter_choices) = tokio::try_join!(
            garage.list_vehicles(VehicleQuery { limit: FIRST_PAGE, ..wanted.clone() }),
            garage.count_vehicles(wanted),
            garage.count_vehicles(VehicleQuery::default()),
            garage.count_vehicles(VehicleQuery { is_removed: true, ..VehicleQuery::default() }),
            garage.filter_choices(),
        )?;
        Ok(Start { preferences, vehicles, count, all_count, removed_count, filter_choices, change_count })
    }
}

/// The data to embed, as JSON, until it is used.
#[derive(Default)]
pub(crate) struct StartAnswers(Mutex<Option<Ready>>);

struct Ready {
    json: String,
    change_count: u32,
}

impl StartAnswers {
    fn replace(&self, ready: Option<Ready>) -> Option<Ready> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, ready)
    }
}

/// Opens the garage and reads the data to embed. After a failure or a repair it embeds nothing, and the page's own
/// commands report the failure or the repair.
pub async fn prepare<R: Runtime>(app: &AppHandle<R>) {
    let state = app.state::<AppGarage>();
    let Ok(garage) = state.get().await else { return };
    if state.is_repaired() {
        return;
    }
    let change_count = state.change_count();
    let preferences = app.state::<PreferenceStore>().get();
    match Start::read(&garage, preferences, change_count).await {
        Ok(start) => {
            let json = serde_json::to_string(&start).ok();
            app.state::<StartAnswers>().replace(json.map(|json| Ready { json, change_count }));
        }
        Err(error) => tracing::debug!(%error, "the page is served without embedded data"),
    }
}

/// Embeds the data in the page. Returns `None` if there is no data, or it is out of date.
pub fn add_to_page<R: Runtime>(app: &AppHandle<R>, page: &str) -> Option<String> {
    let ready = app.state::<StartAnswers>().replace(None)?;
    if ready.change_count != app.state::<AppGarage>().change_count() {
        return None;
    }
    let (head, rest) = page.split_at(page.find("</head>")?);
    // A data block is not executed, so the content security policy needs no exception. Only `<` could end it early.
    let json = ready.json.replace('<', "\\u003c");
    Some(format!(r#"{head}<script type="application/json" id="start">{json}</script>{rest}"#))
}

/// Creates the window that `tauri.conf.json` describes.
pub(crate) fn create_window<R: Runtime>(app: &App<R>) -> tauri::Result<()> {
    let handle = app.handle().clone();
    for window in &app.config().app.windows {
        let handle = handle.clone();
        WebviewWindowBuilder::from_config(app, window)?
            .on_web_resource_request(move |_, response| add_to_response(&handle, response))
            .build()?;
    }
    Ok(())
}

fn add_to_response<R: Runtime>(app: &AppHandle<R>, response: &mut Response<Cow<'static, [u8]>>) {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return;
    }
    if let Some(page) = str::from_utf8(response.body()).ok().and_then(|page| add_to_page(app, page)) {
        *response.body_mut() = Cow::Owned(page.into_bytes());
    }
}
