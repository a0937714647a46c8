//! What a queue or a subscription of the test broker is created with.

use std::time::Duration;

/// The settings of a queue or a subscription, with the defaults of the service where it has them.
#[derive(Debug, Clone)]
pub struct EntitySettings {
    pub(super) lock_duration: Duration,
    pub(super) max_delivery_count: u32,
    pub(super) requires_session: bool,
    pub(super) duplicate_window: Option<Duration>,
    pub(super) dead_letters_expired: bool,
}

impl Default for EntitySettings {
    /// Locks of 60 seconds, 10 deliveries, no sessions, no duplicate detection.
    fn default() -> Self {
        Self {
            lock_duration: Duration::from_secs(60),
            max_delivery_count: 10,
            requires_session: false,
            duplicate_window: None,
            dead_letters_expired: false,
        }
    }
}

impl EntitySettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a message or a session stays locked without a renewal. The service takes at most
    /// five minutes; the test broker takes any time, so that tests need not wait.
    #[must_use]
    pub fn lock_duration(mut self, lock_duration: Duration) -> Self {
        self.lock_duration = lock_duration;
        self
    }

    /// After how many failed deliveries a message goes to the dead letters; at least 1.
    #[must_use]
    pub fn max_delivery_count(mut self, max_delivery_count: u32) -> Self {
        self.max_delivery_count = max_delivery_count.max(1);
        self
    }

    /// Only messages with a session id are taken, and only sessions can be received.
    #[must_use]
    pub fn requires_session(mut self) -> Self {
        self.requires_session = true;
        self
    }

    /// A message whose id has come within this time is dropped. On a subscription it has no effect:
    /// the service looks at a queue or a topic.
    #[must_use]
    pub fn duplicate_detection(mut self, window: Duration) -> Self {
        self.duplicate_window = Some(window);
        self
    }

    /// Messages whose time to live has passed go to the dead letters instead of being dropped.
    #[must_use]
    pub fn dead_letter_expired(mut self) -> Self {
        self.dead_letters_expired = true;
        self
    }
}
