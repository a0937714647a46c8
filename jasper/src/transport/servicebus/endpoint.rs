//! What an address of this transport says.

use super::failure::Fault;
use super::listen_options::{self, ListenOptions};
use super::settings::{Settings, unusable};
use super::topology::{Property, SESSIONS, Topology};
use crate::transport::declare::Declare;
use crate::transport::{ConventionalPlace, EndpointUri, TransportError};

/// What an address of this transport says, with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceBusEndpoint {
    /// The name of the namespace; empty for the usual one.
    pub(super) broker: String,
    pub(super) entity: Entity,
    pub(super) listening: ListenOptions,
    /// What reads and writes the messages.
    pub(super) mapper: Option<String>,
    pub(super) declare: Declare,
    /// What it needs at the broker.
    pub(super) topology: Topology,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entity {
    Queue(String),
    Topic(String),
    Subscription { topic: String, name: String },
}

const FORMS: &str = "write `asb://queue/NAME` or `asb://topic/NAME` to send, or \
                     `asb://queue/NAME`, `asb://topic/NAME/subscription/NAME` or \
                     `asb://dead-letters/queue/NAME` to listen";
/// Of the service; a path of a queue or a topic has 260 characters, a subscription 50.
const MOST: usize = 260;

impl ServiceBusEndpoint {
    /// Where messages are sent.
    pub(super) fn to_send(uri: &EndpointUri, settings: &Settings) -> Result<Self, TransportError> {
        let why = match parts(uri)?.as_slice() {
            ["queue", name] => {
                return finish(uri, Entity::Queue(decoded(uri, name)?), settings, None);
            }
            ["topic", name] => {
                return finish(uri, Entity::Topic(decoded(uri, name)?), settings, None);
            }
            ["topic", _, "subscription", _] => {
                "a subscription is to listen at: send to `asb://topic/NAME`"
            }
            ["dead-letters", ..] => "dead letters are to listen at: send to `asb://queue/NAME`",
            _ => FORMS,
        };
        Err(unusable(uri, why))
    }

    /// Where messages come from.
    pub(super) fn to_listen(
        uri: &EndpointUri,
        settings: &Settings,
    ) -> Result<Self, TransportError> {
        let parts = parts(uri)?;
        let (parts, is_of_dead_letters) = match parts.as_slice() {
            ["dead-letters", rest @ ..] => (rest, true),
            parts => (parts, false),
        };
        let entity = match parts {
            ["queue", name] => Entity::Queue(decoded(uri, name)?),
            ["topic", topic, "subscription", name] => {
                Entity::Subscription { topic: decoded(uri, topic)?, name: decoded(uri, name)? }
            }
            ["topic", _] => {
                let why = "a topic is to send to: listen at `asb://topic/NAME/subscription/NAME`";
                return Err(unusable(uri, why));
            }
            _ => return Err(unusable(uri, FORMS)),
        };
        finish(uri, entity, settings, Some(is_of_dead_letters))
    }

    /// Where a listener receives, as the broker calls it.
    pub(super) fn path(&self) -> String {
        let path = self.entity.path();
        if self.listening.is_of_dead_letters { format!("{path}/$DeadLetterQueue") } else { path }
    }

    /// Why a link to or from it was not attached, or has ended.
    pub(super) fn refused(&self, address: &str, fault: Fault) -> TransportError {
        let what = format!("the {} `{}`", self.entity.kind(), self.entity.path());
        let why = match &fault {
            Fault::Refused(refusal) if refusal.is_not_found() => {
                format!("{what} is not there; make it in the namespace ({refusal})")
            }
            Fault::Refused(refusal) if refusal.is_not_allowed() => {
                let here = if self.listening.sessions.is_some() {
                    "with sessions here, and has none at the broker: leave `sessions` out"
                } else {
                    "without sessions here, and with sessions at the broker: write `sessions=8`"
                };
                format!("{what} is listened to {here} ({refusal})")
            }
            _ => return fault.not_sent(address),
        };
        TransportError::Mismatch { address: address.to_owned(), why }
    }
}

impl Entity {
    /// As the broker calls it.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Queue(name) | Self::Topic(name) => name.clone(),
            Self::Subscription { topic, name } => format!("{topic}/Subscriptions/{name}"),
        }
    }

    /// With names as they are at the broker.
    fn at_broker(self, uri: &EndpointUri, settings: &Settings) -> Result<Self, TransportError> {
        let named = |name: &str| named(uri, settings.with_prefix(name));
        Ok(match self {
            Self::Queue(name) => Self::Queue(named(&name)?),
            Self::Topic(name) => Self::Topic(named(&name)?),
            Self::Subscription { topic, name } => {
                Self::Subscription { topic: named(&topic)?, name }
            }
        })
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Topic(_) => "topic",
            Self::Subscription { .. } => "subscription",
        }
    }
}

/// Takes the options; `listens` says whether it is to listen, and whether to dead letters.
fn finish(
    uri: &EndpointUri,
    entity: Entity,
    settings: &Settings,
    listens: Option<bool>,
) -> Result<ServiceBusEndpoint, TransportError> {
    let mut uri = uri.clone();
    let broker = uri.take("broker").unwrap_or_default();
    let mapper = uri.take("mapper");
    let declare = declare(&mut uri, settings)?;
    if let Some(name) = mapper.as_ref().filter(|name| !settings.mappers.contains_key(*name)) {
        let why = format!(
            "`mapper={name}`: the transport's builder has no mapper of this name; add \
             `.mapper(\"{name}\", …)`"
        );
        return Err(unusable(&uri, why));
    }
    let listening = match listens {
        Some(is_of_dead_letters) => {
            let options = ListenOptions::take(&mut uri)?;
            if is_of_dead_letters && options.sessions.is_some() {
                return Err(unusable(&uri, "`sessions`: dead letters have no sessions"));
            }
            ListenOptions { is_of_dead_letters, ..options }
        }
        None => ListenOptions::default(),
    };
    if let Some(unknown) = uri.options.keys().next() {
        let more = match listens {
            Some(_) => format!(", {}", listen_options::NAMES),
            None => String::new(),
        };
        let why = format!(
            "the Service Bus transport has no option `{unknown}` here: it has `broker`, \
             `declare`, `mapper`{more}"
        );
        return Err(unusable(&uri, why));
    }
    let sessions = listens.map(|_| listening.sessions.is_some());
    let topology = topology(&entity, settings, sessions.filter(|_| !listening.is_of_dead_letters));
    let entity = entity.at_broker(&uri, settings)?;
    Ok(ServiceBusEndpoint { broker, entity, listening, mapper, declare, topology })
}

fn declare(uri: &mut EndpointUri, settings: &Settings) -> Result<Declare, TransportError> {
    let Some(name) = uri.take("declare") else {
        return Ok(settings.declare);
    };
    Declare::from_name(&name).ok_or_else(|| {
        let why = format!("`declare={name}`: write `provision`, `check` or `never`");
        unusable(uri, why)
    })
}

/// What an endpoint needs; `sessions` says whether its entity has some, where the endpoint says it.
fn topology(entity: &Entity, settings: &Settings, sessions: Option<bool>) -> Topology {
    let mut topology = Topology::default();
    let sessions = sessions.map(Property::Flag);
    match entity {
        Entity::Queue(name) => {
            let mut queue = settings.queue(name);
            if let Some(sessions) = sessions {
                queue = queue.with(SESSIONS, sessions);
            }
            topology.queues.push(queue);
        }
        Entity::Topic(name) => topology.topics.push(settings.topic(name)),
        Entity::Subscription { topic, name } => {
            topology.topics.push(settings.topic(topic));
            let mut subscription = settings.subscription(topic, name);
            if let Some(sessions) = sessions {
                subscription = subscription.with(SESSIONS, sessions);
            }
            topology.subscriptions.push(subscription);
        }
    }
    if let Some(replies) = &settings.reply_queue {
        let queue = settings.queue(replies).requires_session();
        topology.queues.retain(|other| other.name != queue.name);
        topology.queues.push(queue);
    }
    topology
}

/// The place of each of these messages, where an address names several: `asb://queues/a,b`.
pub(super) fn several(uri: &EndpointUri) -> Option<Vec<(String, EndpointUri)>> {
    let names = uri.address.rest().strip_prefix("queues/")?;
    let one = |name: &str| {
        let address = format!("asb://queue/{name}").parse().ok()?;
        Some((name.to_owned(), EndpointUri { address, options: uri.options.clone() }))
    };
    names.split(',').map(one).collect()
}

/// The address of a place by the conventions of this transport.
pub(super) fn conventional(place: &ConventionalPlace<'_>) -> Option<String> {
    Some(match place {
        ConventionalPlace::Commands { names } => format!("asb://queues/{}", names.join(",")),
        ConventionalPlace::Command { name } => format!("asb://queue/{name}"),
        ConventionalPlace::Event { name } => format!("asb://topic/{name}"),
        ConventionalPlace::Subscription { name, service } => {
            format!("asb://topic/{name}/subscription/{service}")
        }
    })
}

/// What kind of place it is, and what follows.
fn parts(uri: &EndpointUri) -> Result<Vec<&str>, TransportError> {
    let parts: Vec<&str> = uri.address.rest().split('/').collect();
    if parts.iter().any(|part| part.is_empty()) { Err(unusable(uri, FORMS)) } else { Ok(parts) }
}

/// A name with `%2F` and the like in it.
fn decoded(uri: &EndpointUri, text: &str) -> Result<String, TransportError> {
    let is_digit =
        |at: usize, after: &str| after.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if text.split('%').skip(1).any(|after| !is_digit(0, after) || !is_digit(1, after)) {
        return Err(unusable(uri, "write a `%` in a name as `%25`"));
    }
    let name = percent_encoding::percent_decode_str(text).decode_utf8();
    let name = name.map_err(|_error| unusable(uri, "a name in it is not UTF-8"))?;
    named(uri, name.into_owned())
}

/// A name that the service takes.
fn named(uri: &EndpointUri, name: String) -> Result<String, TransportError> {
    if name.contains('$') || name.chars().count() > MOST {
        let why = format!("`{name}`: a name has 1 to {MOST} characters, and no `$`");
        return Err(unusable(uri, why));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::topology::Queue;
    use super::*;

    fn to_send(text: &str) -> Result<ServiceBusEndpoint, TransportError> {
        ServiceBusEndpoint::to_send(&text.parse().unwrap(), &Settings::default())
    }

    fn to_listen(text: &str) -> Result<ServiceBusEndpoint, TransportError> {
        ServiceBusEndpoint::to_listen(&text.parse().unwrap(), &Settings::default())
    }

    #[test]
    fn an_address_says_where() {
        let queue = to_send("asb://queue/eu%2Forders?broker=billing").unwrap();
        assert_eq!((queue.path().as_str(), queue.broker.as_str()), ("eu/orders", "billing"));
        assert_eq!(to_send("asb://topic/news").unwrap().entity, Entity::Topic("news".into()));
        let listener = to_listen("asb://topic/news/subscription/mine?prefetch=7");
        let listener = listener.unwrap();
        assert_eq!(listener.path(), "news/Subscriptions/mine");
        assert_eq!(listener.listening.prefetch, 7);
        let dead = to_listen("asb://dead-letters/queue/orders?type=a.b@2").unwrap();
        assert_eq!(dead.path(), "orders/$DeadLetterQueue");
    }

    #[test]
    fn a_prefix_stands_before_names_of_queues_and_topics() {
        let known = Queue::new("orders").max_delivery_count(7);
        let settings = Settings {
            prefix: "staging.".into(),
            queues: [("orders".into(), known)].into(),
            reply_queue: Some("replies".into()),
            ..Settings::default()
        };
        let queue = ServiceBusEndpoint::to_send(&"asb://queue/orders".parse().unwrap(), &settings);
        let queue = queue.unwrap();
        assert_eq!(queue.path(), "staging.orders");
        let names = queue.topology.queues.iter().map(|queue| queue.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["staging.orders", "staging.replies"]);
        assert_eq!(queue.topology.queues[0].properties.len(), 1, "it is the known one");
        let news = "asb://topic/news/subscription/mine".parse().unwrap();
        let news = ServiceBusEndpoint::to_listen(&news, &settings).unwrap();
        assert_eq!(news.path(), "staging.news/Subscriptions/mine");
        let subscription = &news.topology.subscriptions[0];
        assert_eq!((&*subscription.topic, &*subscription.name), ("staging.news", "mine"));
        let long = Settings { prefix: "x".repeat(255), ..Settings::default() };
        let long = ServiceBusEndpoint::to_send(&"asb://queue/orders".parse().unwrap(), &long);
        assert!(long.unwrap_err().to_string().contains("1 to 260 characters"));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_with_what_to_write() {
        for (text, expected) in [
            ("asb://orders", "asb://queue/NAME"),
            ("asb://queue/", "asb://queue/NAME"),
            ("asb://queue/a/b", "asb://queue/NAME"),
            ("asb://topic/news/subscription/mine", "send to `asb://topic/NAME`"),
            ("asb://dead-letters/queue/a", "send to `asb://queue/NAME`"),
            ("asb://queue/a?prefetch=3", "no option `prefetch`"),
            ("asb://queue/a%zz", "`%25`"),
            ("asb://queue/a%FF", "not UTF-8"),
            ("asb://queue/$cbs", "no `$`"),
        ] {
            let error = to_send(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (text, expected) in [
            ("asb://topic/a", "listen at `asb://topic/NAME/subscription/NAME`"),
            ("asb://queue/a?prefetch=0", "write 1 to"),
            ("asb://queue/a?sessions=many", "write 1 to 256"),
            ("asb://dead-letters/queue/a?sessions=1", "no sessions"),
            ("asb://queue/a?type=x", "not a message type"),
            ("asb://queue/a?mapper=none", "`.mapper(\"none\", …)`"),
            ("asb://queue/a?consumers=2", "no option `consumers`"),
        ] {
            let error = to_listen(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
