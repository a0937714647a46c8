//! The values of options, as text.

use std::str::FromStr;
use std::time::Duration;

use crate::runtime::duration as text_duration;

/// A value that is not what its option takes.
#[derive(Debug)]
pub(crate) struct UnreadableValue {
    /// What it takes, in words.
    pub(crate) wanted: &'static str,
}

pub(crate) fn number<N: FromStr>(text: &str) -> Result<N, UnreadableValue> {
    text.parse().map_err(|_| UnreadableValue { wanted: "a whole number" })
}

pub(crate) fn choice(text: &str) -> Result<bool, UnreadableValue> {
    text.parse().map_err(|_| UnreadableValue { wanted: "`true` or `false`" })
}

pub(crate) fn duration(text: &str) -> Result<Duration, UnreadableValue> {
    text_duration::parse(text).ok_or(UnreadableValue { wanted: text_duration::GRAMMAR })
}

/// Several are separated by commas.
pub(crate) fn durations(text: &str) -> Result<Vec<Duration>, UnreadableValue> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(duration).collect()
}
