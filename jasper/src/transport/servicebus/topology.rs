//! Queues, topics and subscriptions as an application declares them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::transport::iso_duration;

/// What a property of an entity is to be, by its name at the broker. What is not said may be
/// anything.
pub(super) type Properties = BTreeMap<&'static str, Property>;

/// What one property is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    Span(Duration),
    Number(u32),
    Flag(bool),
}

pub(super) const LOCK_DURATION: &str = "LockDuration";
pub(super) const DELIVERIES: &str = "MaxDeliveryCount";
pub(super) const SESSIONS: &str = "RequiresSession";
pub(super) const DETECTS: &str = "RequiresDuplicateDetection";
pub(super) const WINDOW: &str = "DuplicateDetectionHistoryTimeWindow";
pub(super) const EXPIRED: &str = "DeadLetteringOnMessageExpiration";

impl Property {
    /// As the broker writes it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Span(span) => iso_duration::write(span),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }

    /// Whether the broker means the same by this text.
    pub(super) fn is(self, text: &str) -> bool {
        match self {
            Self::Span(span) => iso_duration::read(text) == Some(span),
            Self::Number(_) | Self::Flag(_) => self.text() == text,
        }
    }
}

/// A queue as this application declares it.
///
/// What is not said here may be anything at a queue that is there. A queue that is made has what
/// the service has, but for 100 deliveries, as handlers' attempts are counted in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub(super) name: String,
    pub(super) properties: Properties,
}

impl Queue {
    /// A queue of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), properties: Properties::new() }
    }

    /// How long a message or a session stays locked without a renewal: at most five minutes.
    #[must_use]
    pub fn lock_duration(self, lock_duration: Duration) -> Self {
        self.with(LOCK_DURATION, Property::Span(lock_duration))
    }

    /// After how many failed deliveries a message goes to the dead letters of the queue.
    #[must_use]
    pub fn max_delivery_count(self, max_delivery_count: u32) -> Self {
        self.with(DELIVERIES, Property::Number(max_delivery_count))
    }

    /// Every message is of a session. An endpoint that listens with `?sessions=…` says so by
    /// itself.
    #[must_use]
    pub fn requires_session(self) -> Self {
        self.with(SESSIONS, Property::Flag(true))
    }

    /// The broker drops a message whose id has come within this time.
    #[must_use]
    pub fn duplicate_detection(self, window: Duration) -> Self {
        self.with(DETECTS, Property::Flag(true)).with(WINDOW, Property::Span(window))
    }

    /// A message whose time to live has passed goes to the dead letters of the queue instead of
    /// being dropped.
    #[must_use]
    pub fn dead_letter_expired(self) -> Self {
        self.with(EXPIRED, Property::Flag(true))
    }

    pub(super) fn with(mut self, name: &'static str, property: Property) -> Self {
        self.properties.insert(name, property);
        self
    }
}

/// A topic as this application declares it. What is not said may be anything at one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub(super) name: String,
    pub(super) properties: Properties,
}

impl Topic {
    /// A topic of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), properties: Properties::new() }
    }

    /// The broker drops a message whose id has come within this time.
    #[must_use]
    pub fn duplicate_detection(mut self, window: Duration) -> Self {
        self.properties.insert(DETECTS, Property::Flag(true));
        self.properties.insert(WINDOW, Property::Span(window));
        self
    }
}

/// A subscription as this application declares it; as a [`Queue`] in all else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub(super) topic: String,
    pub(super) name: String,
    pub(super) properties: Properties,
    /// By their names. Without any, the rules of a subscription may be anything.
    pub(super) rules: BTreeMap<String, Filter>,
}

impl Subscription {
    /// A subscription of this name to this topic.
    pub fn new(topic: impl Into<String>, name: impl Into<String>) -> Self {
        let (topic, name) = (topic.into(), name.into());
        Self { topic, name, properties: Properties::new(), rules: BTreeMap::new() }
    }

    /// As [`Queue::lock_duration`].
    #[must_use]
    pub fn lock_duration(self, lock_duration: Duration) -> Self {
        self.with(LOCK_DURATION, Property::Span(lock_duration))
    }

    /// As [`Queue::max_delivery_count`].
    #[must_use]
    pub fn max_delivery_count(self, max_delivery_count: u32) -> Self {
        self.with(DELIVERIES, Property::Number(max_delivery_count))
    }

    /// As [`Queue::requires_session`].
    #[must_use]
    pub fn requires_session(self) -> Self {
        self.with(SESSIONS, Property::Flag(true))
    }

    /// As [`Queue::dead_letter_expired`].
    #[must_use]
    pub fn dead_letter_expired(self) -> Self {
        self.with(EXPIRED, Property::Flag(true))
    }

    /// Lets messages through that this filter lets through, or one of the other rules. Without any
    /// rule all messages of the topic come.
    #[must_use]
    pub fn rule(mut self, name: impl Into<String>, filter: Filter) -> Self {
        self.rules.insert(name.into(), filter);
        self
    }

    pub(super) fn with(mut self, name: &'static str, property: Property) -> Self {
        self.properties.insert(name, property);
        self
    }
}

/// What a rule of a subscription lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Messages of which this expression in the SQL of the service is true, such as
    /// `priority > 3 AND sys.Label LIKE 'shop.%'`.
    Sql(String),
    /// Messages whose properties are equal to these.
    Correlation(CorrelationFilter),
}

impl Filter {
    /// Messages of which this expression in the SQL of the service is true.
    pub fn sql(expression: impl Into<String>) -> Self {
        Self::Sql(expression.into())
    }
}

impl From<CorrelationFilter> for Filter {
    fn from(filter: CorrelationFilter) -> Self {
        Self::Correlation(filter)
    }
}

/// Properties that have to be equal; those that are not set may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorrelationFilter {
    /// By their names at the broker.
    pub(super) fields: BTreeMap<&'static str, String>,
    pub(super) properties: BTreeMap<String, String>,
}

impl CorrelationFilter {
    /// A filter that lets everything through until a property is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The correlation id has to be this.
    #[must_use]
    pub fn correlation_id(self, value: impl Into<String>) -> Self {
        self.field("CorrelationId", value)
    }

    /// The subject, by which jasper says the type of a message, has to be this.
    #[must_use]
    pub fn subject(self, value: impl Into<String>) -> Self {
        self.field("Label", value)
    }

    /// An application property has to be this text.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.insert(name, value.into());
        self
    }
}

/// All that one endpoint needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) queues: Vec<Queue>,
    pub(super) topics: Vec<Topic>,
    pub(super) subscriptions: Vec<Subscription>,
}
