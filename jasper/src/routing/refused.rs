//! What no message is: by these traits the compiler says what a message of the wrong kind is.

/// Implemented by no event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an event, and events are published, not sent",
    label = "an event has any number of handlers",
    note = "use `bus.publish(…)`, or derive `Command` if exactly one handler acts on it"
)]
pub trait IsSent {}

/// Implemented by no command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a command, and commands are sent, not published",
    label = "a command has exactly one handler",
    note = "use `bus.send(…)`, or derive `Event` if any number of handlers may react"
)]
pub trait IsPublished {}
