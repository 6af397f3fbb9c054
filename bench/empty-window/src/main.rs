//! A Tauri window with a single sentence: the baseline for benchmarks of the app.

fn main() -> tauri::Result<()> {
    tauri::Builder::default().run(tauri::generate_context!())
}
