//! Durations as text: `30s`.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What a text for a duration looks like.
pub(crate) const GRAMMAR: &str =
    "a whole number and a unit, `ms`, `s`, `m`, `h` or `d`, such as `30s`";

/// Reads a duration as the attributes of handlers take it.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// A duration that is text in a file.
#[derive(Deserialize)]
struct DurationText(#[serde(deserialize_with = "from_text")] Duration);

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}`: write {GRAMMAR}")))
}

/// For serde: one duration.
pub(crate) fn one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    DurationText::deserialize(deserializer).map(|text| Some(text.0))
}

/// For serde: a list of durations.
pub(crate) fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Duration>>, D::Error> {
    let texts = Vec::<DurationText>::deserialize(deserializer)?;
    Ok(Some(texts.into_iter().map(|text| text.0).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, milliseconds) in
            [("5ms", 5), ("2s", 2_000), ("1m", 60_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "5", "s", "1.5s", "-1s", "1 s", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
