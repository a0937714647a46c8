//! The bridge from a registration, which has no types, to the handler's own.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};

use super::context::HandlerContext;
use super::failure::HandlerFailure;
use super::function::Handler;
use super::handle::handle;
use super::registration::RunError;
use crate::codec::{self, Codec};
use crate::envelope::Envelope;
use crate::message::{Encodable, Message};

/// Used by generated code as the `run` of a registration.
#[doc(hidden)]
pub fn run_unanswered<'a, M: Message, H: Handler<M>>(
    envelope: &'a Envelope,
    codec: &'a dyn Codec,
    cx: &'a mut HandlerContext<'_>,
) -> BoxFuture<'a, Result<Option<Bytes>, RunError>> {
    perform::<M, H>(envelope, codec, cx, false)
}

/// Used by generated code as the `answer` of a registration.
#[doc(hidden)]
pub fn answer<'a, M: Message, H: Handler<M>>(
    envelope: &'a Envelope,
    codec: &'a dyn Codec,
    cx: &'a mut HandlerContext<'_>,
) -> BoxFuture<'a, Result<Option<Bytes>, RunError>> {
    perform::<M, H>(envelope, codec, cx, true)
}

/// One function for both, as there is one of it for each handler of a program.
#[inline(never)]
fn perform<'a, M: Message, H: Handler<M>>(
    envelope: &'a Envelope,
    codec: &'a dyn Codec,
    cx: &'a mut HandlerContext<'_>,
    is_answered: bool,
) -> BoxFuture<'a, Result<Option<Bytes>, RunError>> {
    async move {
        let message = codec::decode_as(&M::ENCODING, codec, &envelope.payload)
            .map_err(RunError::Undecodable)?;
        // Plain data from here on, so that no code of it runs where a panic is not caught.
        let is_conflict = cx.is_conflict();
        let failed = |error| RunError::Failed(HandlerFailure::of(error, is_conflict));
        let reply = handle::<M, H>(message, cx).await.map_err(failed)?;
        if is_answered { encode_reply(codec, M::encodable_reply(&reply)) } else { Ok(None) }
    }
    .boxed()
}

fn encode_reply(
    codec: &dyn Codec,
    reply: Option<&dyn Encodable>,
) -> Result<Option<Bytes>, RunError> {
    let encoded = reply.map(|reply| codec.encode(reply)).transpose();
    encoded.map_err(RunError::Unanswerable)
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use std::future::ready;
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::codec::Json;
    use crate::envelope::Address;
    use crate::handler::causation::Causation;
    use crate::handler::scope::RunScope;
    use crate::handler::{Call, Called, HandlerRegistration, Reply, RunFn, States};
    use crate::message::{Encoding, MessageType, encoding, kind};

    #[derive(Serialize, Deserialize)]
    struct Double(u32);

    impl Message for Double {
        type Kind = kind::Routed;
        type Reply = u32;
        const TYPE: MessageType = MessageType::new("double", 1);
        const ENCODING: Encoding<Self> = encoding();

        fn encodable_reply(reply: &u32) -> Option<&dyn Encodable> {
            Some(reply)
        }
    }

    /// The handler of `Double`, as the macro writes one.
    struct Doubles;

    impl Handler<Double> for Doubles {
        const REGISTRATION: HandlerRegistration =
            HandlerRegistration::new::<Double, Self, _>(&(), "double", "tests");

        fn call(call: Call<'_, Double>) -> Called<'_, Double> {
            call.run(|message: Double| ready(Reply(message.0 * 2)), 0)
        }
    }

    async fn reply_of(function: RunFn) -> Option<Bytes> {
        let payload = Json.encode(&Double(21)).expect("a number is JSON");
        let destination = Address::local("double", "double");
        let envelope = Envelope::new(Double::TYPE, Json.content_type(), payload, destination);
        let (states, token) = (States::default(), CancellationToken::new());
        let scope = || Arc::new(RunScope::new(Causation::of(&envelope, "double")));
        let mut cx = HandlerContext::received(&envelope, &states, &token, &scope, &Json);
        function(&envelope, &Json, &mut cx).await.expect("the handler succeeds")
    }

    #[tokio::test]
    async fn only_a_sender_who_waits_is_given_the_reply() {
        let HandlerRegistration { run, answer, .. } = Doubles::REGISTRATION;
        assert_eq!(reply_of(run).await, None);
        assert_eq!(reply_of(answer).await.as_deref(), Some(b"42".as_slice()));
    }
}
