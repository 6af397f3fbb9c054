//! Lets a browser drive the app: the real commands, state, capabilities and page, without a window.
//!
//! The app runs under Tauri's mock runtime. The page is served with the app's own content security policy; a small
//! script stands in for the webview's side of Tauri and sends each call here. Events go out as server-sent events.
//! Only for tests: it listens on loopback alone, for as long as its standard input is open, and never ships.

use std::{convert::Infallible, path::PathBuf, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response, Sse, sse},
    routing::{get, post},
};
use clap::Parser;
use garage_core::{Environment, GarageConfig, Program, SessionConfig, decoding};
use serde_json::{Value, json};
use tauri::{
    Listener, Manager, WebviewWindow,
    ipc::{CallbackFn, InvokeBody},
    test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder},
    webview::InvokeRequest,
};
use tauri_specta::Event;
use tokio::{io::AsyncReadExt, net::TcpListener, sync::broadcast};
use tokio_stream::{StreamExt, wrappers::BroadcastStream};
use tower_http::services::ServeDir;

/// The script that a browser runs before the page.
const BRIDGE: &str = include_str!("bridge.js");
/// The app's custom headers are few; this one carries its content security policy.
const CSP: HeaderName = header::CONTENT_SECURITY_POLICY;

/// Serves the app to a browser on a free port of 127.0.0.1 and prints the address; ends with its standard input.
#[derive(Parser)]
struct Args {
    /// The garage's file
    #[arg(long)]
    garage: PathBuf,
    /// The folder of the built page
    #[arg(long, default_value = "ui/dist")]
    page: PathBuf,
    /// The vPIC data [default: the app's own]
    #[arg(long)]
    snapshot: Option<PathBuf>,
}

struct Host {
    window: WebviewWindow<MockRuntime>,
    events: broadcast::Sender<String>,
    page: String,
    csp: HeaderValue,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let config = GarageConfig {
        vpic_answers_file: args.garage.with_file_name("vpic-answers.db"),
        garage_file: args.garage,
        snapshot_file: args.snapshot.map_or_else(decoding::default_snapshot_path, Ok)?,
        packed_snapshots: Vec::new(),
        vpic_url: None,
        environment: Environment::system(),
        program: Program::App,
        session: SessionConfig::default(),
    };
    let mut app = motovault::with_garage(mock_builder(), move |_| Ok(config)).build(motovault::context())?;
    // Sets the app up; the mock runtime has no events to go through.
    #[expect(deprecated, reason = "it warns of calling this in a loop")]
    app.run_iteration(|_, _| ());
    let events = broadcast::Sender::new(64);
    for name in [motovault::GarageChanged::NAME, motovault::TaskProgressed::NAME] {
        let sender = events.clone();
        app.listen_any(name, move |event| {
            let payload: Value = serde_json::from_str(event.payload()).unwrap_or_default();
            // Without a page that listens there is nobody to tell.
            let _ = sender.send(json!({ "event": name, "payload": payload }).to_string());
        });
    }
    // In the app they are nearly always ready when the webview asks for the page; here always, so that journeys do not vary.
    motovault::start::prepare(app.handle()).await;
    let csp = app.config().app.security.csp.as_ref().context("the app has no content security policy")?;
    let page = std::fs::read_to_string(args.page.join("index.html")).context("the page is not built")?;
    let host = Arc::new(Host {
        window: app.get_webview_window("main").context("the app has no main window")?,
        events,
        page: page.replacen("<head>", "<head><script src=\"/host/bridge.js\"></script>", 1),
        csp: csp.to_string().parse()?,
    });
    let router = Router::new()
        .route("/", get(serve_page))
        .route("/index.html", get(serve_page))
        .route("/host/bridge.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript")], BRIDGE) }))
        .route("/host/ipc/{command}", post(invoke))
        .route("/host/events", get(serve_events))
        .with_state(host.clone())
        // As in the app, an address that is no file is the page's own: its router knows what to show.
        .fallback_service(ServeDir::new(args.page).fallback(get(serve_page).with_state(host)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        () = standard_input_closed() => Ok(()),
    }
}

/// Whoever started the host holds its standard input open; when they end, however they end, so does the host.
async fn standard_input_closed() {
    let mut ignored = [0; 64];
    let mut input = tokio::io::stdin();
    while input.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

async fn serve_page(State(host): State<Arc<Host>>) -> impl IntoResponse {
    let page = motovault::start::add_to_page(host.window.app_handle(), &host.page).unwrap_or_else(|| host.page.clone());
    ([(CSP, host.csp.clone())], Html(page))
}

async fn serve_events(
    State(host): State<Arc<Host>>,
) -> Sse<impl tokio_stream::Stream<Item = Result<sse::Event, Infallible>>> {
    let messages = BroadcastStream::new(host.events.subscribe()).filter_map(Result::ok);
    Sse::new(messages.map(|message| Ok(sse::Event::default().data(message))))
}

/// One call of the page's, answered as the webview would answer it.
async fn invoke(State(host): State<Arc<Host>>, Path(command): Path<String>, Json(arguments): Json<Value>) -> Response {
    let request = InvokeRequest {
        cmd: command,
        callback: CallbackFn(0),
        error: CallbackFn(1),
        url: "tauri://localhost".parse().expect("a URL"),
        body: InvokeBody::Json(arguments),
        headers: tauri::http::HeaderMap::default(),
        invoke_key: INVOKE_KEY.to_owned(),
    };
    // The answer is waited for on a thread, not on the runtime that computes it.
    let answer = tokio::task::spawn_blocking(move || get_ipc_response(&host.window, request)).await;
    match answer {
        Ok(Ok(body)) => match body.deserialize::<Value>() {
            Ok(value) => Json(value).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response(),
        Err(panic) => (StatusCode::INTERNAL_SERVER_ERROR, panic.to_string()).into_response(),
    }
}
