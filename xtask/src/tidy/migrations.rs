//! Checks the numbering of migrations.

use std::{fs, path::Path};

pub(super) fn check(folder: &Path) -> anyhow::Result<Vec<String>> {
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
