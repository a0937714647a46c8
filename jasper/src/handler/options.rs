//! How one message is delivered, where that differs from its type's defaults.

use std::time::{Duration, SystemTime};

use crate::envelope::{Excess, Headers};

/// Options of one delivery. All are absent unless set.
///
/// Each text takes at most [`MAX_FIELD_BYTES`](crate::envelope::MAX_FIELD_BYTES), and there are at
/// most [`MAX_HEADERS`](crate::envelope::MAX_HEADERS) headers of
/// [`MAX_HEADER_BYTES`](crate::envelope::MAX_HEADER_BYTES) together: `send` refuses more.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct DeliveryOptions {
    /// Not to be handled before this moment.
    pub due_at: Option<SystemTime>,
    /// How long after sending it is to be handled, in the time of the store; where `due_at` is set,
    /// that counts.
    pub delay: Option<Duration>,
    /// How long after sending it is still worth handling.
    pub deliver_within: Option<Duration>,
    /// A business key: a repeat under the same key is dropped within the store's window.
    pub deduplication_id: Option<String>,
    /// The group within which order is kept where the endpoint declares order.
    pub group_id: Option<String>,
    /// The tenant; without it, that of the message being handled.
    pub tenant_id: Option<String>,
    /// The correlation id; without it, that of the message being handled.
    pub correlation_id: Option<String>,
    /// The endpoint name or address to send to, whatever handles the type otherwise.
    pub to: Option<String>,
    /// Loose headers.
    pub headers: Headers,
}

impl DeliveryOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an envelope can hold them.
    pub(crate) fn check(&self) -> Result<(), Excess> {
        Excess::check_field("deduplication key", self.deduplication_id.as_deref())?;
        Excess::check_field("group id", self.group_id.as_deref())?;
        Excess::check_field("tenant id", self.tenant_id.as_deref())?;
        Excess::check_field("correlation id", self.correlation_id.as_deref())?;
        Excess::check_headers(&self.headers)
    }

    /// These options, and where one is absent, that of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut headers = other.headers;
        for (name, value) in self.headers.iter() {
            headers.insert(name, value);
        }
        // Both say when: the one that is set here goes before either there.
        let is_set = self.due_at.is_some() || self.delay.is_some();
        let (due_at, delay) =
            if is_set { (self.due_at, self.delay) } else { (other.due_at, other.delay) };
        Self {
            due_at,
            delay,
            deliver_within: self.deliver_within.or(other.deliver_within),
            deduplication_id: self.deduplication_id.or(other.deduplication_id),
            group_id: self.group_id.or(other.group_id),
            tenant_id: self.tenant_id.or(other.tenant_id),
            correlation_id: self.correlation_id.or(other.correlation_id),
            to: self.to.or(other.to),
            headers,
        }
    }

    /// To be handled so long after it is sent, or after the run ends that it follows from, in the
    /// time of the store: the machine's clock may be off.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self.due_at = None;
        self
    }

    /// To be handled at this time, in the time of the store.
    #[must_use]
    pub const fn at(mut self, due_at: SystemTime) -> Self {
        self.due_at = Some(due_at);
        self.delay = None;
        self
    }

    /// Worth handling only within this time.
    #[must_use]
    pub const fn deliver_within(mut self, within: Duration) -> Self {
        self.deliver_within = Some(within);
        self
    }

    /// One message for each key of this type: a repeat is dropped.
    #[must_use]
    pub fn deduplicate(mut self, key: impl Into<String>) -> Self {
        self.deduplication_id = Some(key.into());
        self
    }

    /// Part of this group: carried for the application; jasper does nothing with it.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group_id = Some(group.into());
        self
    }

    /// For this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant.into());
        self
    }

    /// Part of this request of the outside world.
    #[must_use]
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation.into());
        self
    }

    /// To this endpoint name or address.
    #[must_use]
    pub fn to(mut self, endpoint: impl Into<String>) -> Self {
        self.to = Some(endpoint.into());
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name, value);
        self
    }
}
