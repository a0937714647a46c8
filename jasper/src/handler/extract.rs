//! The arguments of a handler after its message.

use std::any::{TypeId, type_name};
use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{HandlerContext, HandlerError};
use crate::envelope::Envelope;

/// A type that a handler may take as an argument, by value, after its message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "jasper does not know how to supply this",
    note = "after the message, a handler takes `State<T>`, `Envelope`, `Bus` or \
            `CancellationToken` by value, and a \
            `#[durable]` handler `&mut` the store's connection",
    note = "for a value of your own, register it with `.state(value)` and take `State<{Self}>`"
)]
pub trait FromContext: Sized {
    /// Takes the argument out of the context of one run.
    ///
    /// # Errors
    /// The run fails and is retried by the handler's policy.
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError>;

    /// The state that has to be registered before the application starts, if it needs one.
    fn requirement() -> Option<StateRequirement> {
        None
    }
}

/// A state that a handler cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRequirement {
    /// The type.
    pub type_id: TypeId,
    /// Its Rust path.
    pub type_name: &'static str,
}

/// A value that the builder's `state` registered, shared by all runs.
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for State<T> {
    /// For unit tests, which call handlers as the functions that they are.
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Send + Sync + 'static> FromContext for State<T> {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        cx.states().get().map(Self).ok_or_else(|| {
            let missing = type_name::<T>();
            HandlerError::new(format!("no state of type `{missing}` is registered"))
        })
    }

    fn requirement() -> Option<StateRequirement> {
        Some(StateRequirement { type_id: TypeId::of::<T>(), type_name: type_name::<T>() })
    }
}

impl FromContext for Envelope {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        Ok(cx.envelope())
    }
}

impl FromContext for CancellationToken {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        Ok(cx.cancellation().clone())
    }
}
