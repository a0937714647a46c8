//! A handler's function, as the runtime calls it.

use super::call::{Call, Called};
use super::registration::HandlerRegistration;
use crate::message::Message;

/// One annotated function, under the marker type that `#[handler]` emits for it.
///
/// The marker cannot be named: a program names a handler by its function, as in
/// `Jasper::builder().handler(place_order)`. The message is a parameter, and no associated type, so
/// that it may be private to the module of its handler.
pub trait Handler<M: Message>: 'static {
    /// Its registration.
    const REGISTRATION: HandlerRegistration;

    /// Takes the arguments of the function and calls it.
    ///
    /// What the function returns is hidden in the future, so that it may be less visible than the
    /// message.
    ///
    /// # Errors
    /// An argument is not to be had.
    fn call(call: Call<'_, M>) -> Called<'_, M>;
}
