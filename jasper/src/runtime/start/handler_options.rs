//! How often and for how long a handler runs, where the application or its deployment says so.

use std::time::Duration;

use serde::Deserialize;

use super::value::{self, UnreadableValue};
use crate::handler::HandlerRegistration;
use crate::runtime::duration;

/// The options of one handler. What is not set is decided by its queue's options, then by its
/// attributes, then by the defaults.
///
/// ```
/// use std::time::Duration;
///
/// use jasper::HandlerOptions;
///
/// let options = HandlerOptions::new().attempts(10).timeout(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandlerOptions {
    #[serde(default)]
    pub(crate) attempts: Option<u32>,
    #[serde(default, deserialize_with = "duration::list")]
    pub(crate) delays: Option<Vec<Duration>>,
    #[serde(default, deserialize_with = "duration::one")]
    pub(crate) timeout: Option<Duration>,
    #[serde(default)]
    pub(crate) share: Option<u32>,
}

impl HandlerOptions {
    /// The options, as the names of variables end.
    pub(crate) const NAMES: [&str; 4] = ["ATTEMPTS", "DELAYS", "TIMEOUT", "SHARE"];

    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the attributes of a handler say.
    pub(crate) fn of(handler: &HandlerRegistration) -> Self {
        Self {
            attempts: handler.attempts,
            delays: handler.delays.map(<[Duration]>::to_vec),
            timeout: handler.timeout,
            share: handler.share,
        }
    }

    /// How many attempts a message has, the first included. At least 1.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// How long a message waits before its last attempts; those before follow at once. Of more
    /// delays than there are further attempts, the first are taken.
    #[must_use]
    pub fn delays(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.delays = Some(delays.into_iter().collect());
        self
    }

    /// How long one run may take; by `bus.invoke` too.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many runs may share a transaction, where the handler takes the store's connection. At
    /// least 1.
    #[must_use]
    pub const fn share(mut self, runs: u32) -> Self {
        self.share = Some(runs);
        self
    }

    /// These options, and where one is absent, that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            attempts: self.attempts.or(other.attempts),
            delays: self.delays.or(other.delays),
            timeout: self.timeout.or(other.timeout),
            share: self.share.or(other.share),
        }
    }

    /// Sets the option of this name, one of [`NAMES`](Self::NAMES), to what a variable says.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<(), UnreadableValue> {
        match name {
            "ATTEMPTS" => self.attempts = Some(value::number(text)?),
            "DELAYS" => self.delays = Some(value::durations(text)?),
            "TIMEOUT" => self.timeout = Some(value::duration(text)?),
            _ => self.share = Some(value::number(text)?),
        }
        Ok(())
    }

    /// The names of the options that are set.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let set = [
            self.attempts.is_some(),
            self.delays.is_some(),
            self.timeout.is_some(),
            self.share.is_some(),
        ];
        Self::NAMES.into_iter().zip(set).filter_map(|(name, is_set)| is_set.then_some(name))
    }

    /// The numbers that have to be at least 1 and are not.
    pub(crate) fn zeros(&self) -> impl Iterator<Item = &'static str> {
        let numbers = [("attempts", self.attempts), ("share", self.share)];
        numbers.into_iter().filter(|(_, number)| *number == Some(0)).map(|(what, _)| what)
    }
}
