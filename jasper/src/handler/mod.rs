//! What is done with a message: the handler seam, its arguments, what it returns and how it fails.

mod cascade;
pub(crate) mod caught;
mod causation;
mod context;
mod erased;
mod error;
mod extract;
mod failure;
#[cfg(feature = "testing")]
mod fake;
mod options;
mod outgoing;
mod proof;
mod registration;
mod run;
mod scope;
mod states;

use crate::message::Message;

pub use self::cascade::{Cascade, Delayed, MessageExt, Reply, ReplyOf, To, With};
#[cfg(feature = "testing")]
pub(crate) use self::cascade::{Returned, Settles};
pub use self::causation::Causation;
pub use self::context::HandlerContext;
pub use self::error::{HandlerError, IntoHandlerError, Terminal};
pub use self::extract::{FromContext, Shared, State, StateRequirement};
pub use self::failure::HandlerFailure;
#[cfg(feature = "testing")]
pub(crate) use self::fake::Fake;
pub use self::options::DeliveryOptions;
pub use self::outgoing::{Cascades, OutgoingMessage};
pub use self::registration::{HandlerRegistration, RunError, RunFn};
pub(crate) use self::scope::{RunScope, ScopeSource};
pub use self::states::States;

#[doc(hidden)]
pub use self::cascade::{Leaf, push};
#[doc(hidden)]
pub use self::erased::{answer, run_unanswered};
#[doc(hidden)]
pub use self::proof::{
    FirstArgument, Holds, Marker, Proven, is_argument, is_connection, is_message, message_type,
};
#[doc(hidden)]
pub use self::run::{Called, Outcome, Settled, run};

/// One annotated function, under the marker type that `#[handler]` emits for it.
///
/// The marker cannot be named: a program names a handler by its function, as in
/// `Jasper::builder().handler(place_order)`.
pub trait Handler: 'static {
    /// The message that it takes.
    type Message: Message;

    /// What the runtime knows of it.
    const REGISTRATION: HandlerRegistration;

    /// Takes the arguments out of the context and calls the function.
    ///
    /// What the function returns is hidden in the future, so that it may be less visible than the
    /// message.
    ///
    /// # Errors
    /// An argument is not to be had.
    fn call<'a>(message: Self::Message, cx: &'a mut HandlerContext<'_>) -> Called<'a, Self>
    where
        Self: Sized;
}

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
