//! The arguments of a handler after its message.

use std::any::type_name;
use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::context::HandlerContext;
use super::error::HandlerError;
use super::requirement::StateRequirement;
use crate::envelope::Envelope;

/// A type that a handler may take as an argument, by value, after its message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "jasper does not know how to supply this",
    note = "after the message, a handler takes `State<T>`, `Envelope`, `Bus` or \
            `CancellationToken` by value",
    note = "a connection of the store is taken as `&mut`, with `#[durable]` beside `#[handler]`",
    note = "for a value of your own, register it with `.state(value)` and take `State<{Self}>`"
)]
pub trait FromContext: Sized {
    /// Takes the argument out of the context of one run.
    ///
    /// # Errors
    /// The argument is not to be had. The handler does not run; the run has failed, which costs an
    /// attempt, and is tried again by the handler's policy. A
    /// [terminal](HandlerError::terminal) error makes a dead letter of the message at once.
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError>;

    /// The state that has to be registered before the application starts, if it needs one.
    fn requirement() -> Option<StateRequirement> {
        None
    }
}

/// A value that the builder's `state` registered, shared by all runs.
///
/// It dereferences to the value: `mailer.send(…)`, or `stock.0` of a tuple struct. The value is not
/// copied.
///
/// ```standalone_crate
/// # use std::sync::Arc;
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// trait Clock: Send + Sync {
///     fn now(&self) -> u64;
/// }
///
/// struct SystemClock;
///
/// impl Clock for SystemClock {
/// #   fn now(&self) -> u64 { 7 }
///     // …
/// }
///
/// #[derive(Command, Serialize, Deserialize)]
/// struct Tick;
///
/// #[handler]
/// async fn tick(_: Tick, names: State<Vec<String>>, clock: State<dyn Clock>) {
///     println!("{} names at {}", names.len(), clock.now());
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock);
/// let app = Jasper::builder().state(vec!["Ada".to_owned()]).state(clock);
/// # app.check()?;
///
/// // A unit test makes one of a value, or of an `Arc`.
/// tick(Tick, State::from(vec![]), State::from(Arc::new(SystemClock) as Arc<dyn Clock>)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct State<T: ?Sized> {
    shared: Arc<T>,
}

impl<T: ?Sized> State<T> {
    /// The value itself, to be kept or given away: `State::into_arc(mailer)`.
    ///
    /// Not a method, as it could hide one of `T`.
    pub fn into_arc(state: Self) -> Arc<T> {
        state.shared
    }
}

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared
    }
}

impl<T> From<T> for State<T> {
    /// For unit tests, which call handlers as the functions that they are.
    fn from(value: T) -> Self {
        Self::from(Arc::new(value))
    }
}

impl<T: ?Sized> From<Arc<T>> for State<T> {
    /// For unit tests that look at the value afterwards.
    fn from(shared: Arc<T>) -> Self {
        Self { shared }
    }
}

impl<T: Shared + ?Sized> FromContext for State<T> {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        cx.states().get::<T>().map(Self::from).ok_or_else(|| {
            let missing = type_name::<T>();
            HandlerError::new(format!("no state of type `{missing}` is registered"))
        })
    }

    fn requirement() -> Option<StateRequirement> {
        Some(StateRequirement::of::<T>())
    }
}

/// A value that many runs may use at once, on several threads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a state, as handlers run on several threads",
    label = "not `Send`, or not `Sync`, or it borrows",
    note = "use `Arc` instead of `Rc`, `Mutex` or an atomic instead of `Cell` and `RefCell`, and \
            values that own what is in them"
)]
pub trait Shared: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + ?Sized + 'static> Shared for T {}

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
