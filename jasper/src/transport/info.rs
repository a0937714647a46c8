//! What a transport is and can do, as data.

use std::fmt;

/// What a transport is and can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportInfo {
    /// A short name such as `tcp`, used in logs and telemetry.
    pub name: &'static str,
    /// The schemes of its addresses.
    pub schemes: &'static [Scheme],
    /// What it can do.
    pub capabilities: Capabilities,
}

impl TransportInfo {
    /// For authors of transports.
    pub const fn new(
        name: &'static str,
        schemes: &'static [Scheme],
        capabilities: Capabilities,
    ) -> Self {
        Self { name, schemes, capabilities }
    }
}

/// One scheme of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The part of an address before `://`.
    pub name: &'static str,
    /// How messages travel where the address does not say.
    pub mode: Mode,
}

/// How a message is protected against loss on its way through an endpoint, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A row in the store: nothing is lost, and nothing takes effect twice.
    Durable,
    /// Memory: a crash loses it.
    Buffered,
    /// Its caller: sending returns when the receiver has it, receiving when the handler is done.
    Inline,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Durable, Self::Buffered, Self::Inline];

    /// The name by which addresses say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Buffered => "buffered",
            Self::Inline => "inline",
        }
    }

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a transport can do beyond carrying envelopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Answers come back to who asked. Without it `Bus::invoke` of a command that goes there is
    /// refused.
    pub requests: bool,
    /// What one sender sends one after the other arrives in that order.
    pub order: bool,
}

impl Capabilities {
    /// None.
    pub const NONE: Self = Self { requests: false, order: false };

    /// With requests.
    #[must_use]
    pub const fn with_requests(mut self) -> Self {
        self.requests = true;
        self
    }

    /// With order.
    #[must_use]
    pub const fn with_order(mut self) -> Self {
        self.order = true;
        self
    }
}
