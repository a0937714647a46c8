//! Where an envelope goes: a URI whose scheme names the transport.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A URI such as `local://emails/email_customer` or `tcp://host:5580`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Arc<str>,
    scheme_len: usize,
}

/// The scheme of the queues inside this process.
const LOCAL: &str = "local";

/// The scheme of endpoints that have a name, wherever that leads.
const ENDPOINT: &str = "endpoint";

/// The scheme of what has come to a listener and is known to no handler there.
const RECEIVED: &str = "received";

impl Address {
    /// The address of `handler` on the local queue `queue`.
    pub fn local(queue: &str, handler: &str) -> Self {
        Self { text: format!("{LOCAL}://{queue}/{handler}").into(), scheme_len: LOCAL.len() }
    }

    /// The address of the endpoint of this name, wherever its configuration leads.
    pub fn endpoint(name: &str) -> Self {
        Self { text: format!("{ENDPOINT}://{name}").into(), scheme_len: ENDPOINT.len() }
    }

    /// The address of what has come to the listener at this address and found no handler there. No
    /// endpoint leads to it.
    pub fn received(listener: &Self) -> Self {
        let text = format!("{RECEIVED}://{}", listener.rest()).into();
        Self { text, scheme_len: RECEIVED.len() }
    }

    /// The address that stands in a row of a store, whatever stands there: a row whose destination
    /// is no address has to be seen, and to be found again by the same text.
    pub fn as_stored(text: &str) -> Self {
        text.parse()
            .unwrap_or_else(|_error: AddressError| Self { text: text.into(), scheme_len: 0 })
    }

    /// Whether it is an address at all; it always is, unless [`as_stored`](Self::as_stored) has
    /// found something else.
    pub const fn is_valid(&self) -> bool {
        self.scheme_len > 0
    }

    /// Whether it is what [`received`](Self::received) gives.
    pub fn is_received(&self) -> bool {
        self.scheme() == RECEIVED
    }

    /// The part before `://`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme_len]
    }

    /// The part after `://`.
    pub fn rest(&self) -> &str {
        if self.is_valid() { &self.text[self.scheme_len + 3..] } else { &self.text }
    }

    /// Whether it names a queue of this process.
    pub fn is_local(&self) -> bool {
        self.scheme() == LOCAL
    }

    /// The queue of a local address.
    pub fn queue(&self) -> Option<&str> {
        self.is_local().then(|| self.rest().split('/').next().unwrap_or_default())
    }

    /// The handler that a local address names, if it names one.
    pub fn handler(&self) -> Option<&str> {
        self.is_local().then(|| self.rest().split_once('/').map(|(_, handler)| handler)).flatten()
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: expected a scheme and a place, such as `local://emails`")]
pub struct AddressError {
    text: String,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("://") {
            Some((scheme, rest)) if !scheme.is_empty() && !rest.is_empty() => {
                Ok(Self { text: text.into(), scheme_len: scheme.len() })
            }
            _ => Err(AddressError { text: text.to_owned() }),
        }
    }
}
