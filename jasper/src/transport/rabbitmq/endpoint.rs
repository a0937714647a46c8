//! What an address of this transport says.

use std::collections::BTreeMap;

use super::listen_options::{self, ListenOptions};
use super::settings::{Settings, unusable};
use super::topology::{Binding, DeadLettersTo, Exchange, Queue, Topology};
use crate::transport::declare::Declare;
use crate::transport::{ConventionalPlace, EndpointUri, TransportError};

/// What an address of this transport says, with its options.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RabbitEndpoint {
    /// The name of the broker; empty for the usual one.
    pub(super) broker: String,
    pub(super) declare: Declare,
    pub(super) entity: Entity,
    pub(super) topology: Topology,
    pub(super) listening: ListenOptions,
    /// What reads and writes the messages.
    pub(super) mapper: Option<String>,
    /// Where the queue puts what it gives up.
    pub(super) dead_letters: Option<DeadLettersTo>,
    /// Whether a message that no queue takes is refused.
    pub(super) mandatory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entity {
    Queue(String),
    /// Each message goes to the queue with the name of its type: type name to queue name.
    Queues(BTreeMap<String, String>),
    /// The name and the routing key; without a key, the name of the message's type is the key.
    Exchange(String, Option<String>),
}

const FORMS: &str = "write `rabbitmq://queue/NAME`, `rabbitmq://exchange/NAME/ROUTING_KEY` or \
                     `rabbitmq://queues/NAME,NAME` to send, \
                     or `rabbitmq://topic/EXCHANGE/PATTERN` or `rabbitmq://dead-letters/NAME` to \
                     listen";

impl RabbitEndpoint {
    /// Where messages are sent.
    pub(super) fn to_send(uri: &EndpointUri, settings: &Settings) -> Result<Self, TransportError> {
        let mut options = Options { uri: uri.clone(), settings };
        let (place, topology) = match parts(uri)? {
            ("queue", name) => options.queue(&decoded(uri, name)?)?,
            ("queues", names) => options.queues(names)?,
            ("exchange", rest) => options.exchange(rest)?,
            ("dead-letters", _) => {
                let why = "dead letters are to listen at: send to `rabbitmq://queue/NAME`";
                return Err(unusable(uri, why));
            }
            ("topic", _) => {
                let why = "a topic is to listen at: send to `rabbitmq://exchange/NAME`";
                return Err(unusable(uri, why));
            }
            _ => return Err(unusable(uri, FORMS)),
        };
        options.finish(place, topology, false)
    }

    /// Where messages come from.
    pub(super) fn to_listen(
        uri: &EndpointUri,
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        let mut options = Options { uri: uri.clone(), settings };
        let (place, topology) = match parts(uri)? {
            ("queue" | "dead-letters", name) => options.queue(&decoded(uri, name)?)?,
            ("topic", rest) => options.topic(rest)?,
            ("exchange", _) => {
                let why = "an exchange is to send to: listen at `rabbitmq://queue/NAME`, or at \
                           `rabbitmq://topic/EXCHANGE/PATTERN`";
                return Err(unusable(uri, why));
            }
            _ => return Err(unusable(uri, FORMS)),
        };
        options.finish(place, topology, true)
    }

    /// The queue of a listener.
    pub(super) fn queue_name(&self) -> &str {
        match &self.entity {
            Entity::Queue(name) | Entity::Exchange(name, _) => name,
            Entity::Queues(_) => "",
        }
    }

    /// The queue to which messages of this name go, if they go to one.
    pub(super) fn queue_of(&self, message: &str) -> Option<&str> {
        match &self.entity {
            Entity::Queue(name) => Some(name),
            Entity::Queues(queues) => queues.get(message).map(String::as_str),
            Entity::Exchange(..) => None,
        }
    }
}

/// The options of an address, which are taken out one by one.
struct Options<'a> {
    uri: EndpointUri,
    settings: &'a Settings,
}

impl Options<'_> {
    fn queue(&mut self, name: &str) -> Result<(Entity, Topology), TransportError> {
        let queue = self.queue_named(name)?;
        let queue_name = queue.name.clone();
        let bindings: Vec<_> = self
            .settings
            .bindings
            .iter()
            .filter(|binding| binding.queue == name)
            .map(|binding| self.settings.prefixed(binding))
            .collect();
        let exchanges =
            bindings.iter().map(|binding| self.settings.exchange(&binding.exchange)).collect();
        Ok((Entity::Queue(queue_name), Topology { exchanges, queues: vec![queue], bindings }))
    }

    /// The queue of each of these messages.
    fn queues(&mut self, names: &str) -> Result<(Entity, Topology), TransportError> {
        let (mut places, mut topology) = (BTreeMap::new(), Topology::default());
        for name in names.split(',') {
            let name = decoded(&self.uri, name)?;
            let (place, more) = self.queue(&name)?;
            if let Entity::Queue(queue) = place {
                places.insert(name, queue);
            }
            topology.exchanges.extend(more.exchanges);
            topology.queues.extend(more.queues);
            topology.bindings.extend(more.bindings);
        }
        Ok((Entity::Queues(places), topology))
    }

    /// As the builder has it, or as the option says.
    fn queue_named(&mut self, name: &str) -> Result<Queue, TransportError> {
        let said = self.uri.take("queue");
        let known = self.settings.known_queue(name);
        let queue = match (said.as_deref(), known) {
            (Some("stream"), None) => Queue::stream(name),
            (Some(_), Some(_)) => {
                let why = "`queue`: the transport's builder has this queue already";
                return Err(unusable(&self.uri, why));
            }
            (None, Some(known)) => return Ok(known),
            (None | Some("quorum"), None) => Queue::quorum(name),
            (Some("classic"), None) => Queue::classic(name),
            (Some(other), None) => {
                let why = format!("`queue={other}`: write `quorum`, `classic` or `stream`");
                return Err(unusable(&self.uri, why));
            }
        };
        Ok(self.settings.at_broker(queue))
    }

    fn exchange(&mut self, rest: &str) -> Result<(Entity, Topology), TransportError> {
        let (name, key) = rest.split_once('/').map_or((rest, None), |(n, key)| (n, Some(key)));
        let exchange = self.exchange_named(&decoded(&self.uri, name)?)?;
        let key = key.map(|key| decoded(&self.uri, key)).transpose()?;
        let place = Entity::Exchange(exchange.name.clone(), key);
        Ok((place, Topology { exchanges: vec![exchange], ..Topology::default() }))
    }

    fn exchange_named(&mut self, name: &str) -> Result<Exchange, TransportError> {
        let said = self.uri.take("exchange");
        let prefixed = self.settings.with_prefix(name);
        let Some(said) = said else {
            return Ok(self.settings.exchange(&prefixed));
        };
        Exchange::of_kind_named(&prefixed, &said).ok_or_else(|| {
            let why = format!("`exchange={said}`: write `topic`, `direct`, `fanout` or `headers`");
            unusable(&self.uri, why)
        })
    }

    fn topic(&mut self, rest: &str) -> Result<(Entity, Topology), TransportError> {
        let Some((exchange, pattern)) = rest.split_once('/') else {
            return Err(unusable(&self.uri, "the pattern is missing: write `…/EXCHANGE/PATTERN`"));
        };
        let exchange = decoded(&self.uri, exchange)?;
        let key = decoded(&self.uri, pattern)?;
        let service = &self.settings.service();
        let name = self.uri.take("name").unwrap_or_else(|| format!("{service}.{exchange}.{key}"));
        let queue = self.queue_named(&name)?;
        let exchange = self.exchange_named(&exchange)?;
        let place = Entity::Queue(queue.name.clone());
        let binding = Binding { exchange: exchange.name.clone(), key, queue: queue.name.clone() };
        let topology =
            Topology { exchanges: vec![exchange], queues: vec![queue], bindings: vec![binding] };
        Ok((place, topology))
    }

    fn finish(
        mut self,
        place: Entity,
        topology: Topology,
        listens: bool,
    ) -> Result<RabbitEndpoint, TransportError> {
        let declare = match self.uri.take("declare") {
            None => self.settings.declare,
            Some(name) => Declare::from_name(&name).ok_or_else(|| {
                let why = format!("`declare={name}`: write `provision`, `check` or `never`");
                unusable(&self.uri, why)
            })?,
        };
        let broker = self.uri.take("broker").unwrap_or_default();
        let mapper = self.mapper()?;
        let mandatory = self.mandatory(&place, listens)?;
        let is_stream = topology.queues.first().is_some_and(Queue::is_stream);
        let is_of_dead_letters = listens && parts(&self.uri)?.0 == "dead-letters";
        let listening = if listens {
            let options = ListenOptions::take(&mut self.uri, is_stream)?;
            ListenOptions { is_of_dead_letters, ..options }
        } else {
            ListenOptions::default()
        };
        self.nothing_else(listens)?;
        let dead_letters = topology.queues.first().and_then(|queue| queue.dead_letters.clone());
        let topology = self.settings.with_dead_letters(topology);
        Ok(RabbitEndpoint {
            broker,
            declare,
            entity: place,
            topology,
            listening,
            mapper,
            dead_letters,
            mandatory,
        })
    }

    /// The name of the mapper, which the builder has.
    fn mapper(&mut self) -> Result<Option<String>, TransportError> {
        let name = self.uri.take("mapper");
        match &name {
            Some(name) if !self.settings.mappers.contains_key(name) => {
                let why = format!(
                    "`mapper={name}`: the transport's builder has no mapper of this name; add \
                     `.mapper(\"{name}\", …)`"
                );
                Err(unusable(&self.uri, why))
            }
            _ => Ok(name),
        }
    }

    /// Whether a message that no queue takes is refused, as it is unless the address of an exchange
    /// says otherwise.
    fn mandatory(&mut self, place: &Entity, listens: bool) -> Result<bool, TransportError> {
        if listens || !matches!(place, Entity::Exchange(..)) {
            return Ok(true);
        }
        match self.uri.take("mandatory").as_deref() {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => {
                let why = format!("`mandatory={other}`: write `true` or `false`");
                Err(unusable(&self.uri, why))
            }
        }
    }

    fn nothing_else(&self, listens: bool) -> Result<(), TransportError> {
        let Some(unknown) = self.uri.options.keys().next() else {
            return Ok(());
        };
        let more = if listens { listen_options::NAMES } else { "`mandatory` of an exchange" };
        let why = format!(
            "the RabbitMQ transport has no option `{unknown}` here: it has `broker`, `declare`, \
             `exchange`, `mapper`, `queue`, {more}"
        );
        Err(unusable(&self.uri, why))
    }
}

/// The address of a place that is called by the messages which go there.
pub(super) fn conventional(place: &ConventionalPlace<'_>) -> String {
    match place {
        ConventionalPlace::Commands { names } => format!("rabbitmq://queues/{}", names.join(",")),
        ConventionalPlace::Command { name } => format!("rabbitmq://queue/{name}"),
        // That nothing listens for an event is no mistake.
        ConventionalPlace::Event { name } => {
            format!("rabbitmq://exchange/{name}?exchange=fanout&mandatory=false")
        }
        // The queue of a topic is called by the service, too.
        ConventionalPlace::Subscription { name, .. } => {
            format!("rabbitmq://topic/{name}/#?exchange=fanout")
        }
    }
}

/// What kind of place it is, and what follows.
fn parts(uri: &EndpointUri) -> Result<(&str, &str), TransportError> {
    match uri.address.rest().split_once('/') {
        Some((kind, rest)) if !rest.is_empty() => Ok((kind, rest)),
        _ => Err(unusable(uri, FORMS)),
    }
}

/// A name with `%2F` and the like in it; no longer than the protocol takes.
fn decoded(uri: &EndpointUri, text: &str) -> Result<String, TransportError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        let digits = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            (b'%', None) => return Err(unusable(uri, "write a `%` in a name as `%25`")),
            (byte, _) => bytes.push(byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(name) if (1..=200).contains(&name.len()) => Ok(name),
        Ok(name) => Err(unusable(uri, format!("`{name}`: a name has 1 to 200 bytes"))),
        Err(_error) => Err(unusable(uri, "a name in it is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_send(text: &str) -> Result<RabbitEndpoint, TransportError> {
        RabbitEndpoint::to_send(&text.parse().unwrap(), &Settings::default())
    }

    fn to_listen(text: &str) -> Result<RabbitEndpoint, TransportError> {
        RabbitEndpoint::to_listen(&text.parse().unwrap(), &Settings::default())
    }

    #[test]
    fn an_address_says_where_and_what_is_declared() {
        let queue = to_send("rabbitmq://queue/orders").unwrap();
        assert_eq!(queue.entity, Entity::Queue("orders".into()));
        assert_eq!(queue.topology.queues, [Queue::quorum("orders")]);
        let exchange = to_send("rabbitmq://exchange/events/a.b?exchange=direct").unwrap();
        assert_eq!(exchange.entity, Entity::Exchange("events".into(), Some("a.b".into())));
        assert_eq!(exchange.topology.exchanges, [Exchange::direct("events")]);
        let topic = to_listen("rabbitmq://topic/events/orders.#?name=a%2Fb&type=a.b@2&prefetch=7");
        let topic = topic.unwrap();
        assert_eq!((topic.queue_name(), topic.listening.prefetch), ("a%2Fb", 7));
        assert_eq!(topic.topology.bindings[0].key, "orders.#");
        assert_eq!(to_send("rabbitmq://queue/a%2Fb%3F").unwrap().queue_name(), "a/b?");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_with_what_to_write() {
        let wrong = [
            ("rabbitmq://orders", "rabbitmq://queue/NAME"),
            ("rabbitmq://queue/", "rabbitmq://queue/NAME"),
            ("rabbitmq://topic/events/a", "send to `rabbitmq://exchange"),
            ("rabbitmq://queue/a?prefetch=3", "no option `prefetch`"),
            ("rabbitmq://queue/a?queue=fast", "`quorum`, `classic` or `stream`"),
            ("rabbitmq://queue/a?declare=maybe", "`provision`, `check` or `never`"),
            ("rabbitmq://exchange/a?exchange=round", "`topic`, `direct`"),
            ("rabbitmq://exchange/a?mandatory=no", "`true` or `false`"),
            ("rabbitmq://queue/a?mandatory=false", "no option `mandatory`"),
            ("rabbitmq://queues/a,", "1 to 200 bytes"),
            ("rabbitmq://queue/a%zz", "`%25`"),
        ];
        for (text, expected) in wrong {
            let error = to_send(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (text, expected) in [
            ("rabbitmq://exchange/a", "listen at `rabbitmq://queue/NAME`"),
            ("rabbitmq://topic/a", "pattern is missing"),
            ("rabbitmq://queue/a?prefetch=0", "write 1 to"),
            ("rabbitmq://queue/a?type=x", "not a message type"),
            ("rabbitmq://queue/a?consumers=0", "write 1 to 64"),
            ("rabbitmq://queue/a?mapper=none", "`.mapper(\"none\", …)`"),
            ("rabbitmq://queue/a?offset=first", "`queue=stream` too"),
            ("rabbitmq://queue/a?queue=stream", "write `offset=first`"),
            ("rabbitmq://queue/a?queue=stream&offset=-1", "`next` or a number"),
            ("rabbitmq://queue/a?queue=stream&offset=7&consumers=2", "one only"),
        ] {
            let error = to_listen(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
