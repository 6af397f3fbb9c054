//! Checks lines of text files, depending on their folder.

/// The server's features. A feature may use only `auth::User` of another one.
const SERVER_FEATURES: &[&str] = &["auth", "decode", "sync", "vehicles"];

fn puts_sql_together(line: &str) -> bool {
    let formatted = line.split("format!(\"").nth(1).unwrap_or_default();
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|verb| formatted.starts_with(verb))
}

/// Whether a line uses an item of this feature, except `auth::User`.
fn imports_feature(line: &str, feature: &str) -> bool {
    // `sync` alone is a module of `std` and `tokio`, too.
    let path = if feature == "sync" { "crate::sync::".to_owned() } else { format!("{feature}::") };
    line.match_indices(&path).any(|(start, _)| {
        let is_whole = !line[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let rest = &line[start + path.len()..];
        // A generic function with the name of the feature.
        is_whole && !rest.starts_with('<') && !(feature == "auth" && rest.starts_with("User"))
    })
}

pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let is_lock = path.ends_with("package-lock.json");
    if is_lock && text.contains("\"resolved\": \"http") {
        problems.push(format!("{path} contains download URLs, which depend on the registry of each machine"));
    }
    let is_page = path.starts_with("ui/src/") && !path.starts_with("ui/src/lib/platform/");
    let feature = path.strip_prefix("server/src/").and_then(|rest| rest.split_once('/')).map(|(feature, _)| feature);
    for (index, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", index + 1);
        if let Some(feature) = feature.filter(|feature| SERVER_FEATURES.contains(feature)) {
            let others = SERVER_FEATURES.iter().filter(|other| **other != feature);
            if let Some(other) = others.into_iter().find(|other| imports_feature(line, other)) {
                problems.push(format!(
                    "{place}: the server's {feature} imports {other}; move shared code to a parent module"
                ));
            }
        }
        if path.starts_with("server/src/") && puts_sql_together(line) {
            problems
                .push(format!("{place}: SQL is formatted from strings; use parameters for values and write out names"));
        }
        if is_page && line.contains("@tauri-apps/") {
            problems.push(format!("{place}: only ui/src/lib/platform may import Tauri"));
        }
        if !path.ends_with(".lock") && MACHINE_FOLDERS.iter().any(|folder| names_folder(line, folder)) {
            problems.push(format!("{place}: machine-specific path"));
        }
    }
    problems
}

/// Folders that are specific to a machine. Joined at run time, so that this file passes the check.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home"];

/// Whether the line contains a path that starts with `/folder/`.
fn names_folder(line: &str, folder: &str) -> bool {
    let needle = format!("/{folder}/");
    line.match_indices(&needle).any(|(start, _)| {
        let is_beginning =
            !line[..start].ends_with(|before: char| before.is_ascii_alphanumeric() || "._-~}".contains(before));
        is_beginning
            && line[start + needle.len()..].starts_with(|after: char| after.is_ascii_alphabetic() || after == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_features_do_not_import_each_other() {
        let problems = |line: &str| check("server/src/vehicles/routes.rs", line).len();
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
    fn formatted_sql_is_found() {
        let formatted = format!("let sql = format{}\"SELECT * FROM {{table}}\");", "!(");
        assert_eq!(check("server/src/x/store/sqlite.rs", &formatted).len(), 1);
        assert!(check("server/src/x/store/sqlite.rs", "let sql = \"SELECT * FROM vehicles\";").is_empty());
    }

    #[test]
    fn rules_depend_on_the_folder() {
        let import = "import { invoke } from \"@tauri-apps/api/core\";";
        assert_eq!(check("ui/src/routes/+page.svelte", import).len(), 1);
        assert!(check("ui/src/lib/platform/index.ts", import).is_empty());
        let path = format!("see /{}/someone/file", "home");
        assert_eq!(check("docs/x.md", &path).len(), 1);
        let hidden = format!("see /{}/.cargo", "root");
        assert_eq!(check("docs/x.md", &hidden).len(), 1);
        assert!(check("docs/x.md", "https://example.com/root/x and a/root/b").is_empty());
        assert_eq!(check("ui/package-lock.json", "\"resolved\": \"https://example.com/x.tgz\"").len(), 1);
    }
}
