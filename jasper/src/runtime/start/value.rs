//! The values of options, as text.

use std::str::FromStr;
use std::time::Duration;

use crate::runtime::duration as text_duration;

/// A value that is not what its option takes.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// What it takes, in words.
    pub(crate) wanted: &'static str,
}

pub(crate) fn number<N: FromStr>(text: &str) -> Result<N, Unreadable> {
    text.parse().map_err(|_| Unreadable { wanted: "a whole number" })
}

pub(crate) fn choice(text: &str) -> Result<bool, Unreadable> {
    text.parse().map_err(|_| Unreadable { wanted: "`true` or `false`" })
}

pub(crate) fn duration(text: &str) -> Result<Duration, Unreadable> {
    text_duration::parse(text).ok_or(Unreadable { wanted: text_duration::GRAMMAR })
}

/// Several are separated by commas.
pub(crate) fn durations(text: &str) -> Result<Vec<Duration>, Unreadable> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(duration).collect()
}
