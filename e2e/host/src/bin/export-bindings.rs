//! Writes the TypeScript types of the app's commands and events; `cargo xtask bindings` runs this.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    motovault::bindings::export(std::path::Path::new(motovault::bindings::FILE))
}
