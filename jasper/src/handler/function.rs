//! A handler's function, as the runtime calls it.

use futures_util::future::BoxFuture;

use super::context::HandlerContext;
use super::error::HandlerError;
use super::registration::HandlerRegistration;
use super::run::Outcome;
use crate::message::Message;

/// One annotated function, under the marker type that `#[handler]` emits for it.
///
/// The marker cannot be named: a program names a handler by its function, as in
/// `Jasper::builder().handler(place_order)`. The message is a parameter, and no associated type, so
/// that it may be private to the module of its handler.
pub trait Handler<M: Message>: 'static {
    /// Its registration.
    const REGISTRATION: HandlerRegistration;

    /// Takes the arguments out of the context and calls the function.
    ///
    /// What the function returns is hidden in the future, so that it may be less visible than the
    /// message.
    ///
    /// # Errors
    /// An argument is not to be had.
    fn call<'a>(message: M, cx: &'a mut HandlerContext<'_>) -> Called<'a, M>;
}

/// Not public API. What `Handler::call` gives: the future of the function, with what it returns
/// settled.
#[doc(hidden)]
pub type Called<'a, M> = Result<BoxFuture<'a, Outcome<M>>, HandlerError>;
