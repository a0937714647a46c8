//! A call of a handler's function: its arguments are taken one after the other, then it is called.

use std::any::Any;
use std::fmt;
use std::future::Future;

use futures_util::future::BoxFuture;

use super::cascade::{Returned, Settles};
use super::context::{HandlerContext, connection_of};
use super::error::HandlerError;
use super::extract::FromContext;
use super::requirement::Requirements;
use super::run::{Outcome, SendAsProven};
use crate::message::Message;
use crate::store::{Connection, ConnectionType};

/// Not public API. A call of the handler of `M`, as generated code makes it: `argument` or
/// `connection` for each argument after the message, then `run` with the function.
///
/// The types of the arguments stand in the function alone, and the compiler infers them.
#[doc(hidden)]
pub struct Call<'a, M, Arguments = ()> {
    purpose: Purpose<'a, M>,
    arguments: Arguments,
}

/// Not public API. What a call gives: the future of the function, with what it returns settled.
#[doc(hidden)]
pub type Called<'a, M> = Result<BoxFuture<'a, Outcome<M>>, HandlerError>;

enum Purpose<'a, M> {
    /// The function is called.
    Run {
        message: M,
        cx: &'a HandlerContext<'a>,
        connection: Option<&'a mut (dyn Any + Send)>,
        failed: Option<HandlerError>,
    },
    /// The function is not called: what its arguments need is noted.
    Describe(&'a mut Requirements),
}

impl<'a, M> Call<'a, M> {
    pub(super) const fn new(message: M, cx: &'a mut HandlerContext<'_>) -> Self {
        let connection = cx.take_connection();
        let purpose = Purpose::Run { message, cx, connection, failed: None };
        Self { purpose, arguments: () }
    }

    pub(super) const fn describing(requirements: &'a mut Requirements) -> Self {
        Self { purpose: Purpose::Describe(requirements), arguments: () }
    }
}

impl<'a, M, Arguments> Call<'a, M, Arguments> {
    /// Takes a value out of the context.
    pub fn argument<A: FromContext>(mut self) -> Call<'a, M, (Arguments, Option<A>)> {
        let argument = match &mut self.purpose {
            Purpose::Run { failed: Some(_), .. } => None,
            Purpose::Run { cx, failed, .. } => {
                A::from_context(cx).map_err(|error| *failed = Some(error)).ok()
            }
            Purpose::Describe(requirements) => {
                requirements.states.extend(A::requirement());
                None
            }
        };
        self.with(argument)
    }

    /// Takes the connection of the transaction.
    pub fn connection<C: Connection>(mut self) -> Call<'a, M, (Arguments, Option<&'a mut C>)> {
        let argument = match &mut self.purpose {
            Purpose::Run { failed: Some(_), .. } => None,
            Purpose::Run { connection, failed, .. } => {
                connection_of(connection.take()).map_err(|error| *failed = Some(error)).ok()
            }
            Purpose::Describe(requirements) => {
                requirements.connection = Some(ConnectionType::of::<C>());
                None
            }
        };
        self.with(argument)
    }

    fn with<A>(self, argument: A) -> Call<'a, M, (Arguments, A)> {
        Call { purpose: self.purpose, arguments: (self.arguments, argument) }
    }

    /// Calls the function, unless an argument is not to be had.
    ///
    /// Generated code gives a number as the proof, without its type. The compiler chooses that last
    /// of all, and only where it has reported nothing before: see [`SendAsProven`].
    ///
    /// # Errors
    /// An argument is not to be had.
    pub fn run<F, Proof, OneHandler>(self, function: F, _proof: Proof) -> Called<'a, M>
    where
        M: Message,
        F: Function<M, Arguments, Future: SendAsProven<Proof> + 'a>,
        Returned<<F::Future as Future>::Output>: Settles<M, OneHandler>,
    {
        match self.purpose {
            Purpose::Run { failed: Some(error), .. } => Err(error),
            Purpose::Run { message, cx, .. } => match function.call(message, self.arguments) {
                Some(future) => Ok(future.settled::<M, OneHandler>(cx.codec())),
                None => Err(HandlerError::new(DESCRIBED)),
            },
            Purpose::Describe(_) => Err(HandlerError::new(DESCRIBED)),
        }
    }
}

/// What no run meets: a call either runs the function, with all its arguments, or describes it.
const DESCRIBED: &str = "the arguments of the handler were described, and it was not run";

impl<M, Arguments> fmt::Debug for Call<'_, M, Arguments> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// Not public API. A function of a message and these arguments.
#[doc(hidden)]
pub trait Function<M, Arguments> {
    /// What it gives.
    type Future: Future;

    /// Calls it with all of them, if they are there.
    fn call(self, message: M, arguments: Arguments) -> Option<Self::Future>;
}

/// The type of arguments: those before the last one come first.
macro_rules! arguments {
    ($nested:tt) => { $nested };
    ($nested:tt $next:ident $($rest:ident)*) => { arguments!(($nested, Option<$next>) $($rest)*) };
}

/// Their pattern, where all are there.
macro_rules! supplied {
    ($nested:tt) => { $nested };
    ($nested:tt $next:ident $($rest:ident)*) => { supplied!(($nested, Some($next)) $($rest)*) };
}

macro_rules! function {
    ($($argument:ident)*) => {
        impl<F, R, M, $($argument),*> Function<M, arguments!(() $($argument)*)> for F
        where
            F: FnOnce(M, $($argument),*) -> R,
            R: Future,
        {
            type Future = R;

            #[allow(non_snake_case, reason = "each value is named as its type parameter")]
            fn call(self, message: M, arguments: arguments!(() $($argument)*)) -> Option<R> {
                match arguments {
                    supplied!(() $($argument)*) => Some(self(message, $($argument),*)),
                    #[allow(unreachable_patterns, reason = "there may be no arguments")]
                    _ => None,
                }
            }
        }
    };
}

function!();
function!(A);
function!(A B);
function!(A B C);
function!(A B C D);
function!(A B C D E);
function!(A B C D E G);
function!(A B C D E G H);
function!(A B C D E G H I);
function!(A B C D E G H I J);
function!(A B C D E G H I J K);
function!(A B C D E G H I J K L);
function!(A B C D E G H I J K L N);
function!(A B C D E G H I J K L N O);
function!(A B C D E G H I J K L N O P);
function!(A B C D E G H I J K L N O P Q);
function!(A B C D E G H I J K L N O P Q S);
