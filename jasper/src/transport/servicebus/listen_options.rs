//! What an address says of listening alone.

use super::settings::unusable;
use crate::message::{MessageType, ParseMessageTypeError};
use crate::transport::{EndpointUri, TransportError};

/// How a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListenOptions {
    /// The most messages that a listener has and has not settled.
    pub(super) prefetch: u32,
    /// How many sessions are held at the same time; `None` where the entity has no sessions.
    pub(super) sessions: Option<u16>,
    /// What a message is that does not say its type.
    pub(super) default_type: Option<MessageType>,
    /// Whether messages are stored as dead letters and not handled.
    pub(super) is_of_dead_letters: bool,
}

const PREFETCH: u32 = 500;
const MOST_PREFETCH: u32 = 5_000;
const MOST_SESSIONS: u16 = 256;
pub(super) const NAMES: &str = "`prefetch`, `sessions`, `type`";

impl Default for ListenOptions {
    fn default() -> Self {
        Self { prefetch: PREFETCH, sessions: None, default_type: None, is_of_dead_letters: false }
    }
}

impl ListenOptions {
    /// Takes them out of an address.
    pub(super) fn take(uri: &mut EndpointUri) -> Result<Self, TransportError> {
        let prefetch = number(uri, "prefetch", MOST_PREFETCH)?.unwrap_or(PREFETCH);
        let sessions = number(uri, "sessions", MOST_SESSIONS.into())?;
        let sessions = sessions.and_then(|count| u16::try_from(count).ok());
        let default_type = uri.take("type").map(|text| text.parse()).transpose();
        let default_type = default_type
            .map_err(|error: ParseMessageTypeError| unusable(uri, format!("`type`: {error}")))?;
        Ok(Self { prefetch, sessions, default_type, is_of_dead_letters: false })
    }
}

fn number(uri: &mut EndpointUri, name: &str, most: u32) -> Result<Option<u32>, TransportError> {
    let Some(text) = uri.take(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
        _ => Err(unusable(uri, format!("`{name}={text}`: write 1 to {most}"))),
    }
}
