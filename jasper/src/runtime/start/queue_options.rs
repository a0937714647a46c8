//! How a local queue works, where the application or its deployment says so.

use std::time::Duration;

use serde::Deserialize;

use super::handler_options::HandlerOptions;
use super::value::{self, UnreadableValue};
use crate::runtime::duration;

/// The options of one local queue; what is not set is decided by its handlers' attributes and the
/// defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "QueueTable")]
pub struct QueueOptions {
    pub(crate) concurrency: Option<usize>,
    pub(crate) capacity: Option<usize>,
    pub(crate) mode: Option<QueueMode>,
    pub(crate) send_only: Option<bool>,
    /// Of all its handlers.
    pub(crate) handlers: HandlerOptions,
}

/// The same as a table of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueTable {
    #[serde(default)]
    concurrency: Option<usize>,
    #[serde(default)]
    capacity: Option<usize>,
    #[serde(default)]
    mode: Option<QueueMode>,
    #[serde(default)]
    send_only: Option<bool>,
    #[serde(default)]
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "duration::list")]
    delays: Option<Vec<Duration>>,
    #[serde(default, deserialize_with = "duration::one")]
    timeout: Option<Duration>,
    #[serde(default)]
    share: Option<u32>,
}

impl From<QueueTable> for QueueOptions {
    fn from(table: QueueTable) -> Self {
        let QueueTable { concurrency, capacity, mode, send_only, .. } = table;
        let QueueTable { attempts, delays, timeout, share, .. } = table;
        let handlers = HandlerOptions { attempts, delays, timeout, share };
        Self { concurrency, capacity, mode, send_only, handlers }
    }
}

/// When the messages of a queue are stored. Where nothing is said, a message is stored if its
/// handler is durable, or if it is sent within a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueMode {
    /// Every message is stored.
    Durable,
    /// No message is stored.
    Buffered,
}

impl QueueOptions {
    /// The options, as the names of variables end, without those of handlers.
    const OWN_NAMES: [&str; 4] = ["CONCURRENCY", "CAPACITY", "MODE", "SEND_ONLY"];

    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of its messages are handled at once. At least 1.
    #[must_use]
    pub const fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// How many of its messages may be in memory. Stored messages beyond that wait in the store;
    /// senders of messages that are not stored wait for room. At least 1.
    #[must_use]
    pub const fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Every message is stored before it is handled, also for handlers that are not durable.
    #[must_use]
    pub const fn durable(mut self) -> Self {
        self.mode = Some(QueueMode::Durable);
        self
    }

    /// No message is stored, not even one that a durable handler returns: a crash loses what is in
    /// memory.
    #[must_use]
    pub const fn buffered(mut self) -> Self {
        self.mode = Some(QueueMode::Buffered);
        self
    }

    /// This process sends to the queue and handles none of its messages: all are stored, for other
    /// processes on the same store. See
    /// [`Builder::send_only`](crate::runtime::Builder::send_only) for a process that handles none
    /// at all.
    #[must_use]
    pub const fn send_only(mut self) -> Self {
        self.send_only = Some(true);
        self
    }

    /// The options of all handlers of the queue, where one has none of its own.
    #[must_use]
    pub fn handlers(mut self, options: HandlerOptions) -> Self {
        self.handlers = options;
        self
    }

    /// These options, and where one is absent, that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            concurrency: self.concurrency.or(other.concurrency),
            capacity: self.capacity.or(other.capacity),
            mode: self.mode.or(other.mode),
            send_only: self.send_only.or(other.send_only),
            handlers: self.handlers.or(other.handlers),
        }
    }

    /// Whether its messages are handled in this process, which maybe only sends.
    pub(crate) fn runs_here(&self, send_only: bool) -> bool {
        !send_only && self.send_only != Some(true)
    }

    /// All options, as the names of variables end.
    pub(crate) fn option_names() -> impl Iterator<Item = &'static str> {
        Self::OWN_NAMES.into_iter().chain(HandlerOptions::NAMES)
    }

    /// Sets the option of this name, one of [`option_names`](Self::option_names), to what a
    /// variable says.
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<(), UnreadableValue> {
        match name {
            "CONCURRENCY" => self.concurrency = Some(value::number(text)?),
            "CAPACITY" => self.capacity = Some(value::number(text)?),
            "MODE" => self.mode = Some(mode(text)?),
            "SEND_ONLY" => self.send_only = Some(value::choice(text)?),
            _ => self.handlers.set(name, text)?,
        }
        Ok(())
    }

    /// The names of the options that are set.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let set = [
            self.concurrency.is_some(),
            self.capacity.is_some(),
            self.mode.is_some(),
            self.send_only.is_some(),
        ];
        let own = Self::OWN_NAMES.into_iter().zip(set);
        own.filter_map(|(name, is_set)| is_set.then_some(name)).chain(self.handlers.names())
    }

    /// The numbers of the queue itself that have to be at least 1 and are not.
    pub(crate) fn own_zeros(&self) -> impl Iterator<Item = &'static str> {
        let numbers = [("concurrency", self.concurrency), ("capacity", self.capacity)];
        numbers.into_iter().filter(|(_, number)| *number == Some(0)).map(|(what, _)| what)
    }
}

fn mode(text: &str) -> Result<QueueMode, UnreadableValue> {
    match text {
        "durable" => Ok(QueueMode::Durable),
        "buffered" => Ok(QueueMode::Buffered),
        _ => Err(UnreadableValue { wanted: "`durable` or `buffered`" }),
    }
}
