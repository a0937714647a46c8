//! Calls the function of a handler, or what stands in for it in a test.

use super::call::{Call, Called};
use super::context::HandlerContext;
use super::error::HandlerError;
#[cfg(feature = "testing")]
use super::fake::Fake;
use super::function::Handler;
use crate::message::Message;

/// Runs a handler over a message.
pub(crate) async fn handle<M: Message, H: Handler<M>>(
    message: M,
    cx: &mut HandlerContext<'_>,
) -> Result<M::Reply, HandlerError> {
    let settled = call::<M, H>(message, cx)?.await?;
    Ok(settled.into_reply(cx.cascades()))
}

/// Calls the handler's function, or what stands in for it in a test.
fn call<'a, M: Message, H: Handler<M>>(
    message: M,
    cx: &'a mut HandlerContext<'_>,
) -> Called<'a, M> {
    #[cfg(feature = "testing")]
    if let Some(fake) = Fake::<M>::of(cx.states()) {
        return fake.call(message, cx.codec());
    }
    H::call(Call::new(message, cx))
}
