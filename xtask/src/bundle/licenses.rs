//! Collects the licenses of all linked libraries for the packages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand, PackageId};

/// Prefixes of the names of license and notice files.
const LICENSE_FILES: &[&str] = &["license", "licence", "copying", "notice", "unlicense"];

/// Returns a text that lists all libraries, with each license text once.
pub fn of_everything(root: &Path) -> anyhow::Result<String> {
    let mut libraries = rust_libraries(root)?;
    libraries.extend(page_libraries(root)?);
    let mut by_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, folder) in libraries {
        for entry in fs::read_dir(&folder)?.filter_map(Result::ok) {
            let file = entry.file_name().to_string_lossy().to_lowercase();
            if LICENSE_FILES.iter().any(|beginning| file.starts_with(beginning)) && entry.path().is_file() {
                let text = String::from_utf8_lossy(&fs::read(entry.path())?).trim().to_owned();
                by_text.entry(text).or_default().insert(name.clone());
            }
        }
    }
    let rule = "=".repeat(80);
    let sections = by_text.into_iter().map(|(text, names)| {
        let names = names.into_iter().collect::<Vec<_>>().join("\n");
        format!("{rule}\n{names}\n{rule}\n{text}\n")
    });
    Ok(sections.collect::<Vec<_>>().join("\n"))
}

/// Returns the crates linked into the app and the CLI on this system: name with version, license, and folder.
fn rust_libraries(root: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .other_options(["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned(), "--offline".to_owned()])
        .exec()?;
    let resolve = metadata.resolve.as_ref().context("cargo resolves the dependencies")?;
    let programs = ["motovault", "garage-cli"];
    let mut open: Vec<&PackageId> =
        metadata.packages.iter().filter(|it| programs.contains(&it.name.as_str())).map(|it| &it.id).collect();
    let mut linked = BTreeSet::new();
    while let Some(id) = open.pop() {
        if linked.insert(id) {
            let node = resolve.nodes.iter().find(|node| node.id == *id).context("every package has a node")?;
            let is_linked =
                |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|it| it.kind == DependencyKind::Normal);
            open.extend(node.deps.iter().filter(|dep| is_linked(&dep.dep_kinds)).map(|dep| &dep.pkg));
        }
    }
    let foreign = metadata.packages.iter().filter(|package| linked.contains(&package.id) && package.source.is_some());
    foreign
        .map(|package| {
            let license = package.license.as_deref().unwrap_or("see below");
            let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
            Ok((format!("{} {} ({license})", package.name, package.version), folder.into()))
        })
        .collect()
}

/// Returns the npm packages compiled into the page.
fn page_libraries(root: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    let package: serde_json::Value = serde_json::from_slice(&fs::read(root.join("ui/package.json"))?)?;
    let mut names: Vec<String> =
        package["dependencies"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    // A build tool, but parts of it are compiled into the page.
    names.extend(["svelte", "@sveltejs/kit"].map(str::to_owned));
    names
        .into_iter()
        .map(|name| {
            let folder = root.join("ui/node_modules").join(&name);
            let manifest: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("package.json"))?)?;
            let text = |key: &str| manifest[key].as_str().unwrap_or("?").to_owned();
            Ok((format!("{name} {} ({})", text("version"), text("license")), folder))
        })
        .collect()
}
