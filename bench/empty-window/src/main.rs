//! A Tauri window with one sentence in it: what an app costs before it does anything.

fn main() -> tauri::Result<()> {
    tauri::Builder::default().run(tauri::generate_context!())
}
