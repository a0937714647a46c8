//! A handler's function on its way, from the call to what becomes of its return value.

use std::fmt;
use std::future::{Future, ready};

use futures_util::future::{BoxFuture, FutureExt};

use super::cascade::{Returned, Settles};
use super::error::HandlerError;
use super::outgoing::{Cascades, OutgoingMessage};
use crate::codec::Codec;
use crate::message::Message;

/// Not public API. How a run of the handler of `M` ends.
#[doc(hidden)]
pub type Outcome<M> = Result<SettledReturn<<M as Message>::Reply>, HandlerError>;

/// Not public API. What a handler has returned: its reply, and its messages, encoded.
#[doc(hidden)]
pub struct SettledReturn<R> {
    reply: R,
    messages: Vec<OutgoingMessage>,
}

impl<R> SettledReturn<R> {
    /// The reply; the messages go into `cascades`.
    pub(super) fn into_reply(self, cascades: &mut Cascades<'_>) -> R {
        cascades.extend(self.messages);
        self.reply
    }
}

impl<R> fmt::Debug for SettledReturn<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettledReturn").finish_non_exhaustive()
    }
}

/// Not public API. The future of a handler's function. It is `Send`, and the compiler says nothing
/// of that where it has reported something else: an argument that cannot be supplied is often one
/// that cannot be sent either.
///
/// `Proof` is the type of a number that nothing else decides. The compiler takes `i32` for it when
/// all else is known, or an error where it has reported one; of several impls, it can choose none
/// before.
#[doc(hidden)]
pub trait SendAsProven<Proof>: Future + Sized {
    /// Settles what the function returns.
    ///
    /// Generated code does not await the function itself, so that the compiler has no second future
    /// to check for each handler.
    fn settled<'a, M, OneHandler>(self, codec: &'a dyn Codec) -> BoxFuture<'a, Outcome<M>>
    where
        Self: 'a,
        M: Message,
        Returned<Self::Output>: Settles<M, OneHandler>;
}

impl<F: Future + Send> SendAsProven<i32> for F {
    fn settled<'a, M, OneHandler>(self, codec: &'a dyn Codec) -> BoxFuture<'a, Outcome<M>>
    where
        Self: 'a,
        M: Message,
        Returned<Self::Output>: Settles<M, OneHandler>,
    {
        self.map(move |output| settle::<M, _, OneHandler>(output, codec)).boxed()
    }
}

/// Never chosen, and never the only one that could be.
macro_rules! never {
    ($proof:ty) => {
        impl<F: Future> SendAsProven<$proof> for F {
            fn settled<'a, M, OneHandler>(self, _: &'a dyn Codec) -> BoxFuture<'a, Outcome<M>>
            where
                Self: 'a,
                M: Message,
                Returned<Self::Output>: Settles<M, OneHandler>,
            {
                ready(Err(HandlerError::new("a future that is not `Send` was not run"))).boxed()
            }
        }
    };
}

never!(u32);
never!(u64);

fn settle<M, T, OneHandler>(output: T, codec: &dyn Codec) -> Outcome<M>
where
    M: Message,
    Returned<T>: Settles<M, OneHandler>,
{
    let mut cascades = Cascades::new(codec);
    let reply = Returned(output).settle(&mut cascades)?;
    Ok(SettledReturn { reply, messages: cascades.take() })
}
