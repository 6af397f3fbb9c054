//! Checks the dependencies between the project's crates.

use std::{collections::BTreeMap, path::Path};

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

/// The allowed dependencies of a crate, and the reason.
struct Layer {
    package: &'static str,
    may_use: &'static [&'static str],
    reason: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer { package: "garage-domain", may_use: &[], reason: "the domain is the lowest layer" },
    Layer { package: "garage-files", may_use: &[], reason: "it is independent of what the files hold" },
    Layer { package: "garage-sqlite", may_use: &["garage-files"], reason: "it is independent of schemas" },
    Layer {
        package: "garage-decode",
        may_use: &["garage-domain", "garage-files"],
        reason: "the app and the server share the decoder",
    },
    Layer {
        package: "garage-core",
        may_use: &["garage-domain", "garage-decode", "garage-files", "garage-protocol", "garage-sqlite"],
        reason: "the core is independent of user interfaces and the server",
    },
    Layer { package: "garage-protocol", may_use: &["garage-domain"], reason: "it only has types shared by both sides" },
    Layer {
        package: "garage-server",
        may_use: &["garage-domain", "garage-decode", "garage-files", "garage-protocol", "garage-sqlite"],
        reason: "the server is independent of the device's garage",
    },
    Layer { package: "motovault", may_use: &["garage-core"], reason: "all logic is in the core" },
    Layer { package: "garage-cli", may_use: &["garage-core"], reason: "the CLI and the app share the core" },
    Layer {
        package: "e2e-device",
        may_use: &["garage-core"],
        reason: "its tests start the CLI and the server as processes",
    },
    Layer { package: "e2e-host", may_use: &["garage-core", "motovault"], reason: "browser tests drive the real shell" },
    Layer {
        package: "garage-simulation",
        may_use: &[
            "garage-core",
            "garage-decode",
            "garage-domain",
            "garage-faulty-disk",
            "garage-protocol",
            "garage-server",
        ],
        reason: "it runs both sides of sync",
    },
    Layer {
        package: "garage-testkit",
        may_use: &["garage-domain", "garage-decode"],
        reason: "tests of all layers depend on it",
    },
    Layer { package: "garage-faulty-disk", may_use: &[], reason: "tests of every crate that uses SQLite depend on it" },
    Layer { package: "garage-bench", may_use: &["garage-core"], reason: "benchmarks measure the public API" },
    Layer { package: "bare-server", may_use: &[], reason: "it is the baseline for benchmarks" },
    Layer { package: "empty-window", may_use: &[], reason: "it is the baseline for benchmarks" },
    Layer { package: "xtask", may_use: &[], reason: "a task compiles in seconds on a bare machine" },
];

/// Crates that all tests may depend on.
const FOR_TESTS: &[&str] = &["garage-testkit", "garage-faulty-disk", "garage-decode", "garage-domain"];
/// The only crates that may depend on Tauri.
const TAURI_USERS: &[&str] = &["motovault", "e2e-host", "empty-window"];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    Ok(check_dependencies(&dependencies(root)?))
}

struct Dependency {
    name: String,
    is_for_tests: bool,
}

fn dependencies(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<Dependency>>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().features(CargoOpt::AllFeatures).exec()?;
    let dependencies_of = |package: &cargo_metadata::Package| {
        let dependencies = package.dependencies.iter().map(|dependency| Dependency {
            name: dependency.name.clone(),
            is_for_tests: dependency.kind == DependencyKind::Development,
        });
        (package.name.to_string(), dependencies.collect())
    };
    Ok(metadata.workspace_packages().into_iter().map(dependencies_of).collect())
}

fn check_dependencies(packages: &BTreeMap<String, Vec<Dependency>>) -> Vec<String> {
    let mut problems = Vec::new();
    for (package, dependencies) in packages {
        let Some(layer) = LAYERS.iter().find(|layer| layer.package == package) else {
            problems.push(format!("{package} is missing from the table of layers (xtask/src/tidy/layers.rs)"));
            continue;
        };
        for Dependency { name, is_for_tests } in dependencies {
            let is_ours = packages.contains_key(name);
            let is_allowed =
                layer.may_use.contains(&name.as_str()) || (*is_for_tests && FOR_TESTS.contains(&name.as_str()));
            if is_ours && !is_allowed {
                problems.push(format!("{package} must not depend on {name}: {}", layer.reason));
            }
            let is_tauri = name == "tauri" || name.starts_with("tauri-");
            if is_tauri && !TAURI_USERS.contains(&package.as_str()) {
                problems.push(format!("{package} must not depend on {name}: only the shell may use Tauri"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> (String, Vec<Dependency>) {
        let dependency =
            |(name, is_for_tests): &(&str, bool)| Dependency { name: (*name).to_owned(), is_for_tests: *is_for_tests };
        (name.to_owned(), dependencies.iter().map(dependency).collect())
    }

    #[test]
    fn disallowed_dependency_is_found() {
        let packages = BTreeMap::from([
            package("garage-domain", &[("garage-core", false), ("serde", false)]),
            package("garage-core", &[("garage-domain", false), ("garage-testkit", true), ("tauri", false)]),
            package("garage-testkit", &[]),
            package("garage-new", &[]),
        ]);
        let problems = check_dependencies(&packages);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].contains("garage-core must not depend on tauri"));
        assert!(problems[1].contains("garage-domain must not depend on garage-core"));
        assert!(problems[2].contains("garage-new is missing from"));
    }

    #[test]
    fn test_helpers_are_allowed_only_as_dev_dependencies() {
        let packages =
            BTreeMap::from([package("garage-core", &[("garage-testkit", false)]), package("garage-testkit", &[])]);
        assert_eq!(check_dependencies(&packages).len(), 1);
    }
}
