//! Conventional routing: endpoints, listeners and publications by the types of messages alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::handler::HandlerRegistration;
use crate::message::{MessageKind, MessageRegistration, MessageType};
use crate::runtime::panic_safe::PanicSafeTransport;
use crate::transport::ConventionalPlace;

/// The name of a service that has none.
pub(super) const NO_SERVICE: &str = "jasper";

/// What an application consists of, as far as it is routed.
pub(super) struct Routed<'a> {
    pub(super) service: &'a str,
    pub(super) messages: &'a [&'a MessageRegistration],
    pub(super) handlers: &'a [HandlerRegistration],
    pub(super) never_sent: &'a BTreeSet<MessageType>,
    /// Where endpoints lead that are configured.
    pub(super) endpoints: &'a BTreeMap<String, String>,
    /// To which endpoints events are published that the builder names.
    pub(super) publications: &'a [(MessageType, String)],
}

/// What conventions add to what is configured.
#[derive(Debug, Default)]
pub(super) struct Conventions {
    pub(super) endpoints: Vec<(String, String)>,
    pub(super) listeners: Vec<String>,
    pub(super) publications: Vec<(MessageType, String)>,
}

impl Conventions {
    /// By the conventions of this transport.
    ///
    /// # Errors
    /// They cannot be followed; said in words.
    pub(super) fn of(transport: &PanicSafeTransport, routed: &Routed<'_>) -> Result<Self, String> {
        if routed.service == NO_SERVICE {
            return Err("conventional routing calls queues by the service: give it a name of its \
                        own by `.service(\"…\")`, or in the configuration"
                .to_owned());
        }
        let place = |place: ConventionalPlace<'_>| {
            let address = transport.convention(&place);
            address.map_err(|why| format!("conventional routing: {why}"))
        };
        let mut conventions = Self::default();
        for (endpoint, names) in routed.commands_elsewhere() {
            let address = place(ConventionalPlace::Commands { names: &names })?;
            conventions.endpoints.push((endpoint.to_owned(), address));
        }
        for message in routed.messages {
            let name = message.message_type.name();
            let is_published = || routed.is_published(message);
            match (message.kind, routed.is_handled(message)) {
                (MessageKind::Routed, true) => {
                    conventions.listeners.push(place(ConventionalPlace::Command { name })?);
                }
                (MessageKind::Event, true) if !is_published() => {
                    let service = routed.service;
                    let of_event = ConventionalPlace::Subscription { name, service };
                    conventions.listeners.push(place(of_event)?);
                }
                (MessageKind::Event, false) if routed.may_be_published(message) => {
                    let address = place(ConventionalPlace::Event { name })?;
                    let endpoint = address.split('?').next().unwrap_or(&address).to_owned();
                    let publication = (message.message_type.clone(), endpoint.clone());
                    conventions.publications.push(publication);
                    conventions.endpoints.push((endpoint, address));
                }
                _ => {}
            }
        }
        conventions.listeners.dedup();
        conventions.endpoints.dedup();
        Ok(conventions)
    }
}

impl<'a> Routed<'a> {
    fn is_handled(&self, message: &MessageRegistration) -> bool {
        self.handlers.iter().any(|handler| (handler.message_type)() == message.message_type)
    }

    fn is_published(&self, message: &MessageRegistration) -> bool {
        self.publications.iter().any(|(published, _)| *published == message.message_type)
    }

    /// An event that has to be handled here is not for others.
    fn may_be_published(&self, message: &MessageRegistration) -> bool {
        let is_sent = !self.never_sent.contains(&message.message_type);
        is_sent && !message.handled && !self.is_published(message)
    }

    /// The names of commands that others handle, by endpoints that are not configured.
    fn commands_elsewhere(&self) -> BTreeMap<&'static str, Vec<&'a str>> {
        let mut commands = BTreeMap::<_, Vec<_>>::new();
        for message in self.messages {
            let Some(to) = message.to else { continue };
            let is_configured = to.contains("://") || self.endpoints.contains_key(to);
            let is_sent = !self.never_sent.contains(&message.message_type);
            if is_sent && !is_configured && !self.is_handled(message) {
                commands.entry(to).or_default().push(message.message_type.name());
            }
        }
        // Versions of one message share their queue.
        commands.values_mut().for_each(|names| names.dedup());
        commands
    }
}
