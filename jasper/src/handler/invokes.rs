//! Which commands `Bus::invoke` takes, and which handler it calls; the compiler settles both.

use super::Handler;
use crate::message::Message;
use crate::message::kind::Command;
use crate::routing::Handled;

/// A handler of `M`, as one bound: `Handler<Message = M>` is two, each reported on its own.
pub trait HandlerOf<M: Message>: Handler<Message = M> {}

impl<H: Handler> HandlerOf<H::Message> for H {}

/// A message of this kind can be given to `Bus::invoke`.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be invoked: only a command with a handler in this application can",
    label = "not a command that is handled here",
    note = "events are published with `bus.publish(…)`; a command with `to = \"…\"` is sent with \
            `bus.send(…)`"
)]
pub trait Invokes<M: Message, OneHandler> {
    /// The handler, to which the call is dispatched by the compiler.
    type Handler: Handler<Message = M>;
}

// The order of the bounds matters: with two handlers, rustc reports the first that it cannot
// decide, and no other.
impl<M, OneHandler> Invokes<M, OneHandler> for Command
where
    M: Message + Handled<OneHandler>,
    OneHandler: HandlerOf<M>,
{
    type Handler = OneHandler;
}
