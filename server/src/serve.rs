//! Serving: layers around the routes, the first line of output, and stopping without breaking a request off.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
};
use axum_server::Handle;
use garage_decode::SnapshotHolder;
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt, compression::CompressionLayer, cors::CorsLayer, request_id::MakeRequestUuid,
    set_header::SetResponseHeaderLayer, trace::TraceLayer,
};
use tracing::Span;

use crate::{App, auth::Auth, config::ServeArgs, error::ApiError, router, store::Store};

/// Longer than any request takes; who is slower has gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a browser need not ask again what a page may do.
const PREFLIGHT_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long requests that are under way may take when the server ends.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves until the system or a person ends it.
///
/// # Errors
/// A setting is wrong, the database or the keys cannot be used, or the address is taken.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let location = args.database.location()?;
    let store = Store::open(&location).await.context("--database (GARAGE_DATABASE)")?;
    store.count_start(&args.keys.folder()?).await?;
    let auth = match &args.issuer {
        Some(_) if args.open_registration => {
            bail!("--open-registration (GARAGE_OPEN_REGISTRATION) has no meaning with --issuer: it has the accounts")
        }
        Some(issuer) => Auth::external(issuer, &args.audience).context("--issuer (GARAGE_ISSUER)")?,
        None => {
            let auth = Auth::own(&args.keys.folder()?, args.open_registration, args.rate_limit);
            auth.context("--keys (GARAGE_KEYS)")?
        }
    };
    let snapshot = garage_decode::default_snapshot_path()?;
    let decoder = SnapshotHolder::new(snapshot, garage_decode::default_packed_paths());
    if let Err(error) = decoder.get().await {
        tracing::warn!(%error, "VINs are not decoded before there is vPIC data");
    }
    let app = App::new(store.clone(), auth, decoder, &args.trusted_proxy, args.vehicle_quota);
    let in_use = || format!("--listen (GARAGE_LISTEN): {} cannot be served", args.listen);
    let listener = std::net::TcpListener::bind(args.listen).with_context(in_use)?;
    listener.set_nonblocking(true)?;
    println!("http://{}", listener.local_addr()?);
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        // Somebody who keeps a connection open must not keep the server.
        stopping.graceful_shutdown(Some(FAREWELL));
    });
    let service = layered(router(app), &args.cors_origin).into_make_service_with_connect_info::<SocketAddr>();
    axum_server::from_tcp(listener)?.http1_only().first_request_timeout(PATIENCE).handle(handle).serve(service).await?;
    store.close().await;
    Ok(())
}

/// The routes with what every answer has.
fn layered(router: Router, cors_origins: &[HeaderValue]) -> Router {
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    // No address, no body and no token: VINs, plates and names of people are nobody's business but their own.
    let span = |request: &Request| {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let route = request.extensions().get::<axum::extract::MatchedPath>().map_or("none", |path| path.as_str());
        tracing::info_span!("request", id, method = %request.method(), route)
    };
    router.layer(
        ServiceBuilder::new()
            .set_x_request_id(MakeRequestUuid)
            .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(answered))
            .propagate_x_request_id()
            .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
            .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
            .layer(fixed(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
            // A cache between must not give one user's vehicles to another.
            .layer(fixed(header::CACHE_CONTROL, "private, no-cache"))
            .option_layer((!cors_origins.is_empty()).then(|| cors(cors_origins)))
            .layer(CompressionLayer::new())
            .layer(middleware::from_fn(in_time)),
    )
}

/// An answer, or that it takes too long: a body that does not come, or a database that does not answer.
async fn in_time(request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(PATIENCE, next.run(request)).await.map_err(|_| ApiError::TooSlow)
}

/// What pages of these origins may do: everything, with a token that they have, and never by a cookie.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT_LIFETIME)
}

fn answered<B>(response: &Response<B>, time: Duration, _: &Span) {
    tracing::info!(status = response.status().as_u16(), microseconds = time.as_micros(), "answered");
}

async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
