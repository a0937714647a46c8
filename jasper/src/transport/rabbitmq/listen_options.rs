//! What an address says of listening alone.

use std::str::FromStr;

use lapin::types::AMQPValue;

use super::settings::unusable;
use crate::message::{MessageType, ParseMessageTypeError};
use crate::transport::{EndpointUri, TransportError};

/// How a listener listens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListenOptions {
    /// The most messages that a consumer has and has not acknowledged.
    pub(super) prefetch: u16,
    /// How many consumers there are, each with a channel.
    pub(super) consumers: u16,
    /// What a message is that does not say its type.
    pub(super) default_type: Option<MessageType>,
    /// Where a stream is read from at first.
    pub(super) offset: Option<Offset>,
    /// Whether messages are stored as dead letters and not handled.
    pub(super) is_of_dead_letters: bool,
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offset {
    First,
    /// The last portion of it that the broker keeps together.
    Last,
    /// What is sent from now on.
    Next,
    At(i64),
}

const PREFETCH: u16 = 1_000;
const MOST_CONSUMERS: u16 = 64;
pub(super) const NAMES: &str =
    "`consumers`, `name` of a topic's queue, `offset` of a stream, `prefetch`, `type`";

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            prefetch: PREFETCH,
            consumers: 1,
            default_type: None,
            offset: None,
            is_of_dead_letters: false,
        }
    }
}

impl ListenOptions {
    /// Takes them out of an address.
    pub(super) fn take(uri: &mut EndpointUri, is_stream: bool) -> Result<Self, TransportError> {
        let options = Self {
            prefetch: number(uri, "prefetch", u16::MAX)?.unwrap_or(PREFETCH),
            consumers: number(uri, "consumers", MOST_CONSUMERS)?.unwrap_or(1),
            default_type: default_type(uri)?,
            offset: offset(uri)?,
            is_of_dead_letters: false,
        };
        let why = match (is_stream, options.offset, options.consumers) {
            (false, Some(_), _) => "`offset` is for a stream: write `queue=stream` too",
            (true, None, _) => {
                "a stream does not keep where its listener was: write `offset=first`, `last`, \
                 `next` or a number"
            }
            (true, Some(_), 2..) => {
                "`consumers`: each consumer of a stream reads all of it, so there can be one only"
            }
            _ => return Ok(options),
        };
        Err(unusable(uri, why))
    }
}

fn number(uri: &mut EndpointUri, name: &str, most: u16) -> Result<Option<u16>, TransportError> {
    let Some(text) = uri.take(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
        _ => Err(unusable(uri, format!("`{name}={text}`: write 1 to {most}"))),
    }
}

fn default_type(uri: &mut EndpointUri) -> Result<Option<MessageType>, TransportError> {
    let read = uri.take("type").map(|text| text.parse()).transpose();
    read.map_err(|error: ParseMessageTypeError| unusable(uri, format!("`type`: {error}")))
}

fn offset(uri: &mut EndpointUri) -> Result<Option<Offset>, TransportError> {
    let Some(text) = uri.take("offset") else {
        return Ok(None);
    };
    let read = text.parse().map_err(|()| {
        unusable(uri, format!("`offset={text}`: write `first`, `last`, `next` or a number"))
    });
    read.map(Some)
}

impl FromStr for Offset {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "first" => Ok(Self::First),
            "last" => Ok(Self::Last),
            "next" => Ok(Self::Next),
            number => match number.parse() {
                Ok(number @ 0..) => Ok(Self::At(number)),
                _ => Err(()),
            },
        }
    }
}

impl Offset {
    /// As the broker is asked for it.
    pub(super) fn argument(self) -> AMQPValue {
        match self {
            Self::First => AMQPValue::LongString("first".into()),
            Self::Last => AMQPValue::LongString("last".into()),
            Self::Next => AMQPValue::LongString("next".into()),
            Self::At(number) => AMQPValue::LongLongInt(number),
        }
    }
}
