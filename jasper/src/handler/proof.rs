//! What `#[handler]` proves things with.

use crate::message::{Message, MessageType};

/// Not public API. Says that a type in a handler's signature is what it has to be.
///
/// Generated code computes the parameter in a block that does not compile where the type is not.
/// The compiler reports that block, takes the parameter for an error, and keeps silent about all
/// types that depend on it: so one mistake is one error.
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

/// Not public API. Compiles for the first argument of a handler only.
#[doc(hidden)]
pub const fn is_message<M: FirstArgument>() {}

/// Not public API. [`Message`], in the words of a handler.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the first argument of a handler is its message, and `{Self}` is not a message",
    label = "does not derive `Command` or `Event`",
    note = "put the message first; what else the handler needs comes after it",
    note = "if this is the message: derive `jasper::Command` for it if exactly one handler acts on \
            it, `jasper::Event` if any number may react"
)]
pub trait FirstArgument {
    /// The message itself. An error, where the derive has reported that it cannot be one.
    type Itself: Message;
}

#[diagnostic::do_not_recommend]
impl<M: Message> FirstArgument for M {
    type Itself = M;
}

/// Not public API. The message of a handler, as far as `Proof` holds.
#[doc(hidden)]
pub type Proved<M, Proof> = <Proven<M, Proof> as FirstArgument>::Itself;

/// Not public API. Compiles for a type that derives one of `Command` and `Event`, and one time. For
/// another one it adds no error to that of the derives, as its impls of `Message` are reported.
#[doc(hidden)]
pub const fn is_one_message<M: Message>() {}

/// Not public API. The type of `M`.
#[doc(hidden)]
pub fn message_type<M: Message>() -> MessageType {
    M::TYPE
}
