//! Commands under Tauri's mock runtime, with the app's real configuration and capabilities.

use garage_core::{Environment, GarageConfig, Program, SessionConfig};
use motovault::bindings;
use serde_json::{Value, json};
use tauri::{
    Manager, WebviewWindow,
    ipc::{CallbackFn, InvokeBody},
    test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder},
    webview::InvokeRequest,
};

struct MockApp {
    window: WebviewWindow<MockRuntime>,
    _app: tauri::App<MockRuntime>,
    folder: tempfile::TempDir,
}

impl MockApp {
    fn start() -> MockApp {
        MockApp::start_in(tempfile::tempdir().expect("a folder"))
    }

    fn start_in(folder: tempfile::TempDir) -> MockApp {
        let garage_file = folder.path().join("garage.db");
        let vpic_answers_file = folder.path().join("vpic-answers.db");
        let mut app = motovault::with_garage(mock_builder(), move |_| {
            Ok(GarageConfig {
                garage_file,
                snapshot_file: garage_decode::default_snapshot_path()?,
                packed_snapshots: Vec::new(),
                vpic_answers_file,
                vpic_url: None,
                environment: Environment::system(),
                program: Program::App,
                session: SessionConfig::default(),
            })
        })
        .build(motovault::context())
        .expect("the app");
        // Runs the setup hook. The mock runtime has no events to handle.
        #[expect(deprecated, reason = "deprecated because of calls in a loop; this is one call")]
        app.run_iteration(|_, _| ());
        let window = app.get_webview_window("main").expect("the window of the configuration");
        MockApp { window, _app: app, folder }
    }

    /// Takes the data that the startup task has read, so that only the test calls `prepare` from then on.
    fn take_first_answers(&self) {
        while motovault::start::add_to_page(self.window.app_handle(), "<head></head>").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn prepare(&self) {
        tauri::async_runtime::block_on(motovault::start::prepare(self.window.app_handle()));
    }

    fn call_from(&self, url: &str, command: &str, arguments: Value) -> Result<Value, Value> {
        let request = InvokeRequest {
            cmd: command.to_owned(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: url.parse().expect("a URL"),
            body: InvokeBody::Json(arguments),
            headers: tauri::http::HeaderMap::default(),
            invoke_key: INVOKE_KEY.to_owned(),
        };
        get_ipc_response(&self.window, request).map(|body| body.deserialize().expect("JSON"))
    }

    fn call(&self, command: &str, arguments: Value) -> Result<Value, Value> {
        self.call_from("tauri://localhost", command, arguments)
    }
}

#[test]
fn commands_add_list_edit_remove_and_restore_a_vehicle() {
    let app = MockApp::start();
    let decode = app.call("decode_vin", json!({"text": "1hgcm82633a004352", "year": null})).expect("a decode");
    assert_eq!(decode["fields"]["model"]["value"], "Accord");
    assert!(decode["facts"].as_array().is_some_and(|facts| facts.len() > 20));

    let added = app.call("add_vehicle", json!({"draft": {"vin": "1HGCM82633A004352"}})).expect("added");
    let id = &added["id"];
    assert_eq!(added["make"], "HONDA");
    let page = app.call("list_vehicles", json!({"query": {}})).expect("a list");
    assert_eq!((page["vehicles"].as_array().map(Vec::len), &page["next"]), (Some(1), &Value::Null));
    // A list shows a summary: what it has of the vehicle is the same, and notes and origins are not in it.
    let summary = page["vehicles"][0].as_object().expect("a summary");
    assert!(summary.iter().all(|(name, value)| *value == added[name]), "{summary:?}");
    assert!(!summary.contains_key("notes") && !summary.contains_key("origins"));
    let edited = app.call("edit_vehicle", json!({"id": id, "draft": {"nickname": "Blue", "engine": null}}));
    let edited = edited.expect("edited");
    assert_eq!((&edited["nickname"], &edited["engine"]), (&json!("Blue"), &Value::Null));
    assert_eq!(app.call("get_vehicle", json!({"id": id})).expect("the vehicle"), edited);
    app.call("remove_vehicle", json!({"id": id})).expect("removed");
    assert_eq!(
        app.call("list_vehicles", json!({"query": {"search": "accord"}})).expect("a list")["vehicles"],
        json!([])
    );
    assert_eq!(app.call("restore_vehicle", json!({"id": id})).expect("restored")["nickname"], "Blue");
    let history = app.call("vehicle_history", json!({"id": id})).expect("a history");
    assert_eq!(history.as_array().map(Vec::len), Some(4));
    let undone = app.call("undo_change", json!({"id": history[2]["id"]})).expect("undone");
    assert_eq!((&undone["nickname"], &undone["engine"]), (&Value::Null, &json!("3.0L V6")));
    assert_eq!(app.call("decode_offers", json!({"id": id})).expect("offers"), json!([]));
    app.call("edit_vehicle", json!({"id": id, "draft": {"engine": null}})).expect("edited");
    let offers = app.call("decode_offers", json!({"id": id})).expect("offers");
    assert_eq!((&offers[0]["field"], &offers[0]["offered"]), (&json!("engine"), &json!("3.0L V6")));
    let taken = app.call("accept_offers", json!({"id": id, "fields": ["engine"]})).expect("taken");
    assert_eq!((&taken["engine"], &taken["origins"]["engine"]["by"]), (&json!("3.0L V6"), &json!("decoded")));
    let about = app.call("about", json!({})).expect("about");
    assert_eq!(about["snapshotMonth"], garage_decode::pinned::MONTH);
}

#[test]
fn an_error_has_a_code_a_message_and_the_invalid_fields() {
    let app = MockApp::start();
    let refused = app.call("add_vehicle", json!({"draft": {"vin": "?", "year": "2003"}})).expect_err("refused");
    assert_eq!(
        refused,
        json!({
            "code": "invalid",
            "message": "VIN can contain only letters and digits",
            "details": [
                {"field": "vin", "message": "VIN can contain only letters and digits"},
                {"field": "year", "message": "year must be an integer"},
            ],
        })
    );
    let missing = json!({"id": "018f0000-0000-7000-8000-000000000000"});
    assert_eq!(app.call("get_vehicle", missing).expect_err("none")["code"], "notFound");
    // Malformed arguments return an error, too.
    app.call("get_vehicle", json!({"id": "not an id"})).expect_err("refused");
    app.call("add_vehicle", json!({"draft": []})).expect_err("refused");
    app.call("add_vehicle", json!({})).expect_err("refused");
}

#[test]
fn the_page_and_other_origins_call_only_what_capabilities_allow() {
    let app = MockApp::start();
    app.call("plugin:window|set_title", json!({"value": "x"})).expect_err("not granted to the page");
    app.call_from("https://example.com/", "list_vehicles", json!({"query": {}}))
        .expect_err("not granted to other origins");
    app.call("no_such_command", json!({})).expect_err("there is none");
}

#[test]
fn the_first_screens_data_is_embedded_in_the_page_once() {
    const PAGE: &str = "<html><head><title>x</title></head><body></body></html>";
    let app = MockApp::start();
    app.take_first_answers();
    app.call("add_vehicle", json!({"draft": {"nickname": "</script><!-- <b>", "make": "Honda"}})).expect("added");
    let mut preferences = app.call("preferences", json!({})).expect("preferences");
    preferences["sort"] = json!("name");
    preferences["filter"]["make"] = json!("honda");
    app.call("set_preferences", json!({ "preferences": preferences })).expect("kept");
    app.prepare();
    let page = motovault::start::add_to_page(app.window.app_handle(), PAGE).expect("answers");
    let (before, rest) = page.split_once(r#"<script type="application/json" id="start">"#).expect("a data block");
    let (start, after) = rest.split_once("</script>").expect("its end");
    assert_eq!(format!("{before}{after}"), PAGE);
    let wanted = json!({"sort": "name", "make": "honda"});
    let ask = |command: &str, arguments| app.call(command, arguments).expect("an answer");
    assert_eq!(
        serde_json::from_str::<Value>(start).expect("JSON"),
        json!({
            "preferences": ask("preferences", json!({})),
            "vehicles": ask("list_vehicles", json!({ "query": wanted })),
            "count": 1,
            "allCount": 1,
            "removedCount": 0,
            "filterChoices": ask("filter_choices", json!({})),
            "changeCount": ask("change_count", json!({})),
        })
    );
    assert_eq!(
        motovault::start::add_to_page(app.window.app_handle(), PAGE),
        None,
        "a reloaded page gets no embedded data"
    );
}

#[test]
fn data_read_before_a_change_is_not_embedded() {
    let app = MockApp::start();
    app.take_first_answers();
    app.prepare();
    app.call("add_vehicle", json!({"draft": {"nickname": "New"}})).expect("added");
    assert_eq!(motovault::start::add_to_page(app.window.app_handle(), "<head></head>"), None, "an older list");
    app.prepare();
    let preferences = app.call("preferences", json!({})).expect("preferences");
    app.call("set_preferences", json!({ "preferences": preferences })).expect("kept");
    assert_eq!(motovault::start::add_to_page(app.window.app_handle(), "<head></head>"), None, "older preferences");
}

/// The build script cannot see the registered commands, so it has its own list.
#[test]
fn every_command_has_a_permission_and_the_capability_allows_it() {
    let typescript = generated();
    let build_script = include_str!("../build.rs");
    let capability: Value = serde_json::from_str(include_str!("../capabilities/main.json")).expect("JSON");
    let permissions = capability["permissions"].as_array().expect("a list");
    let commands: Vec<&str> =
        typescript.split("__TAURI_INVOKE(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in &commands {
        assert!(build_script.contains(&format!("\"{command}\"")), "{command} is missing in src-tauri/build.rs");
        let permission = json!(format!("allow-{}", command.replace('_', "-")));
        assert!(permissions.contains(&permission), "{permission} is missing in the capability");
    }
}

#[test]
fn the_committed_typescript_bindings_are_up_to_date() {
    let committed = std::fs::read_to_string(bindings::FILE).expect("the bindings");
    assert!(committed == generated(), "{} is out of date; run `cargo xtask bindings`", bindings::FILE);
}

fn generated() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bindings.ts");
    bindings::export(&path).expect("bindings");
    std::fs::read_to_string(path).expect("the file")
}

/// The plugin writes its file in place, so a crash can truncate it.
#[test]
fn a_truncated_preferences_file_is_replaced_by_its_previous_version() {
    let app = MockApp::start();
    let mut preferences = app.call("preferences", json!({})).expect("preferences");
    preferences["theme"] = json!("dark");
    for view in ["rows", "cards"] {
        preferences["view"] = json!(view);
        app.call("set_preferences", json!({ "preferences": preferences })).expect("kept");
    }
    let MockApp { folder, .. } = app;
    let file = folder.path().join("preferences.json");
    let bytes = std::fs::read(&file).expect("read");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("write");
    let again = MockApp::start_in(folder).call("preferences", json!({})).expect("preferences");
    assert_eq!((&again["theme"], &again["view"]), (&json!("dark"), &json!("rows")), "the previous version");
}
