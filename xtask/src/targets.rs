use std::path::Path;
/// Type-checks the app.
pub fn check_targets(_root: &Path) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
