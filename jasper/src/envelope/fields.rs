//! The envelope and what stands in it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::address::Address;
use super::headers::Headers;
use super::id::MessageId;
use super::time;
use crate::message::MessageType;

/// One message on its way to one destination.
///
/// Cloning is cheap: the payload is shared, not copied. `Debug` never shows the payload.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Names the message; a message published to several destinations keeps one id for all.
    pub id: MessageId,
    /// The wire name and version of the payload.
    pub message_type: MessageType,
    /// How the payload is encoded, such as `application/json`.
    pub content_type: Cow<'static, str>,
    /// The encoded message.
    pub payload: Bytes,
    /// Loose headers; no typed field can be set through them.
    pub headers: Headers,
    /// Where it goes.
    pub destination: Address,
    /// The service that sent it, as the message says: a claim. [`peer`](Self::peer) is proved.
    pub source: Option<String>,
    /// Carried for the application; jasper does nothing with it.
    pub reply_to: Option<Address>,
    /// Ties together what belongs to one request of the outside world.
    pub correlation_id: Option<String>,
    /// The id of the first message of the chain that led here.
    pub conversation_id: MessageId,
    /// The id of the message whose handling sent this one.
    pub causation_id: Option<MessageId>,
    /// The W3C trace context of the sender. It is passed on to what follows from the message;
    /// jasper does nothing else with it.
    pub traceparent: Option<String>,
    /// Carried for the application; jasper does nothing with it.
    pub saga_id: Option<String>,
    /// The tenant that it belongs to.
    pub tenant_id: Option<String>,
    /// Carried for the application; jasper does nothing with it.
    pub group_id: Option<String>,
    /// A business key: two messages with one key are one message within the store's window.
    pub deduplication_id: Option<String>,
    /// When it was sent.
    pub sent_at: SystemTime,
    /// After this moment it is not worth handling.
    pub deliver_by: Option<SystemTime>,
    /// Not to be handled before this moment.
    pub due_at: Option<SystemTime>,
    /// How many runs of its handler have been counted so far, the running one included.
    pub attempts: u32,
    /// Whether a broker has said that it may have delivered it before: a first run may have begun.
    /// Where it says so of none, as over TCP, this is false.
    pub redelivered: bool,
    /// No message can say it of itself: the receiver sets it for all that it takes.
    pub(crate) peer: Option<Arc<str>>,
}

impl Envelope {
    /// An envelope with a new id, sent now, that starts a conversation of its own.
    pub fn new(
        message_type: MessageType,
        content_type: impl Into<Cow<'static, str>>,
        payload: Bytes,
        destination: Address,
    ) -> Self {
        Self::sent(message_type, content_type.into(), payload, destination, time::next())
    }

    /// The same, sent at this time.
    pub(crate) fn sent(
        message_type: MessageType,
        content_type: Cow<'static, str>,
        payload: Bytes,
        destination: Address,
        sent_at: SystemTime,
    ) -> Self {
        let id = MessageId::new();
        Self {
            id,
            message_type,
            content_type,
            payload,
            headers: Headers::default(),
            destination,
            source: None,
            reply_to: None,
            correlation_id: None,
            conversation_id: id,
            causation_id: None,
            traceparent: None,
            saga_id: None,
            tenant_id: None,
            group_id: None,
            deduplication_id: None,
            sent_at,
            deliver_by: None,
            due_at: None,
            attempts: 0,
            redelivered: false,
            peer: None,
        }
    }

    /// The name of the peer that sent it, as it was proved to the listener that took it: by a key
    /// or by a certificate.
    ///
    /// `None` where the transport asks for no proof, as RabbitMQ and a listener without peers do,
    /// and for a message of this application. It is stored with the message and not passed on.
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// Whether its `deliver_by` has passed.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.deliver_by.is_some_and(|limit| limit <= now)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("message_type", &self.message_type)
            .field("destination", &self.destination)
            .field("attempts", &self.attempts)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
