//! The options that any endpoint takes in the query of its address.

use std::time::Duration;

use crate::runtime::duration;
use crate::transport::{EndpointUri, Mode};

/// How messages leave through an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendOptions {
    pub(crate) mode: Mode,
    /// One batch at a time, and after a failure the oldest first.
    pub(crate) ordered: bool,
    /// The most messages in memory.
    pub(crate) capacity: usize,
    /// The most messages in one batch.
    pub(crate) batch: usize,
    /// How long the oldest message may wait for others to go with it.
    pub(crate) linger: Duration,
}

/// The most messages in memory of an endpoint whose messages stand in the store as well.
const DURABLE_CAPACITY: usize = 2_000;

/// The most messages in memory of an endpoint that has nothing else.
const BUFFERED_CAPACITY: usize = 10_000;

const BATCH: usize = 500;

const LONGEST_LINGER: Duration = Duration::from_secs(60);

impl SendOptions {
    /// Takes its options out of an address.
    ///
    /// # Errors
    /// An option has a value that it cannot have; said in words.
    pub(crate) fn take(uri: &mut EndpointUri, mode: Mode) -> Result<Self, String> {
        let mode = take_mode(uri, mode)?;
        let ordered = match uri.take("order").as_deref() {
            None | Some("none") => false,
            Some("strict") => true,
            Some(other) => return Err(format!("`order={other}`: write `strict` or `none`")),
        };
        let capacity = match mode {
            Mode::Durable => DURABLE_CAPACITY,
            Mode::Buffered | Mode::Inline => BUFFERED_CAPACITY,
        };
        Ok(Self {
            mode,
            ordered,
            capacity: take_number(uri, "capacity", capacity)?,
            batch: take_number(uri, "batch", BATCH)?,
            linger: take_duration(uri, "linger")?.unwrap_or_default(),
        })
    }

    /// How many batches may be on their way.
    pub(crate) const fn in_flight(&self) -> usize {
        if self.ordered { 1 } else { 8 }
    }
}

/// Takes the mode out of an address that may name one.
///
/// # Errors
/// It names none that there is; said in words.
pub(crate) fn take_mode(uri: &mut EndpointUri, default: Mode) -> Result<Mode, String> {
    let Some(name) = uri.take("mode") else {
        return Ok(default);
    };
    Mode::from_name(&name)
        .ok_or_else(|| format!("`mode={name}`: write `durable`, `buffered` or `inline`"))
}

fn take_number(uri: &mut EndpointUri, name: &str, default: usize) -> Result<usize, String> {
    let Some(text) = uri.take(name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err(format!("`{name}={text}`: write a number from 1 to 1000000")),
    }
}

fn take_duration(uri: &mut EndpointUri, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = uri.take(name) else {
        return Ok(None);
    };
    match duration::parse(&text) {
        Some(linger) if linger <= LONGEST_LINGER => Ok(Some(linger)),
        _ => Err(format!("`{name}={text}`: write a time of up to a minute, such as `5ms` or `1s`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(query: &str) -> Result<SendOptions, String> {
        let mut uri = format!("durable://host:5580{query}").parse().unwrap();
        SendOptions::take(&mut uri, Mode::Durable)
    }

    #[test]
    fn what_an_address_says_goes_before_the_defaults() {
        let options = taken("?mode=buffered&order=strict&capacity=7&batch=3&linger=5ms").unwrap();
        let linger = Duration::from_millis(5);
        let mode = Mode::Buffered;
        assert_eq!(options, SendOptions { mode, ordered: true, capacity: 7, batch: 3, linger });
        assert_eq!(options.in_flight(), 1);
        let options = taken("").unwrap();
        assert_eq!((options.mode, options.capacity), (Mode::Durable, DURABLE_CAPACITY));
    }

    #[test]
    fn a_wrong_value_is_refused_with_those_that_are_right() {
        for (query, expected) in [
            ("?mode=fast", "`durable`, `buffered` or `inline`"),
            ("?order=loose", "`strict` or `none`"),
            ("?capacity=0", "from 1 to"),
            ("?batch=many", "from 1 to"),
            ("?linger=5", "such as `5ms`"),
            ("?linger=99999999999999999999s", "such as `5ms`"),
            ("?linger=18446744073709551615s", "such as `5ms`"),
        ] {
            let error = taken(query).unwrap_err();
            assert!(error.contains(expected), "{query}: {error}");
        }
    }
}
