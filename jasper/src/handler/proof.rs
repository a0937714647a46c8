//! What `#[handler]` proves things with.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use crate::message::kind::Kind;
use crate::message::{Message, MessageKind, MessageType};

/// Not public API. What the marker of a handler consists of: it has no values.
#[doc(hidden)]
pub struct Marker<Message>(Infallible, PhantomData<Message>);

impl<Message> fmt::Debug for Marker<Message> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

/// Not public API. Says that a type in a handler's signature is what it has to be.
///
/// Generated code computes the parameter in a block that does not compile where the type is not. The compiler reports
/// that block, takes the parameter for an error, and keeps silent about all types that depend on it: so one mistake
/// is one error.
#[doc(hidden)]
#[derive(Debug)]
pub struct Holds<const YES: bool>;

/// Not public API. `T`, as far as `Proof` holds.
#[doc(hidden)]
pub type Proven<T, Proof> = <Proof as Proves<T>>::Same;

/// See [`Proven`].
#[doc(hidden)]
pub trait Proves<T> {
    /// The type itself.
    type Same;
}

impl<T> Proves<T> for Holds<true> {
    type Same = T;
}

/// Not public API. Compiles for a message only.
#[doc(hidden)]
pub const fn is_message<M: Message>() {}

/// Not public API. The type of `M`.
#[doc(hidden)]
pub fn message_type<M: Message>() -> MessageType {
    M::TYPE
}

/// Not public API. The kind of `M`.
#[doc(hidden)]
pub const fn kind<M: Message>() -> MessageKind {
    <M::Kind as Kind>::KIND
}
