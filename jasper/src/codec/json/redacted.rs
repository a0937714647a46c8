//! What may be said of JSON that does not fit its type: texts of serde quote the payload, which may
//! hold secrets, and errors go to logs and dead letters.

use std::fmt;

/// Texts of `serde_json` that have nothing of the payload in them.
const FIXED: [&str; 21] = [
    "EOF while parsing a list",
    "EOF while parsing an object",
    "EOF while parsing a string",
    "EOF while parsing a value",
    "expected `:`",
    "expected `,` or `]`",
    "expected `,` or `}`",
    "expected ident",
    "expected value",
    "expected `\"`",
    "invalid escape",
    "invalid number",
    "number out of range",
    "invalid unicode code point",
    "control character (\\u0000-\\u001F) found while parsing a string",
    "key must be a string",
    "lone leading surrogate in hex escape",
    "trailing comma",
    "trailing characters",
    "unexpected end of hex escape",
    "recursion limit exceeded",
];

/// How texts of serde begin that name something of the payload, and what remains of each.
const WITH_VALUE: [(&str, &str); 5] = [
    ("invalid type: ", "invalid type"),
    ("invalid value: ", "invalid value"),
    ("invalid length ", "invalid length"),
    ("unknown variant `", "unknown variant"),
    ("unknown field `", "unknown field"),
];

/// How texts of serde begin that name a field of the type.
const WITH_FIELD: [&str; 2] = ["missing field `", "duplicate field `"];

/// The error without what it quotes: its kind, what the type expects, and the place. Of an error
/// that a type has written itself the place remains.
pub(super) fn redacted(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let (words, place) = split_place(&text);
    format!("{}{place}", kind(words))
}

fn kind(words: &str) -> String {
    if FIXED.contains(&words) || names_field(words) {
        return words.to_owned();
    }
    for (begin, kind) in WITH_VALUE {
        if words.starts_with(begin) {
            // What is expected comes last, and is a text of the program.
            return match words.rsplit_once(", expected ") {
                Some((_, expected)) => format!("{kind}, expected {expected}"),
                None => kind.to_owned(),
            };
        }
    }
    "its data is not what the type takes".to_owned()
}

fn names_field(words: &str) -> bool {
    WITH_FIELD.iter().any(|begin| {
        let name = words.strip_prefix(begin).and_then(|rest| rest.strip_suffix('`'));
        name.is_some_and(|name| !name.contains('`'))
    })
}

/// The text and ` at line 1 column 20`, where it ends so.
fn split_place(text: &str) -> (&str, &str) {
    let Some(at) = text.rfind(" at line ") else {
        return (text, "");
    };
    let place = &text[at + " at line ".len()..];
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match place.split_once(" column ") {
        Some((line, column)) if is_number(line) && is_number(column) => text.split_at(at),
        _ => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde::de::{DeserializeOwned, Error};

    use super::super::Json;
    use crate::codec::Codec;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is decoded, and nothing is read of it")]
    struct Order {
        quantity: u32,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        sku: Option<Sku>,
        #[serde(default)]
        by_name: HashMap<String, u8>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        Gift,
    }

    #[derive(Debug)]
    struct Sku;

    impl<'de> Deserialize<'de> for Sku {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(D::Error::custom(format!("`{text}` is no sku at line 1 column 2")))
        }
    }

    fn error_of<T: DeserializeOwned>(json: &str) -> String {
        let decoded = Json.decode(json.as_bytes(), &mut |deserializer| {
            erased_serde::deserialize::<T>(deserializer).map(drop)
        });
        decoded.unwrap_err().to_string()
    }

    #[test]
    fn nothing_of_the_payload_is_in_an_error() {
        let wrong = [
            r#"{"quantity": "canary"}"#,
            r#"{"quantity": "a, expected canary"}"#,
            r#"{"quantity": 1, "kind": "canary"}"#,
            r#"{"quantity": 1, "canary": 2}"#,
            r#"{"quantity": 1, "sku": "canary"}"#,
            r#"{"quantity": 1, "sku": "missing field `canary"}"#,
            r#"{"quantity": 1, "by_name": {"canary": "canary"}}"#,
            r#"{"quantity": 1, "by_name": {"canary": -5551}}"#,
            r#"{"quantity": "\u0000canary at line 7 column canary"}"#,
            r#"{"quantity": 1} canary"#,
            r#"canary"#,
        ];
        for json in wrong {
            let text = error_of::<Order>(json);
            assert!(!text.contains("canary") && !text.contains("5551"), "{json}: {text}");
            assert!(text.contains(" at line 1 column "), "{json}: {text}");
        }
    }

    #[test]
    fn what_helps_remains() {
        for (json, words) in [
            (r#"{"quantity": "7"}"#, "invalid type, expected u32 at line 1 column 16"),
            (r#"{"kind": null}"#, "missing field `quantity` at line 1 column 14"),
            (r#"{"quantity": 1, "kind": "Big"}"#, "unknown variant, expected `Gift` at line 1"),
            (r#"{"quantity": 1, "a": 1}"#, "unknown field, expected one of `quantity`, `kind`"),
            (r#"{"quantity": 1"#, "EOF while parsing an object at line 1 column 14"),
            (r#"{"quantity": 1, "sku": "a"}"#, "its data is not what the type takes at line 1"),
        ] {
            let text = error_of::<Order>(json);
            assert!(text.contains(words), "{json}: {text}");
        }
    }
}
