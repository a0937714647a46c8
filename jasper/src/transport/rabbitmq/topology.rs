//! Queues, exchanges and bindings as an application declares them.

use std::collections::BTreeMap;

use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

/// A queue as this application declares it. It outlives a restart of the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub(super) name: String,
    pub(super) arguments: BTreeMap<String, Argument>,
    pub(super) dead_letters: Option<DeadLettersTo>,
}

/// Where a queue puts what it gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadLettersTo {
    /// Empty: the key is the name of a queue.
    pub(super) exchange: String,
    pub(super) key: String,
}

/// The value of an argument of a queue or an exchange.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Argument {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Argument {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

const TYPE: &str = "x-queue-type";

impl Queue {
    /// A quorum queue: it is replicated where the broker has several nodes, and nothing that was
    /// confirmed is lost with one of them.
    pub fn quorum(name: impl Into<String>) -> Self {
        Self::of_type(name, "quorum")
    }

    /// A classic queue: on one node of the broker.
    pub fn classic(name: impl Into<String>) -> Self {
        Self::of_type(name, "classic")
    }

    /// A stream: what is in it stays, and each listener reads all of it from where it says.
    pub fn stream(name: impl Into<String>) -> Self {
        Self::of_type(name, "stream")
    }

    /// Whether it is a stream.
    pub(super) fn is_stream(&self) -> bool {
        self.arguments.get(TYPE) == Some(&Argument::from("stream"))
    }

    fn of_type(name: impl Into<String>, kind: &str) -> Self {
        let queue = Self { name: name.into(), arguments: BTreeMap::new(), dead_letters: None };
        queue.argument(TYPE, kind)
    }

    /// With an argument, such as `x-max-length`.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// Where messages go that this queue gives up: those that a consumer rejects, that are too old,
    /// or that were delivered too often. With an empty exchange the key is the name of a queue.
    ///
    /// The exchange or the queue is declared with this queue, and what the builder binds to the
    /// exchange too. A quorum queue gives nothing up before it has arrived there; when it is full
    /// it takes nothing more, unless its argument `x-overflow` says otherwise.
    #[must_use]
    pub fn dead_letters_to(self, exchange: &str, routing_key: &str) -> Self {
        let (exchange, key) = (exchange.to_owned(), routing_key.to_owned());
        Self { dead_letters: Some(DeadLettersTo { exchange, key }), ..self }
    }

    /// With the arguments that say where its dead letters go. Names are those at the broker by now.
    pub(super) fn with_arguments_of_dead_letters(mut self) -> Self {
        let Some(DeadLettersTo { exchange, key }) = self.dead_letters.clone() else {
            return self;
        };
        let is_quorum = self.arguments.get(TYPE) == Some(&Argument::from("quorum"));
        if is_quorum {
            let reject = Argument::from("reject-publish");
            let overflow = self.arguments.entry("x-overflow".to_owned()).or_insert(reject.clone());
            // The broker does it for no other queue.
            if *overflow == reject {
                self = self.argument("x-dead-letter-strategy", "at-least-once");
            }
        }
        self.argument("x-dead-letter-exchange", &*exchange)
            .argument("x-dead-letter-routing-key", &*key)
    }
}

/// An exchange as this application declares it. It outlives a restart of the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    pub(super) name: String,
    pub(super) kind: ExchangeKind,
    pub(super) arguments: BTreeMap<String, Argument>,
}

impl Exchange {
    /// An exchange that compares routing keys with patterns.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::of_kind(name, ExchangeKind::Topic)
    }

    /// An exchange that compares routing keys with names.
    pub fn direct(name: impl Into<String>) -> Self {
        Self::of_kind(name, ExchangeKind::Direct)
    }

    /// An exchange that sends everything to every queue that is bound to it.
    pub fn fanout(name: impl Into<String>) -> Self {
        Self::of_kind(name, ExchangeKind::Fanout)
    }

    /// An exchange that compares headers.
    pub fn headers(name: impl Into<String>) -> Self {
        Self::of_kind(name, ExchangeKind::Headers)
    }

    fn of_kind(name: impl Into<String>, kind: ExchangeKind) -> Self {
        Self { name: name.into(), kind, arguments: BTreeMap::new() }
    }

    /// With an argument, such as `alternate-exchange`.
    #[must_use]
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    pub(super) fn of_kind_named(name: &str, kind: &str) -> Option<Self> {
        match kind {
            "topic" => Some(Self::topic(name)),
            "direct" => Some(Self::direct(name)),
            "fanout" => Some(Self::fanout(name)),
            "headers" => Some(Self::headers(name)),
            _ => None,
        }
    }
}

/// Messages with such a routing key go on from an exchange to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) queue: String,
}

/// All that one endpoint needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Topology {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<Queue>,
    pub(super) bindings: Vec<Binding>,
}

/// Arguments as the protocol has them.
pub(super) fn table(arguments: &BTreeMap<String, Argument>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        table.insert(name.as_str().into(), value);
    }
    table
}
