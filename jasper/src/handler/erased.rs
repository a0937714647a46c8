//! The bridge from a registration, which has no types, to the handler's own.

use futures_util::future::{BoxFuture, FutureExt};

use super::{Handler, HandlerContext, RunError, handle};
use crate::codec::{self, Codec};
use crate::envelope::Envelope;

/// Used by generated code as the `run` of a registration.
#[doc(hidden)]
pub fn run<'a, H: Handler>(
    envelope: &'a Envelope,
    codec: &'a dyn Codec,
    cx: &'a mut HandlerContext<'_>,
) -> BoxFuture<'a, Result<(), RunError>> {
    async move {
        let message: H::Message =
            codec::decode(codec, &envelope.payload).map_err(RunError::Undecodable)?;
        handle::<H>(message, cx).await.map(drop).map_err(RunError::Failed)
    }
    .boxed()
}
