//! What lines of text may not hold, by the folder they are in.

/// The server's features. Each knows the others only as `auth::User`, by which a request says who asks.
const SERVER_FEATURES: &[&str] = &["auth", "decode", "vehicles"];

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

/// Checks the lines of one file.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_of_the_server_knows_no_other() {
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
    fn statements_are_not_put_together() {
        let formatted = format!("let sql = format{}\"SELECT * FROM {{table}}\");", "!(");
        assert_eq!(check("server/src/x/store/sqlite.rs", &formatted).len(), 1);
        assert!(check("server/src/x/store/sqlite.rs", "let sql = \"SELECT * FROM vehicles\";").is_empty());
    }

    #[test]
    fn texts_are_checked_by_place() {
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
