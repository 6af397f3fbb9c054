//! The desktop app. On phones the library's entry point is called instead.
// A console window would open beside the app on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() {
    motovault::run();
}
