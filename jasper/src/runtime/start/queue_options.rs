//! How a local queue works, where the application says so.

/// The options of one local queue; what is not set is decided by its handlers' attributes and the
/// defaults.
#[derive(Debug, Clone, Default)]
pub struct QueueOptions {
    pub(crate) concurrency: Option<usize>,
    pub(crate) capacity: Option<usize>,
    pub(crate) mode: QueueMode,
    pub(crate) send_only: bool,
}

/// Whether the messages of a queue with these options are handled in this process, which maybe only
/// sends.
pub(crate) fn runs_here(options: Option<&QueueOptions>, send_only: bool) -> bool {
    !send_only && options.is_none_or(|options| !options.send_only)
}

/// When the messages of a queue are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum QueueMode {
    /// A message is stored if its handler is durable, or if it is sent within a transaction.
    #[default]
    Automatic,
    /// Every message is stored.
    Durable,
    /// No message is stored.
    Buffered,
}

impl QueueOptions {
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
        self.mode = QueueMode::Durable;
        self
    }

    /// This process sends to the queue and handles none of its messages: all are stored, for other
    /// processes on the same store. See
    /// [`Builder::send_only`](crate::runtime::Builder::send_only) for a process that handles none
    /// at all.
    #[must_use]
    pub const fn send_only(mut self) -> Self {
        self.send_only = true;
        self
    }

    /// No message is stored, not even one that a durable handler returns: a crash loses what is in
    /// memory.
    #[must_use]
    pub const fn buffered(mut self) -> Self {
        self.mode = QueueMode::Buffered;
        self
    }
}
