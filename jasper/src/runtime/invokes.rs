//! Which commands `Bus::invoke` takes, and where each is answered; the compiler settles both.

use futures_util::future::{BoxFuture, FutureExt};
use serde::de::DeserializeOwned;

use super::{Bus, invoke, remote};
use crate::error::InvokeError;
use crate::handler::Handler;
use crate::message::Message;
use crate::message::kind::{Command, Routed};
use crate::routing::Handled;

/// A handler of `M`, as one bound: `Handler<Message = M>` is two, each reported on its own.
pub trait HandlerOf<M: Message>: Handler<Message = M> {}

impl<H: Handler> HandlerOf<H::Message> for H {}

/// A message of this kind can be given to `Bus::invoke`.
#[diagnostic::on_unimplemented(
    message = "`{M}` is an event, and events are published, not invoked",
    label = "an event has any number of handlers, and no reply",
    note = "use `bus.publish(…)`, or derive `Command` if exactly one handler answers it"
)]
pub trait Invokes<M: Message, OneHandler> {
    /// Not public API. Gives the reply: of the handler that the compiler has found, or of the
    /// endpoint that the command names.
    #[doc(hidden)]
    fn invoke(bus: &Bus, message: M) -> BoxFuture<'_, Result<M::Reply, InvokeError>>;
}

// The order of the bounds matters: with two handlers, rustc reports the first that it cannot
// decide, and no other.
impl<M, OneHandler> Invokes<M, OneHandler> for Command
where
    M: Message + Handled<OneHandler>,
    OneHandler: HandlerOf<M>,
{
    fn invoke(bus: &Bus, message: M) -> BoxFuture<'_, Result<M::Reply, InvokeError>> {
        invoke::invoke::<OneHandler>(bus.core(), bus.origin(), message).boxed()
    }
}

#[diagnostic::do_not_recommend]
impl<M> Invokes<M, ()> for Routed
where
    M: Message,
    M::Reply: DeserializeOwned,
{
    fn invoke(bus: &Bus, message: M) -> BoxFuture<'_, Result<M::Reply, InvokeError>> {
        remote::invoke(bus.core(), bus.origin().cause().cloned(), &message).boxed()
    }
}
