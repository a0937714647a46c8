//! The grammar of wire names: lower-case words joined by `-`, grouped by `.`.

/// The longest name, which has to fit a column and an index of every database.
const LENGTH_MAX: usize = 100;

/// The default wire name of a type: `PlaceOrder` is `place-order`, `HTTPRequest2` is
/// `http-request2`.
pub(super) fn of_type(type_name: &str) -> String {
    let letters: Vec<char> = type_name.trim_start_matches("r#").chars().collect();
    let mut name = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        if letter == '_' {
            name.push('-');
            continue;
        }
        let before = index.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(index + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let ends_acronym = before.is_uppercase() && after.is_some_and(|c| c.is_lowercase());
                before.is_lowercase() || before.is_ascii_digit() || ends_acronym
            });
        if starts_word {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// What is wrong with `name`, if anything is.
pub(super) fn mistake(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name is empty".to_owned());
    }
    if name.len() > LENGTH_MAX {
        return Some(format!("the name is longer than {LENGTH_MAX} characters"));
    }
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let starts_with_letter = name.starts_with(|first: char| first.is_ascii_lowercase());
    if starts_with_letter && name.split(['-', '.']).all(is_word) {
        return None;
    }
    Some(format!("`{name}` is not a name"))
}

/// The grammar in words.
pub(super) const GRAMMAR: &str = "write lower-case words of letters and digits, joined by `-` and \
                                  grouped by `.`, such as `orders.place-order`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_name_becomes_lower_case_words() {
        let cases = [
            ("PlaceOrder", "place-order"),
            ("HTTPRequest", "http-request"),
            ("OrderV2Placed", "order-v2-placed"),
            ("Order_Placed", "order-placed"),
            ("Ping", "ping"),
            ("AB", "ab"),
        ];
        for (type_name, expected) in cases {
            assert_eq!(of_type(type_name), expected);
        }
    }

    #[test]
    fn names_are_words_joined_and_grouped() {
        for name in ["a", "place-order", "orders.place-order2", "v2.x"] {
            assert_eq!(mistake(name), None, "{name}");
        }
        for name in ["", "Place", "2nd", "a--b", "-a", "a-", "a..b", "a b", "a_b", "ä"] {
            assert!(mistake(name).is_some(), "{name}");
        }
        assert!(mistake(&"a".repeat(100)).is_none());
        assert!(mistake(&"a".repeat(101)).is_some());
    }
}
