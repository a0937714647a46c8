//! A handler's function on its way, from the call to what becomes of its return value.

use std::fmt;
use std::future::Future;

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

/// Used by generated code: settles what the function returns.
///
/// Generated code does not await the function itself, so that the compiler has no second future to
/// check for each handler.
#[doc(hidden)]
pub fn run<'a, M, Proof, F, OneHandler>(
    codec: &'a dyn Codec,
    function: F,
) -> Result<BoxFuture<'a, Outcome<M>>, HandlerError>
where
    M: Message,
    F: Future + SendAsProven<Proof> + 'a,
    Returned<F::Output>: Settles<M, OneHandler>,
{
    Ok(function.map(move |output| settle::<M, _, OneHandler>(output, codec)).boxed())
}

/// Not public API. `Send`, and nothing that the compiler reports where the proof does not hold: an
/// argument that cannot be supplied is often one that cannot be sent either.
#[doc(hidden)]
pub trait SendAsProven<Proof>: Send {}

impl<F: Send, Proof> SendAsProven<Proof> for F {}

fn settle<M, T, OneHandler>(output: T, codec: &dyn Codec) -> Outcome<M>
where
    M: Message,
    Returned<T>: Settles<M, OneHandler>,
{
    let mut cascades = Cascades::new(codec);
    let reply = Returned(output).settle(&mut cascades)?;
    Ok(SettledReturn { reply, messages: cascades.take() })
}
