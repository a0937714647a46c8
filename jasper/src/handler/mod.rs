//! What is done with a message: the handler seam, its arguments, what it returns and how it fails.

mod cascade;
pub(crate) mod caught;
mod context;
mod erased;
mod error;
mod extract;
mod failure;
mod options;
mod outgoing;
mod proof;
mod registration;

use std::future::Future;

use crate::message::Message;

pub use self::cascade::{Cascade, Delayed, MessageExt, Reply, ReplyOf, To, With};
pub(crate) use self::context::CauseSource;
pub use self::context::{Cause, HandlerContext, States};
pub use self::error::{HandlerError, IntoHandlerError, Terminal};
pub use self::extract::{FromContext, State, StateRequirement};
pub use self::failure::HandlerFailure;
pub use self::options::DeliveryOptions;
pub use self::outgoing::{Cascades, OutgoingMessage};
pub use self::registration::{HandlerRegistration, RunError, RunFn};

#[doc(hidden)]
pub use self::cascade::{Leaf, push, settle};
#[doc(hidden)]
pub use self::erased::{answer, run};
#[doc(hidden)]
pub use self::proof::{Holds, Marker, Proven, is_message, kind, message_type};

/// One annotated function, under the marker type that `#[handler]` emits beside it.
///
/// The marker has the function's name, so `place_order` is the function where a value is meant and
/// the marker where a type is meant.
pub trait Handler: 'static {
    /// The message that it takes.
    type Message: Message;

    /// What the runtime knows of it.
    const REGISTRATION: HandlerRegistration;

    /// What the function returns.
    type Output: Send;

    /// Takes the arguments out of the context and calls the function.
    ///
    /// Generated code stops here, and does not await the future, so that the compiler has no second
    /// future to check for each handler.
    ///
    /// # Errors
    /// An argument is not to be had.
    fn call(
        message: Self::Message,
        cx: &mut HandlerContext<'_>,
    ) -> Result<impl Future<Output = Self::Output> + Send, HandlerError>;

    /// Leaves the messages of the function's return value in the context, and gives the reply.
    ///
    /// # Errors
    /// The function failed, or a message cannot be encoded.
    fn settle(
        output: Self::Output,
        cx: &mut HandlerContext<'_>,
    ) -> Result<<Self::Message as Message>::Reply, HandlerError>;
}

/// Runs a handler over a message.
pub(crate) async fn handle<H: Handler>(
    message: H::Message,
    cx: &mut HandlerContext<'_>,
) -> Result<<H::Message as Message>::Reply, HandlerError> {
    let output = H::call(message, cx)?.await;
    H::settle(output, cx)
}
