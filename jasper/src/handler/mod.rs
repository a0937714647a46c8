//! What is done with a message: the handler seam, its arguments, what it returns and how it fails.

mod call;
mod cascade;
mod causation;
mod context;
mod erased;
mod error;
mod extract;
mod failure;
#[cfg(feature = "testing")]
mod fake;
mod function;
mod handle;
mod items;
mod options;
mod outgoing;
mod proof;
mod register;
mod registration;
mod requirement;
mod run;
mod scope;
mod states;

pub use self::cascade::{Cascade, Delayed, MessageExt, Reply, ReplyOf, To, With};
#[cfg(feature = "testing")]
pub(crate) use self::cascade::{Returned, Settles};
pub use self::causation::Causation;
pub use self::context::HandlerContext;
pub use self::error::{HandlerError, IntoHandlerError, Terminal};
pub use self::extract::{FromContext, Shared, State};
pub use self::failure::HandlerFailure;
#[cfg(feature = "testing")]
pub(crate) use self::fake::Fake;
pub use self::function::Handler;
pub(crate) use self::handle::handle;
pub use self::options::DeliveryOptions;
pub use self::outgoing::{Cascades, OutgoingMessage};
pub use self::registration::{HandlerRegistration, RunError, RunFn};
pub use self::requirement::{Requirements, StateRequirement};
pub(crate) use self::scope::{RunScope, ScopeSource};
pub use self::states::States;

#[doc(hidden)]
pub use self::call::{Call, Called, Function};
#[doc(hidden)]
pub use self::cascade::{Leaf, push};
#[doc(hidden)]
pub use self::erased::{answer, run_unanswered};
#[doc(hidden)]
pub use self::proof::{
    FirstArgument, Holds, Proved, Proven, is_message, is_one_message, message_type,
};
#[doc(hidden)]
pub use self::run::{Outcome, SendAsProven, SettledReturn};
