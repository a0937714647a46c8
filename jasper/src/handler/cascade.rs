//! What a handler may return: messages to send, alone or within `Result`, `Option`, `Vec` and
//! tuples.

use std::marker::PhantomData;
use std::time::Duration;

use super::error::{HandlerError, IntoHandlerError};
use super::options::DeliveryOptions;
use super::outgoing::Cascades;
use crate::message::Message;
use crate::routing::Reaches;

/// A value that a handler may return.
///
/// There is no blanket impl over [`Message`]: the derives emit the impl for each type, so that
/// every type has one candidate and an error names the message that is at fault, not the tuple
/// around it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned from a handler",
    label = "neither a message nor a `Reply`",
    note = "return `()`, a type that derives `Command` or `Event`, or `Option`, `Vec`, `Result` or \
            a tuple of such",
    note = "for one of several outcomes: `(Option<A>, Option<B>)`; for more than eight messages: a \
            tuple in the tuple",
    note = "to answer `bus.invoke(…)`, return `Reply(value)`, alone or as the first of a tuple"
)]
pub trait Cascade<Proof> {
    /// What the value answers to `Bus::invoke`: `()`, or the `T` of a [`Reply<T>`].
    type Reply;

    /// Adds the messages in it to `cascades` and gives the reply.
    ///
    /// # Errors
    /// The value is, or holds, an `Err`; or a message cannot be encoded.
    fn collect(self, cascades: &mut Cascades<'_>) -> Result<Self::Reply, HandlerError>;
}

/// The answer to `Bus::invoke`, of the type that `#[command(reply = …)]` declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<T>(pub T);

impl<T> Cascade<()> for Reply<T> {
    type Reply = T;

    fn collect(self, _: &mut Cascades<'_>) -> Result<T, HandlerError> {
        Ok(self.0)
    }
}

impl Cascade<()> for () {
    type Reply = ();

    fn collect(self, _: &mut Cascades<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// The reply of what has none. A `Reply` stands alone or first in a tuple, so that there is one.
#[diagnostic::on_unimplemented(
    message = "a `Reply` is returned alone or as the first of a tuple, within `Result` at most",
    label = "has a `Reply` in `Option` or `Vec`, or not in the first place",
    note = "put it first: `(Reply(value), message)`; for a reply that may be missing declare \
            `#[command(reply = Option<…>)]` and return `Reply(None)`"
)]
pub trait NoReply {
    /// The reply of a value of this and another one before it.
    type After<First>;

    /// It itself.
    const NONE: Self;

    /// The reply of both.
    fn after<First>(self, first: First) -> Self::After<First>;
}

impl NoReply for () {
    type After<First> = First;

    const NONE: Self = ();

    fn after<First>(self, first: First) -> First {
        first
    }
}

impl<T, P> Cascade<P> for Option<T>
where
    T: Cascade<P, Reply: NoReply>,
{
    type Reply = <T::Reply as NoReply>::After<()>;

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<Self::Reply, HandlerError> {
        let reply = self.map_or(Ok(T::Reply::NONE), |value| value.collect(cascades))?;
        Ok(reply.after(()))
    }
}

impl<T, P> Cascade<P> for Vec<T>
where
    T: Cascade<P, Reply: NoReply>,
{
    type Reply = <T::Reply as NoReply>::After<()>;

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<Self::Reply, HandlerError> {
        for value in self {
            value.collect(cascades)?;
        }
        Ok(T::Reply::NONE.after(()))
    }
}

impl<T, E, P> Cascade<P> for Result<T, E>
where
    T: Cascade<P>,
    E: IntoHandlerError,
{
    type Reply = T::Reply;

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<Self::Reply, HandlerError> {
        self.map_err(IntoHandlerError::into_handler_error)?.collect(cascades)
    }
}

/// The reply of the first, after which nothing else has one.
macro_rules! reply {
    ($reply:ty) => { $reply };
    ($reply:ty, $next:ident $(, $rest:ident)*) => {
        reply!(<$next::Reply as NoReply>::After<$reply> $(, $rest)*)
    };
}

macro_rules! tuple {
    ($first:ident $first_proof:ident $(, $rest:ident $rest_proof:ident)*) => {
        impl<$first, $first_proof, $($rest, $rest_proof),*>
            Cascade<($first_proof, $($rest_proof),*)> for ($first, $($rest),*)
        where
            $first: Cascade<$first_proof>,
            $($rest: Cascade<$rest_proof, Reply: NoReply>),*
        {
            type Reply = reply!($first::Reply $(, $rest)*);

            #[allow(non_snake_case, reason = "each value is named as its type parameter")]
            fn collect(self, cascades: &mut Cascades<'_>) -> Result<Self::Reply, HandlerError> {
                let ($first, $($rest),*) = self;
                let reply = $first.collect(cascades)?;
                $(let reply = $rest.collect(cascades)?.after(reply);)*
                Ok(reply)
            }
        }
    };
}

tuple!(A Pa);
tuple!(A Pa, B Pb);
tuple!(A Pa, B Pb, C Pc);
tuple!(A Pa, B Pb, C Pc, D Pd);
tuple!(A Pa, B Pb, C Pc, D Pd, E Pe);
tuple!(A Pa, B Pb, C Pc, D Pd, E Pe, F Pf);
tuple!(A Pa, B Pb, C Pc, D Pd, E Pe, F Pf, G Pg);
tuple!(A Pa, B Pb, C Pc, D Pd, E Pe, F Pf, G Pg, H Ph);

/// A message that is handled after a delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed<M> {
    /// The message.
    pub message: M,
    /// How long it waits, from the return of the handler.
    pub delay: Duration,
}

/// A message for an endpoint by name or address, whatever handles its type otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To<M> {
    /// The message.
    pub message: M,
    /// The endpoint's name or address.
    pub endpoint: String,
}

/// A message with options of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct With<M> {
    /// The message.
    pub message: M,
    /// The options.
    pub options: DeliveryOptions,
}

impl<M, P> Cascade<P> for Delayed<M>
where
    M: Message,
    M::Kind: Reaches<M, P>,
{
    type Reply = ();

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<(), HandlerError> {
        let options = DeliveryOptions::new().delay(self.delay);
        Ok(cascades.push(&self.message, options)?)
    }
}

impl<M: Message> Cascade<()> for To<M> {
    type Reply = ();

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<(), HandlerError> {
        let options = DeliveryOptions::new().to(self.endpoint);
        Ok(cascades.push(&self.message, options)?)
    }
}

impl<M, P> Cascade<P> for With<M>
where
    M: Message,
    M::Kind: Reaches<M, P>,
{
    type Reply = ();

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<(), HandlerError> {
        Ok(cascades.push(&self.message, self.options)?)
    }
}

/// Wraps a message in delivery options where it is returned:
/// `order_placed.delayed(Duration::from_secs(60))`.
pub trait MessageExt: Message + Sized {
    /// To be handled after this delay.
    fn delayed(self, delay: Duration) -> Delayed<Self> {
        Delayed { message: self, delay }
    }

    /// To this endpoint name or address.
    fn to(self, endpoint: impl Into<String>) -> To<Self> {
        To { message: self, endpoint: endpoint.into() }
    }

    /// With these options.
    fn with(self, options: DeliveryOptions) -> With<Self> {
        With { message: self, options }
    }
}

impl<M: Message> MessageExt for M {}

/// A type that answers `Bus::invoke` of `M`, which declares the reply `Declared`: only that type
/// itself does.
#[diagnostic::on_unimplemented(
    message = "the handler answers with `{Self}`, but `{M}` declares the reply `{Declared}`",
    label = "not the declared reply",
    note = "declare it with `#[command(reply = …)]`, or return `Reply(value)` of the declared \
            type, alone or as the first of a tuple"
)]
pub trait ReplyOf<M, Declared> {
    /// The same value as the declared type.
    fn into_reply(self) -> Declared;
}

#[diagnostic::do_not_recommend]
impl<M, Declared> ReplyOf<M, Declared> for Declared {
    fn into_reply(self) -> Self {
        self
    }
}

/// Not public API. The proof for a single message, with the kind that its derive gives it. That is
/// an error for a type that derives both `Command` and `Event`, whose two impls of `Message` are
/// the one error that is reported.
#[doc(hidden)]
#[derive(Debug)]
pub struct Leaf<Kind, Proof>(PhantomData<(Kind, Proof)>);

/// Not public API. The return value of a handler on its way into the context.
///
/// rustc prints the words of the requirement that it started from where that and the one that
/// failed are of one type, so a message is not asked about directly but within this.
#[doc(hidden)]
#[derive(Debug)]
pub struct Returned<T>(pub T);

/// Not public API. A return value that the handler of `M` may have.
#[doc(hidden)]
pub trait Settles<M: Message, OneHandler> {
    /// The messages of the value go into `cascades`, its reply comes back.
    fn settle(self, cascades: &mut Cascades<'_>) -> Result<M::Reply, HandlerError>;
}

impl<M, T, OneHandler> Settles<M, OneHandler> for Returned<T>
where
    M: Message,
    T: Cascade<OneHandler>,
    T::Reply: ReplyOf<M, M::Reply>,
{
    fn settle(self, cascades: &mut Cascades<'_>) -> Result<M::Reply, HandlerError> {
        self.0.collect(cascades).map(ReplyOf::into_reply)
    }
}

/// Used by generated code: adds one message, without options. A function, as the compiler checks it
/// once and not for each message type.
#[doc(hidden)]
pub fn push<M: Message>(message: M, cascades: &mut Cascades<'_>) -> Result<(), HandlerError> {
    Ok(cascades.push(&message, DeliveryOptions::new())?)
}
