//! What is said: message types, their kinds and their stable wire names.

mod encodable;
pub mod kind;
mod message_type;
mod payload;
mod registration;
mod reply;

use std::time::Duration;

pub use self::encodable::Encodable;
pub use self::kind::MessageKind;
pub use self::message_type::{MessageType, ParseMessageTypeError};
pub use self::payload::{Encoding, Payload, encoding};
pub use self::registration::{MessageRegistration, SourceLocation};

#[doc(hidden)]
pub use self::reply::{is_decodable_reply, is_encodable_reply};

/// A type that travels in an [`Envelope`](crate::envelope::Envelope).
///
/// Derive it with `#[derive(Command)]` or `#[derive(Event)]`; the derive also lets handlers return
/// the type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "does not derive `Command` or `Event`",
    note = "derive `jasper::Command` if exactly one handler acts on it, `jasper::Event` if any \
            number may react",
    note = "a message is also `Serialize` and `Deserialize`: derive those of `serde` beside it",
    note = "many messages of one type are sent by `bus.send_all(…)`"
)]
pub trait Message: Send + Sized + 'static {
    /// One of the markers in [`kind`]: decides which handlers it may have.
    type Kind: kind::Kind;

    /// What `Bus::invoke` answers with; `()` where `#[command(reply = …)]` names nothing.
    ///
    /// With `to = "…"` it is `Serialize` and `Deserialize`, as it travels encoded.
    type Reply: Send + 'static;

    /// The stable name and version under which the message is stored and sent, never a Rust path.
    const TYPE: MessageType;

    /// How it is encoded and decoded: `encoding()`.
    ///
    /// A value and not a bound of this trait, so that a message which cannot be encoded is one
    /// error, at the message, and not one more at each of its handlers.
    const ENCODING: Encoding<Self>;

    /// The endpoint name or address of `#[command(to = "…")]`.
    const TO: Option<&'static str> = None;

    /// How long after sending the message is still worth handling.
    const DELIVER_WITHIN: Option<Duration> = None;

    /// The reply as a codec takes it, where it travels to another process or through a queue.
    /// `None`: commands of this type are answered in this process only, so that their reply need
    /// not be `Serialize`.
    fn encodable_reply(_reply: &Self::Reply) -> Option<&dyn Encodable> {
        None
    }
}
