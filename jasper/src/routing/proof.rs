//! By these traits the compiler proves that a message has a place to go.

use super::refused::{IsPublished, IsSent};
use crate::message::kind::{Command, Event, Routed};

/// A message that a handler takes, with the handler's own marker type as `By`.
#[diagnostic::on_unimplemented(
    message = "no handler for `{Self}` is visible here",
    label = "`{Self}` would be sent, but nothing handles it",
    note = "annotate a function that takes `{Self}` with `#[handler]`, in this crate or in one \
            that it uses; if it stands in a crate that nothing else here names, name that: \
            `jasper::handlers_of!(its_crate)`",
    note = "or name the endpoint that handles it: `#[command(to = \"…\")]`"
)]
pub trait Handled<By> {}

#[diagnostic::do_not_recommend]
impl<M: HandledBy<OneHandler>, OneHandler> Handled<OneHandler> for M {}

/// `#[handler]` implements it for the message of each handler.
///
/// The marker is local to the handler's crate, so the orphan rule permits the impl where the
/// message comes from another crate; and a command with two handlers has two candidates, which the
/// compiler reports.
///
/// Nothing but [`Handled`] asks for it. Where there is no handler, the compiler reports that trait,
/// of which there are no other messages that it would list.
pub trait HandledBy<Marker> {}

/// A message of this kind has a place to go.
///
/// It has one impl, as [`Sends`] has, and asks [`KindReaches`]: where a type derives both `Command`
/// and `Event`, the compiler reports that, and not that it cannot choose between the kinds.
pub trait Reaches<M, OneHandler> {}

impl<K: KindReaches<M, OneHandler>, M, OneHandler> Reaches<M, OneHandler> for K {}

/// [`Reaches`], implemented for the kinds.
pub trait KindReaches<M, OneHandler> {}

impl<M, OneHandler> KindReaches<M, OneHandler> for Command where M: Handled<OneHandler> {}
impl<M> KindReaches<M, ()> for Event {}
impl<M> KindReaches<M, ()> for Routed {}

/// A message of this kind can be given to `Bus::send`.
#[diagnostic::on_unimplemented(
    message = "`{M}` can be any message here, and only a command with a handler can be sent",
    label = "not known to be a command with a handler",
    note = "in a generic function write the bound `{M}: jasper::Sendable<H>`, where `H` is one \
            more type parameter: the compiler finds it where the function is called"
)]
pub trait Sends<M, OneHandler> {}

impl<K: KindSends<M, OneHandler>, M, OneHandler> Sends<M, OneHandler> for K {}

/// [`Sends`], implemented for the kinds.
pub trait KindSends<M, OneHandler> {}

impl<M, OneHandler> KindSends<M, OneHandler> for Command where M: Handled<OneHandler> {}
#[diagnostic::do_not_recommend]
impl<M> KindSends<M, ()> for Routed {}
impl<M: IsSent> KindSends<M, ()> for Event {}

/// A message of this kind can be given to `Bus::publish`.
#[diagnostic::on_unimplemented(
    message = "`{M}` can be any message here, and only an event can be published",
    label = "not known to be an event",
    note = "in a generic function write the bound `{M}: jasper::Publishable`"
)]
pub trait Publishes<M> {}

#[diagnostic::do_not_recommend]
impl<M> Publishes<M> for Event {}
impl<M: IsPublished> Publishes<M> for Command {}
impl<M: IsPublished> Publishes<M> for Routed {}
