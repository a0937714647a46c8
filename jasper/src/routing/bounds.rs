//! The bounds that a generic function asks for.

use super::proof::{Publishes, Sends};
use crate::message::Message;

/// A command that `Bus::send` takes: the bound of a generic function that sends.
///
/// `H` stands for the handler. The compiler finds it where the function is called, and it is there
/// that a command without a handler does not compile. Where the types are written out, it is `_`:
/// `send_twice::<PlaceOrder, _>(…)`. A struct that has it as a parameter keeps a
/// `PhantomData<fn(H)>`.
///
/// ```
/// use jasper::{Bus, SendError, Sendable};
///
/// async fn send_twice<M: Sendable<H> + Clone, H>(bus: &Bus, message: M) -> Result<(), SendError> {
///     bus.send(message.clone()).await?;
///     bus.send(message).await?;
///     Ok(())
/// }
///
/// async fn send_soon<H>(bus: &Bus, message: impl Sendable<H>) -> Result<(), SendError> {
///     bus.send(message).delay(std::time::Duration::from_secs(1)).await?;
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent here: it is not a command with one visible handler",
    label = "not a command that a handler takes",
    note = "for a command: annotate a function that takes it with `#[handler]`, in this crate or \
            in one that it uses; if it stands in a crate that nothing else here names, name that: \
            `jasper::handlers_of!(its_crate)`",
    note = "for an event: publish it; `jasper::Publishable` is the bound for that"
)]
pub trait Sendable<H>: Message<Kind: Sends<Self, H>> {}

impl<M, H> Sendable<H> for M
where
    M: Message,
    M::Kind: Sends<M, H>,
{
}

/// A message that `Bus::publish` takes: the bound of a generic function that publishes.
///
/// ```
/// use jasper::{Bus, Publishable, SendError};
///
/// async fn publish_all<M: Publishable>(bus: &Bus, messages: Vec<M>) -> Result<(), SendError> {
///     for message in messages {
///         bus.publish(message).await?;
///     }
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be published here: it is not an event",
    label = "not an event",
    note = "for a command: send it; `jasper::Sendable<H>` is the bound for that",
    note = "derive `jasper::Event` if any number of handlers may react"
)]
pub trait Publishable: Message<Kind: Publishes<Self>> {}

impl<M> Publishable for M
where
    M: Message,
    M::Kind: Publishes<M>,
{
}
