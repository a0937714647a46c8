//! Where messages go and come from by their types alone.

/// A place that a transport names by its conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConventionalPlace<'a> {
    /// Where commands of these names are sent.
    Commands {
        /// The names of the messages, without their versions.
        names: &'a [&'a str],
    },
    /// Where a command of this name is listened for.
    Command {
        /// The name of the message.
        name: &'a str,
    },
    /// Where an event of this name is published.
    Event {
        /// The name of the message.
        name: &'a str,
    },
    /// Where an event of this name is listened for by all processes of a service together.
    Subscription {
        /// The name of the message.
        name: &'a str,
        /// The service.
        service: &'a str,
    },
}
