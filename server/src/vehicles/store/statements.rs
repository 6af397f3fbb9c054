//! Statement texts, completed with the declared fields of a vehicle.

use std::fmt::Write;

use garage_domain::VEHICLES;

/// Completes `text`, once for each statement. Only names of columns that are declared as constants, and numbers of
/// parameters, enter it; no value does.
///
/// - `{columns}`: what a row is read from, the fields first and in the order of the declaration. Named one by one, so that
///   a newer schema does not change the columns of a prepared statement.
/// - `{fields}`: the columns of the fields
/// - `{parameters}`: a parameter for each of them, from the one after `others`; `mark` begins a parameter
/// - `{assignments}`: each of them set to its parameter
pub fn complete(text: &str, mark: char, others: usize) -> String {
    let (mut fields, mut parameters, mut assignments) = (String::new(), String::new(), String::new());
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let (column, number) = (field.column, others.saturating_add(index).saturating_add(1));
        // Writing to a String does not fail.
        let _ = write!(fields, "{separator}{column}");
        let _ = write!(parameters, "{separator}{mark}{number}");
        let _ = write!(assignments, "{separator}{column} = {mark}{number}");
    }
    text.replace("{columns}", "{fields}, id, user_id, image_url, created_at, updated_at, deleted_at, version")
        .replace("{fields}", &fields)
        .replace("{parameters}", &parameters)
        .replace("{assignments}", &assignments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_and_written() {
        let all: Vec<_> = VEHICLES.fields.iter().map(|field| field.column).collect();
        let count = all.len();
        assert_eq!(complete("{fields}", '$', 4).split(", ").collect::<Vec<_>>(), all);
        assert_eq!(complete("{columns}", '$', 4).split(", ").take(count).collect::<Vec<_>>(), all);
        let numbers: Vec<_> = (5..5 + count).map(|number| format!("?{number}")).collect();
        assert_eq!(complete("{parameters}", '?', 4).split(", ").collect::<Vec<_>>(), numbers);
        let set: Vec<_> = all.iter().zip(&numbers).map(|(column, number)| format!("{column} = {number}")).collect();
        assert_eq!(complete("{assignments}", '?', 4).split(", ").collect::<Vec<_>>(), set);
    }
}
