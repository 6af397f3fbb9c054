//! The desktop app. Phones call the library's entry point instead.
// Without this, Windows opens a console window beside the app.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

fn main() {
    motovault::run();
}
