//! Which commands `Bus::invoke` takes, and where each is answered; the compiler settles both.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};

use super::origin::Origin;
use super::{invoke, remote};
use crate::error::InvokeError;
use crate::handler::Handler;
use crate::message::kind::{Command, Event, Routed};
use crate::message::{Message, Payload};
use crate::routing::HandledBy;
use crate::runtime::core::Core;

/// From where a command is invoked.
#[doc(hidden)]
#[derive(Debug)]
pub struct Invocation {
    pub(super) core: Arc<Core>,
    pub(super) origin: Origin,
}

/// A handler of `M`. Where there are two, the compiler lists them for [`HandledBy`] alone.
pub trait HandlerOf<M: Message>: Handler<M> {}

impl<M: Message, H: Handler<M>> HandlerOf<M> for H {}

/// A message of this kind can be given to `Bus::invoke`. As [`Sends`](crate::routing::Sends) it has
/// one impl.
#[diagnostic::on_unimplemented(
    message = "`{M}` can be any message here, and only a command with a handler can be invoked",
    label = "not known to be a command with a handler",
    note = "in a generic function write the bound `{M}: jasper::Invocable<H>`, where `H` is one \
            more type parameter: the compiler finds it where the function is called"
)]
pub trait Invokes<M: Message, OneHandler> {
    /// Not public API. Gives the reply: of the handler that the compiler has found, or of the
    /// endpoint that the command names.
    #[doc(hidden)]
    fn invoke(call: Invocation, message: M) -> BoxFuture<'static, Result<M::Reply, InvokeError>>;
}

impl<K, M, OneHandler> Invokes<M, OneHandler> for K
where
    K: KindInvokes<M, OneHandler>,
    M: Message,
{
    fn invoke(call: Invocation, message: M) -> BoxFuture<'static, Result<M::Reply, InvokeError>> {
        K::invoke_by_kind(call, message)
    }
}

/// [`Invokes`], implemented for the kinds.
pub trait KindInvokes<M: Message, OneHandler> {
    /// Not public API.
    #[doc(hidden)]
    fn invoke_by_kind(
        call: Invocation,
        message: M,
    ) -> BoxFuture<'static, Result<M::Reply, InvokeError>>;
}

impl<M: InvokedHere<OneHandler>, OneHandler> KindInvokes<M, OneHandler> for Command {
    fn invoke_by_kind(
        call: Invocation,
        message: M,
    ) -> BoxFuture<'static, Result<M::Reply, InvokeError>> {
        message.invoke_here(call)
    }
}

/// A command that a handler of this program takes.
#[diagnostic::on_unimplemented(
    message = "no handler for `{Self}` is visible here",
    label = "`{Self}` would be invoked, but nothing handles it",
    note = "annotate a function that takes `{Self}` with `#[handler]`, in this crate or in one \
            that it uses; if it stands in a crate that nothing else here names, name that: \
            `jasper::handlers_of!(its_crate)`",
    note = "or name the endpoint that handles it: `#[command(to = \"…\")]`"
)]
pub trait InvokedHere<OneHandler>: Message {
    /// Not public API.
    #[doc(hidden)]
    fn invoke_here(self, call: Invocation) -> BoxFuture<'static, Result<Self::Reply, InvokeError>>;
}

// The order of the bounds matters: with two handlers, rustc reports the first that it cannot
// decide, and no other.
#[diagnostic::do_not_recommend]
impl<M, OneHandler> InvokedHere<OneHandler> for M
where
    M: Message + HandledBy<OneHandler>,
    OneHandler: HandlerOf<M>,
{
    fn invoke_here(self, call: Invocation) -> BoxFuture<'static, Result<M::Reply, InvokeError>> {
        let Invocation { core, origin } = call;
        async move { invoke::invoke::<M, OneHandler>(&core, origin, self).await }.boxed()
    }
}

#[diagnostic::do_not_recommend]
impl<M> KindInvokes<M, ()> for Routed
where
    M: Message,
    M::Reply: Payload,
{
    fn invoke_by_kind(
        call: Invocation,
        message: M,
    ) -> BoxFuture<'static, Result<M::Reply, InvokeError>> {
        remote::invoke(call.core, call.origin.scope().cloned(), &message).boxed()
    }
}

impl<M: Message + IsInvoked> KindInvokes<M, ()> for Event {
    fn invoke_by_kind(
        _: Invocation,
        message: M,
    ) -> BoxFuture<'static, Result<M::Reply, InvokeError>> {
        message.never()
    }
}

/// Implemented by no event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an event, and events are published, not invoked",
    label = "an event has any number of handlers, and no reply",
    note = "use `bus.publish(…)`, or derive `Command` if exactly one handler answers it"
)]
pub trait IsInvoked {
    /// Cannot be called, as there is no such event.
    #[doc(hidden)]
    fn never<T>(self) -> T;
}

/// A message that `Bus::invoke` takes: the bound of a generic function that invokes.
///
/// `H` stands for the handler. The compiler finds it where the function is called.
///
/// ```
/// use jasper::{Bus, Invocable, InvokeError};
///
/// async fn ask_twice<M, H>(bus: &Bus, question: M) -> Result<[M::Reply; 2], InvokeError>
/// where
///     M: Invocable<H> + Clone,
/// {
///     Ok([bus.invoke(question.clone()).await?, bus.invoke(question).await?])
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be invoked here: it is not a command with one visible handler",
    label = "not a command that a handler takes",
    note = "for a command: annotate a function that takes it with `#[handler]`, in this crate or \
            in one that it uses; if it stands in a crate that nothing else here names, name that: \
            `jasper::handlers_of!(its_crate)`",
    note = "for an event: publish it; `jasper::Publishable` is the bound for that"
)]
pub trait Invocable<H>: Message<Kind: Invokes<Self, H>> {}

impl<M, H> Invocable<H> for M
where
    M: Message,
    M::Kind: Invokes<M, H>,
{
}
