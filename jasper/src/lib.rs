//! Annotated async functions as durable message handlers, on the database that you already have.

pub mod codec;
pub mod envelope;
mod error;
pub mod error_policy;
pub mod handler;
pub mod message;
pub mod prelude;
pub mod routing;
pub mod runtime;
pub mod store;
pub mod telemetry;

pub use error::{Error, InvokeError, SendError, StartupProblems};
pub use runtime::{Bus, Jasper, QueueOptions};

#[cfg(feature = "macros")]
pub use jasper_macros::{Command, Event, durable, handler};

pub use handler::{
    Cascade, Delayed, DeliveryOptions, HandlerError, MessageExt, Reply, State, Terminal, To, With,
};
pub use message::Message;

/// Keeps the handlers of the named crates in the program: `jasper::handlers_of!(orders, billing);`,
/// in the binary.
///
/// A linker leaves out a crate that nothing names, and its handlers with it, in silence. A crate of
/// which the program uses anything else is kept anyway; this is for those that hold handlers only.
#[macro_export]
macro_rules! handlers_of {
    ($($handlers:ident),+ $(,)?) => {
        $(use $handlers as _;)+
    };
}

/// Not public API. Used by generated code.
#[doc(hidden)]
pub mod __private {
    pub use crate::handler::{
        Cascade, Cascades, FromContext, Handler, HandlerContext, HandlerError, HandlerRegistration,
        Holds, Leaf, Marker, Proven, is_message, kind as kind_of, message_type, push, run, settle,
    };
    pub use crate::message::{
        Message, MessageKind, MessageRegistration, MessageType, SourceLocation, kind,
    };
    pub use crate::routing::{Handled, Reaches};
    pub use crate::store::{Connection, ConnectionType};
    pub use inventory;
}
