//! The names of a store's tables, and their place in the texts of statements.

use crate::store::StoreError;

/// What stands between braces for a table.
const TABLES: [&str; 5] = ["incoming", "outgoing", "dead_letters", "nodes", "migrations"];

/// A name that needs no care, so that it may stand between quotes in any statement.
///
/// # Errors
/// It is not `^[A-Za-z_][A-Za-z0-9_]*$`, or has more than `longest` characters.
pub(crate) fn checked(name: &str, longest: usize) -> Result<String, StoreError> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins_well && name.len() <= longest && name.chars().all(is_inner) {
        Ok(name.to_owned())
    } else {
        Err(StoreError::BadName { name: name.to_owned() })
    }
}

/// A text in which `{incoming}` and its like are names of tables.
pub(crate) fn with_tables(text: &str, table: impl Fn(&str) -> String) -> String {
    TABLES.into_iter().fold(text.to_owned(), |text, name| {
        let place = format!("{{{name}}}");
        if text.contains(&place) {
            text.replace(&place, &table(&format!("jasper_{name}")))
        } else {
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_the_name_of_its_table() {
        let text = "delete from {nodes} where {keys} and exists (select from {nodes})";
        let named = with_tables(text, |name| format!("\"shop\".{name}"));
        let expected = "delete from \"shop\".jasper_nodes where {keys} \
                        and exists (select from \"shop\".jasper_nodes)";
        assert_eq!(named, expected);
    }
}
