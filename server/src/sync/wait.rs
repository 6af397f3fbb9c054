//! The route by which a device waits for changes of other devices.
//!
//! The head of the response is sent at once, its body when something has changed: so the middleware, which limits the number
//! and the time of requests, does not count a wait. `changes` limits the number of waits.

use std::{convert::Infallible, sync::LazyLock, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use garage_protocol::{ErrorBody, sync::Changed};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::device::Cursor;
use crate::{
    app::App,
    auth::User,
    changes::{NoWait, Wait},
    error::ApiError,
};

/// The longest wait. Proxies commonly close a connection on which nothing happens for 60 s.
const LONGEST_WAIT: Duration = Duration::from_secs(55);
/// How often to look for changes that other processes have made in the database.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// What to wait for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct After {
    /// The cursor of the last page that the device has applied.
    after: String,
}

/// Responds when records of the account have changed after a cursor, or after 55 s.
#[utoipa::path(
    get,
    path = "/api/sync/changes",
    tag = "sync",
    operation_id = "waitForChanges",
    params(After),
    responses(
        (status = OK, description = "Whether records have changed", body = Changed),
        (status = SERVICE_UNAVAILABLE, description = "The limit of waits is reached", body = ErrorBody)
    )
)]
pub async fn changes(
    State(app): State<App>,
    User(user): User,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Response, ApiError> {
    let cursor = after.ok().and_then(|Query(After { after })| Cursor::parse(&after));
    let version =
        cursor.ok_or_else(|| ApiError::BadRequest("after must be the cursor of a response".to_owned()))?.version;
    // Before the first look, so that a change after it is noticed.
    let wait = match app.changes.wait(&user) {
        Ok(wait) => Some(wait),
        Err(NoWait::Ended) => None,
        Err(NoWait::Full) => return Err(ApiError::Busy),
    };
    if app.store.feed_version(&user).await? > version {
        return Ok(response(Body::from(text(true))));
    }
    let Some(wait) = wait else { return Ok(response(Body::from(text(false)))) };
    let body = async move { Ok::<_, Infallible>(Bytes::from(text(is_changed(&app, &user, version, wait).await))) };
    Ok(response(Body::from_stream(stream::once(body))))
}

fn text(changed: bool) -> String {
    serde_json::to_string(&Changed { changed }).unwrap_or_default()
}

fn response(body: Body) -> Response {
    // A proxy that buffers responses passes on the head of this one.
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, body).into_response()
}

/// Waits until the version is higher. Returns false if it is not in time, if the server stops, or if the version cannot be
/// read; the device syncs in any case.
async fn is_changed(app: &App, user: &str, version: i64, mut wait: Wait) -> bool {
    let changed = async {
        loop {
            tokio::select! {
                is_open = wait.changed() => if !is_open { return false },
                () = sleep(until_look()) => {}
            }
            match app.store.feed_version(user).await {
                Ok(now) if now > version => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    timeout_at(Instant::now() + LONGEST_WAIT, changed).await.unwrap_or(false)
}

/// The time until the next look. All waits look at the same moments, so that their reads become one query.
fn until_look() -> Duration {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let passed = FIRST.elapsed().as_nanos() % BETWEEN_LOOKS.as_nanos();
    BETWEEN_LOOKS - Duration::from_nanos(u64::try_from(passed).unwrap_or_default())
}
