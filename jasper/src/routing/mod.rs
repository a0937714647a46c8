//! Compile-time routing: the traits by which the compiler proves that every message has a place to
//! go.

use crate::message::kind::{Command, Event, Routed};

/// `#[handler]` implements it for the message of each handler, with the handler's own marker type
/// as `By`.
///
/// The marker is local to the handler's crate, so the orphan rule permits the impl where the
/// message comes from another crate; and a command with two handlers has two candidates, which the
/// compiler reports.
#[diagnostic::on_unimplemented(
    message = "no handler for `{Self}` is visible here",
    label = "`{Self}` would be sent, but nothing handles it",
    note = "annotate a function that takes `{Self}` with `#[handler]`, in this crate or in one \
            that it uses",
    note = "or name the endpoint that handles it: `#[command(to = \"…\")]`"
)]
pub trait Handled<By> {}

/// A message of this kind has a place to go; implemented for the kinds.
pub trait Reaches<M, OneHandler> {}

impl<M, OneHandler> Reaches<M, OneHandler> for Command where M: Handled<OneHandler> {}
impl<M> Reaches<M, ()> for Event {}
impl<M> Reaches<M, ()> for Routed {}

/// A message of this kind can be given to `Bus::send`.
#[diagnostic::on_unimplemented(
    message = "`{M}` is an event, and events are published, not sent",
    label = "an event has any number of handlers",
    note = "use `bus.publish(…)`, or derive `Command` if exactly one handler acts on it"
)]
pub trait Sends<M, OneHandler> {}

impl<M, OneHandler> Sends<M, OneHandler> for Command where M: Handled<OneHandler> {}
#[diagnostic::do_not_recommend]
impl<M> Sends<M, ()> for Routed {}

/// A message of this kind can be given to `Bus::publish`.
#[diagnostic::on_unimplemented(
    message = "`{M}` is a command, and commands are sent, not published",
    label = "a command has exactly one handler",
    note = "use `bus.send(…)`, or derive `Event` if any number of handlers may react"
)]
pub trait Publishes<M> {}

#[diagnostic::do_not_recommend]
impl<M> Publishes<M> for Event {}
