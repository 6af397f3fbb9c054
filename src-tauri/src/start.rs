//! The answers to the first screen's questions, sent inside the page.
//!
//! The garage is open long before the webview asks for the page. Answers that come with the page spare the first screen
//! its round trips, and the pictures drawn between them. Invariant: they are handed out at most once, and not after a
//! change of the garage or the preferences; without them the page asks by the usual commands.

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

/// Vehicles that are sent; more than a screen shows.
const FIRST_PAGE: u32 = 60;

/// What the first screen asks for, answered in advance.
#[derive(Serialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// As `preferences` answers.
    preferences: Preferences,
    /// The first page of the vehicles that the preferences' filter and order ask for.
    vehicles: VehiclePage,
    /// How many these are, whatever the page.
    count: u32,
    /// How many vehicles there are without a filter.
    all_count: u32,
    /// How many removed vehicles there are.
    removed_count: u32,
    /// As `filter_choices` answers.
    filter_choices: FilterChoices,
    /// What `change_count` answered before the others were read.
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

/// Answers that are ready for the page, as JSON.
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

/// Opens the garage and reads the answers for the page. A failure, or a repair, is left to the page's own questions.
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
        Err(error) => tracing::debug!(%error, "the page comes without its first answers"),
    }
}

/// Adds the answers to the page, if they are ready and nothing has changed since they were read.
pub fn add_to_page<R: Runtime>(app: &AppHandle<R>, page: &str) -> Option<String> {
    let ready = app.state::<StartAnswers>().replace(None)?;
    if ready.change_count != app.state::<AppGarage>().change_count() {
        return None;
    }
    let (head, rest) = page.split_at(page.find("</head>")?);
    // A data block runs nothing, so the content security policy needs no exception. Only `<` could end it early.
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
