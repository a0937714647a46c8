//! What stands in for a handler in a test.

use std::future::Future;
use std::sync::Arc;

use super::call::Called;
use super::cascade::{Returned, Settles};
use super::run::SendAsProven;
use super::states::States;
use crate::codec::Codec;
use crate::message::Message;

type FakeFn<M> = dyn for<'a> Fn(M, &'a dyn Codec) -> Called<'a, M> + Send + Sync;

/// A closure in place of the handler of `M`, kept among the states of an application.
pub(crate) struct Fake<M: Message>(Arc<FakeFn<M>>);

impl<M: Message> Fake<M> {
    pub(crate) fn new<F, R, OneHandler>(fake: F) -> Self
    where
        F: Fn(M) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        Returned<R::Output>: Settles<M, OneHandler>,
    {
        Self(Arc::new(move |message, codec| {
            Ok(SendAsProven::<i32>::settled::<M, OneHandler>(fake(message), codec))
        }))
    }

    /// The fake of this message's handler, if there is one.
    pub(crate) fn of(states: &States) -> Option<Arc<Self>> {
        states.get::<Self>()
    }

    pub(crate) fn call<'a>(&self, message: M, codec: &'a dyn Codec) -> Called<'a, M> {
        (self.0)(message, codec)
    }
}
