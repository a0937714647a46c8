//! Messages of programs that know nothing of jasper, and what turns them into envelopes.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use crate::envelope::{Address, Envelope, Headers, MessageId};
use crate::message::MessageType;

/// Turns messages of programs that know nothing of jasper into envelopes, and back.
///
/// A transport that has foreign messages takes mappers by name, and its addresses name one:
/// `?mapper=legacy`. Where a mapper says `None`, the transport does what it does without one.
/// A panic is an error like another.
pub trait EnvelopeMapper: fmt::Debug + Send + Sync + 'static {
    /// The envelope that a message is which has come to this listener. Its destination is set to
    /// the listener, whatever the mapper says.
    ///
    /// # Errors
    /// It is none: with a store, it is kept as an invalid message with these words, and it is
    /// acknowledged to the broker; without a store it is refused. It is not read again.
    fn read(
        &self,
        message: &ForeignMessage,
        listener: &Address,
    ) -> Result<Option<Envelope>, MapperError>;

    /// The message that an envelope is sent as.
    ///
    /// # Errors
    /// It cannot be sent so: it becomes a dead letter with the reason
    /// [`Refused`](crate::store::DeadLetterReason::Refused) and these words. Other messages go on.
    fn write(&self, _envelope: &Envelope) -> Result<Option<ForeignMessage>, MapperError> {
        Ok(None)
    }
}

/// Why a mapper does not take a message.
pub type MapperError = Box<dyn Error + Send + Sync>;

/// A message as brokers have it. `Debug` shows neither its body nor its headers.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ForeignMessage {
    /// Its bytes.
    pub body: Bytes,
    /// How the body is encoded.
    pub content_type: Option<String>,
    /// What kind of message it is: the property `type` in RabbitMQ.
    pub kind: Option<String>,
    /// Its id, of any form.
    pub id: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// Where an answer is wanted.
    pub reply_to: Option<String>,
    /// Which program has sent it: the property `app-id` in RabbitMQ.
    pub source: Option<String>,
    /// When it was sent, in whole seconds.
    pub sent_at: Option<SystemTime>,
    /// Under which key it was sent; of a message to be sent, where the address has none.
    pub routing_key: Option<String>,
    /// All headers whose values are texts, numbers or yes and no, as text.
    pub headers: Headers,
}

impl ForeignMessage {
    /// A message with this body and nothing else.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// An envelope with this payload and with the id, the source, the time and the correlation id
    /// of the message; its headers are not in it.
    pub fn envelope(
        &self,
        message_type: MessageType,
        content_type: &'static str,
        payload: impl Into<Bytes>,
        destination: &Address,
    ) -> Envelope {
        let (payload, to) = (payload.into(), destination.clone());
        let mut envelope = Envelope::new(message_type, content_type, payload, to);
        if let Some(id) = &self.id {
            envelope.id = message_id(id);
            envelope.conversation_id = envelope.id;
        }
        envelope.source.clone_from(&self.source);
        envelope.correlation_id.clone_from(&self.correlation_id);
        envelope.sent_at = self.sent_at.unwrap_or(envelope.sent_at);
        envelope
    }
}

impl fmt::Debug for ForeignMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignMessage")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An id that is no UUID gives one, the same for the same text.
pub(crate) fn message_id(text: &str) -> MessageId {
    match Uuid::from_str(text) {
        Ok(uuid) => uuid.into(),
        Err(_error) => MessageId::of_bytes(text.as_bytes()),
    }
}
