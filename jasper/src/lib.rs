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

pub use error::{Error, InvokeError, Problem, SendError, StartupProblems};
pub use runtime::{Bus, Jasper, QueueOptions};

pub use handler::{
    Cascade, Delayed, DeliveryOptions, HandlerError, MessageExt, Reply, State, Terminal, To, With,
};
pub use message::Message;

/// Not public API. Used by generated code.
#[doc(hidden)]
pub mod __private {
    pub use crate::handler::{
        Cascade, Cascades, DeliveryOptions, FromContext, Handler, HandlerContext, HandlerError,
        HandlerRegistration, ReplyOf, run, settle,
    };
    pub use crate::message::{
        Message, MessageKind, MessageRegistration, MessageType, SourceLocation, kind,
    };
    pub use crate::routing::{Handled, Reaches};
    pub use crate::store::{Connection, ConnectionType};
    pub use inventory;
}
