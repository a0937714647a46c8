//! Calls the function of a handler, or what stands in for it in a test.

use super::context::HandlerContext;
use super::error::HandlerError;
#[cfg(feature = "testing")]
use super::fake::Fake;
use super::function::{Called, Handler};
use crate::message::Message;

/// Runs a handler over a message.
pub(crate) async fn handle<H: Handler>(
    message: H::Message,
    cx: &mut HandlerContext<'_>,
) -> Result<ReplyFrom<H>, HandlerError> {
    let settled = call::<H>(message, cx)?.await?;
    Ok(settled.into_reply(cx.cascades()))
}

/// Calls the handler's function, or what stands in for it in a test.
fn call<'a, H: Handler>(message: H::Message, cx: &'a mut HandlerContext<'_>) -> Called<'a, H> {
    #[cfg(feature = "testing")]
    if let Some(fake) = Fake::<H::Message>::of(cx.states()) {
        return fake.call::<H>(message, cx.codec());
    }
    H::call(message, cx)
}

type ReplyFrom<H> = <<H as Handler>::Message as Message>::Reply;
