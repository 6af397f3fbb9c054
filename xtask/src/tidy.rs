//! `cargo xtask tidy`: the rules of the code's layout, checked by a program, each with its reason.
//!
//! What clippy and the page's linter can check is theirs; here are the rules that span crates and folders.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, bail};
use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

use crate::shell;

/// Which of our crates a crate may depend on, and why.
struct Layer {
    package: &'static str,
    may_use: &'static [&'static str],
    reason: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer { package: "garage-domain", may_use: &[], reason: "rules and values stand on nothing of ours" },
    Layer { package: "garage-sqlite", may_use: &[], reason: "opening a database knows no table" },
    Layer { package: "garage-decode", may_use: &["garage-domain"], reason: "app and server decode alike" },
    Layer {
        package: "garage-core",
        may_use: &["garage-domain", "garage-decode", "garage-sqlite"],
        reason: "the core knows no user interface and no server",
    },
    Layer {
        package: "garage-protocol",
        may_use: &["garage-domain"],
        reason: "the wire is types, on both sides the same",
    },
    Layer {
        package: "garage-server",
        may_use: &["garage-domain", "garage-decode", "garage-protocol", "garage-sqlite"],
        reason: "the server knows no device's garage",
    },
    Layer { package: "motovault", may_use: &["garage-core"], reason: "the shell only shows what the core does" },
    Layer {
        package: "garage-cli",
        may_use: &["garage-core"],
        reason: "the CLI does what the app does, by the same core",
    },
    Layer { package: "e2e-host", may_use: &["garage-core", "motovault"], reason: "browser tests drive the real shell" },
    Layer {
        package: "garage-testkit",
        may_use: &["garage-domain", "garage-decode"],
        reason: "tests of every layer use it, so it stands low",
    },
    Layer { package: "garage-bench", may_use: &["garage-core"], reason: "what is measured is what callers get" },
    Layer { package: "empty-window", may_use: &[], reason: "it is the peer that has nothing in it" },
    Layer { package: "xtask", may_use: &[], reason: "a task compiles in seconds on a bare machine" },
];

/// Tests may reach for these as well.
const FOR_TESTS: &[&str] = &["garage-testkit", "garage-decode", "garage-domain"];
/// The only crates that know Tauri.
const TAURI_USERS: &[&str] = &["motovault", "e2e-host", "empty-window"];

/// The server's features. Each knows the others only as `auth::User`, by which a request says who asks.
const SERVER_FEATURES: &[&str] = &["auth", "decode", "vehicles"];

/// Checks everything and reports all that is wrong at once.
///
/// # Errors
/// A rule is broken, or the files cannot be read.
pub fn tidy(root: &Path) -> anyhow::Result<()> {
    let mut problems = check_dependencies(&dependencies(root)?);
    for (path, text) in tracked_texts(root)? {
        problems.extend(check_text(&path, &text));
    }
    problems.extend(check_migrations(&root.join("migrations"))?);
    if problems.is_empty() {
        println!("tidy: the layout's rules hold");
        return Ok(());
    }
    bail!("{} rules of the layout are broken:\n  {}", problems.len(), problems.join("\n  "))
}

/// A dependency of a crate of ours.
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
            problems.push(format!("{package} has no place in the table of layers (xtask/src/tidy.rs)"));
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
                problems.push(format!("{package} must not depend on {name}: only the shell knows Tauri"));
            }
        }
    }
    problems
}

fn tracked_texts(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths = shell::output(git).context("the files of the repository come from git")?;
    // A file that git still lists but that is gone, and one that is no text, have no lines to check.
    let read = |path: &str| fs::read_to_string(root.join(path)).ok().map(|text| (path.to_owned(), text));
    Ok(paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}

/// Whether a line formats a statement.
fn puts_sql_together(line: &str) -> bool {
    let formatted = line.split("format!(\"").nth(1).unwrap_or_default();
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|verb| formatted.starts_with(verb))
}

/// Whether a line names something of a feature of the server's, beyond the user of a request.
fn imports_feature(line: &str, feature: &str) -> bool {
    let path = format!("{feature}::");
    line.match_indices(&path).any(|(start, _)| {
        let is_whole = !line[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let rest = &line[start + path.len()..];
        // A function of that name with its types is no feature.
        is_whole && !rest.starts_with('<') && !(feature == "auth" && rest.starts_with("User"))
    })
}

fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let is_lock = path.ends_with("package-lock.json");
    if is_lock && text.contains("\"resolved\": \"http") {
        problems.push(format!("{path} carries download addresses: everyone has their own registry"));
    }
    let is_page = path.starts_with("ui/src/") && !path.starts_with("ui/src/lib/platform/");
    let feature = path.strip_prefix("server/src/").and_then(|rest| rest.split_once('/')).map(|(feature, _)| feature);
    for (index, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", index + 1);
        if let Some(feature) = feature.filter(|feature| SERVER_FEATURES.contains(feature)) {
            let others = SERVER_FEATURES.iter().filter(|other| **other != feature);
            if let Some(other) = others.into_iter().find(|other| imports_feature(line, other)) {
                problems.push(format!("{place}: the server's {feature} imports {other}; what both need belongs above"));
            }
        }
        if path.starts_with("server/src/") && puts_sql_together(line) {
            problems.push(format!(
                "{place}: SQL put together from strings; values are parameters, and names are written out"
            ));
        }
        if is_page && line.contains("@tauri-apps/") {
            problems.push(format!("{place}: only the page's platform folder knows Tauri"));
        }
        if !path.ends_with(".lock") && MACHINE_FOLDERS.iter().any(|folder| names_folder(line, folder)) {
            problems.push(format!("{place}: a path of one machine"));
        }
    }
    problems
}

/// Folders below which paths belong to one machine; assembled so that this file does not hold one.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home"];

/// Whether the line holds `/folder/name` as the beginning of a path.
fn names_folder(line: &str, folder: &str) -> bool {
    let needle = format!("/{folder}/");
    line.match_indices(&needle).any(|(start, _)| {
        let is_beginning =
            !line[..start].ends_with(|before: char| before.is_ascii_alphanumeric() || "._-~}".contains(before));
        is_beginning
            && line[start + needle.len()..].starts_with(|after: char| after.is_ascii_alphabetic() || after == '.')
    })
}

fn check_migrations(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for database in fs::read_dir(folder)? {
        let database = database?.path();
        let mut names: Vec<String> = fs::read_dir(&database)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<anyhow::Result<_>>()?;
        names.sort();
        for (index, name) in names.iter().enumerate() {
            let expected = format!("V{:04}__", index + 1);
            if !name.starts_with(&expected) || !name.ends_with(".sql") {
                let place = database.join(name);
                problems.push(format!(
                    "{}: migrations are numbered without gaps, this should begin with {expected}",
                    place.display()
                ));
            }
        }
    }
    Ok(problems)
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
    fn a_dependency_against_the_direction_is_found() {
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
        assert!(problems[2].contains("garage-new has no place"));
    }

    #[test]
    fn a_feature_of_the_server_knows_no_other() {
        let problems = |line: &str| check_text("server/src/vehicles/routes.rs", line).len();
        for import in [
            "use crate::auth::accounts;",
            "use crate::{app::App, auth::{User, accounts}};",
            "    decode::Wanted,",
            "let key = crate::auth::tokens::AUDIENCE;",
        ] {
            assert_eq!(problems(import), 1, "{import}");
        }
        for own in ["    auth::User,", "use crate::vehicles::Update;", "let detail = garage_decode::Detail::Full;"] {
            assert_eq!(problems(own), 0, "{own}");
        }
    }

    #[test]
    fn statements_are_not_put_together() {
        let formatted = format!("let sql = format{}\"SELECT * FROM {{table}}\");", "!(");
        assert_eq!(check_text("server/src/x/store/sqlite.rs", &formatted).len(), 1);
        assert!(check_text("server/src/x/store/sqlite.rs", "let sql = \"SELECT * FROM vehicles\";").is_empty());
    }

    #[test]
    fn test_helpers_are_for_tests_only() {
        let packages =
            BTreeMap::from([package("garage-core", &[("garage-testkit", false)]), package("garage-testkit", &[])]);
        assert_eq!(check_dependencies(&packages).len(), 1);
    }

    #[test]
    fn texts_are_checked_by_place() {
        let import = "import { invoke } from \"@tauri-apps/api/core\";";
        assert_eq!(check_text("ui/src/routes/+page.svelte", import).len(), 1);
        assert!(check_text("ui/src/lib/platform/index.ts", import).is_empty());
        let path = format!("see /{}/someone/file", "home");
        assert_eq!(check_text("docs/x.md", &path).len(), 1);
        let hidden = format!("see /{}/.cargo", "root");
        assert_eq!(check_text("docs/x.md", &hidden).len(), 1);
        assert!(check_text("docs/x.md", "https://example.com/root/x and a/root/b").is_empty());
        assert_eq!(check_text("ui/package-lock.json", "\"resolved\": \"https://example.com/x.tgz\"").len(), 1);
    }
}
