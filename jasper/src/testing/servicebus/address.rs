//! Addresses of links: which entity, and which side of it.

const MANAGEMENT: &str = "/$management";
const DEAD_LETTERS: &str = "/$deadletterqueue";

/// A queue, a topic or a subscription, or its dead letters. Names are compared without their case,
/// so they are kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntityName {
    /// `queue`, `topic` or `topic/subscriptions/name`.
    pub(super) path: String,
    pub(super) is_dead_letters: bool,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Takes the tokens of a connection.
    Cbs,
    Management(EntityName),
    Entity(EntityName),
}

impl Node {
    /// Reads `queue`, `/queue` and `amqps://host:port/queue`, and the same with what follows a name.
    pub(super) fn parse(address: &str) -> Self {
        let path = path_of(address);
        if path == "$cbs" {
            return Self::Cbs;
        }
        match path.strip_suffix(MANAGEMENT) {
            Some(entity) => Self::Management(EntityName::parse(entity)),
            None => Self::Entity(EntityName::parse(&path)),
        }
    }

    /// The path that a token has to be for.
    pub(super) fn entity(&self) -> Option<&EntityName> {
        match self {
            Self::Cbs => None,
            Self::Management(entity) | Self::Entity(entity) => Some(entity),
        }
    }
}

impl EntityName {
    pub(super) fn parse(address: &str) -> Self {
        let path = path_of(address);
        match path.strip_suffix(DEAD_LETTERS) {
            Some(entity) => Self { path: entity.to_owned(), is_dead_letters: true },
            None => Self { path, is_dead_letters: false },
        }
    }
}

/// The path in lower case, without what stands before it.
pub(super) fn path_of(address: &str) -> String {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    rest.trim_matches('/').to_lowercase()
}

/// The path of a subscription.
pub(super) fn subscription(topic: &str, name: &str) -> String {
    format!("{topic}/subscriptions/{name}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{EntityName, Node};

    fn entity(path: &str, is_dead_letters: bool) -> EntityName {
        EntityName { path: path.to_owned(), is_dead_letters }
    }

    #[test]
    fn an_address_leads_to_the_same_entity_with_and_without_a_host() {
        let node = Node::Entity(entity("orders", false));
        for address in ["orders", "/Orders", "amqps://127.0.0.1:5672/orders", "sb://host/orders/"] {
            assert_eq!(Node::parse(address), node, "{address}");
        }
    }

    #[test]
    fn an_address_says_which_side_of_an_entity_it_means() {
        let subscription = "news/Subscriptions/mine";
        assert_eq!(
            Node::parse(&format!("{subscription}/$DeadLetterQueue/$management")),
            Node::Management(entity("news/subscriptions/mine", true)),
        );
        assert_eq!(Node::parse("orders/$deadletterqueue"), Node::Entity(entity("orders", true)),);
        assert_eq!(Node::parse("amqp://host/$cbs"), Node::Cbs);
    }
}
