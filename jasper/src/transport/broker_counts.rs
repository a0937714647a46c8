//! What a broker says of a place from which a listener receives.

/// How many messages a broker has at one place from which a listener receives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerCounts {
    /// Messages that wait, and those that a receiver has and has not settled.
    pub active: u64,
    /// The dead letters of the broker, which are others than those of the store.
    pub dead_lettered: u64,
    /// Messages whose time has not come.
    pub scheduled: u64,
    /// Sessions with messages or a state, up to 10,000; `None` where the place has no sessions.
    pub sessions: Option<u64>,
}

impl BrokerCounts {
    /// Counts of a place without sessions; for authors of transports.
    pub const fn new(active: u64, dead_lettered: u64, scheduled: u64) -> Self {
        Self { active, dead_lettered, scheduled, sessions: None }
    }

    /// The same of a place with sessions.
    #[must_use]
    pub const fn with_sessions(self, sessions: u64) -> Self {
        Self { sessions: Some(sessions), ..self }
    }
}
