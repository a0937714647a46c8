//! Messages on their way out of a handler or a bus, encoded but not yet routed.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::options::DeliveryOptions;
use crate::codec::{Codec, CodecError};
use crate::message::kind::Kind;
use crate::message::{Message, MessageKind, MessageType};

/// One encoded message with what its type and its sender say about delivery.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Its wire name and version.
    pub message_type: MessageType,
    /// Command, event or routed command.
    pub kind: MessageKind,
    /// The endpoint that its type names.
    pub to: Option<&'static str>,
    /// The lifetime that its type gives it.
    pub deliver_within: Option<Duration>,
    /// How the payload is encoded.
    pub content_type: Cow<'static, str>,
    /// The encoded message.
    pub payload: Bytes,
    /// What the sender says.
    pub options: DeliveryOptions,
}

impl OutgoingMessage {
    /// Encodes a message.
    ///
    /// # Errors
    /// The codec cannot express it.
    pub fn encode<M: Message>(
        message: &M,
        options: DeliveryOptions,
        codec: &dyn Codec,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            message_type: M::TYPE,
            kind: M::Kind::KIND,
            to: M::TO,
            deliver_within: M::DELIVER_WITHIN,
            content_type: Cow::Borrowed(codec.content_type()),
            payload: codec.encode(M::ENCODING.encodable(message))?,
            options,
        })
    }
}

/// The messages that a handler returns, in the order in which they are found in its return value.
#[derive(Debug)]
pub struct Cascades<'run> {
    codec: &'run dyn Codec,
    messages: Vec<OutgoingMessage>,
}

impl<'run> Cascades<'run> {
    /// No messages yet; they will be encoded with `codec`.
    pub const fn new(codec: &'run dyn Codec) -> Self {
        Self { codec, messages: Vec::new() }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// The codec cannot express it.
    pub fn push<M: Message>(
        &mut self,
        message: &M,
        options: DeliveryOptions,
    ) -> Result<(), CodecError> {
        let message = OutgoingMessage::encode(message, options, self.codec).map_err(|error| {
            CodecError::new(format!("`{}` cannot be encoded: {error}", M::TYPE))
        })?;
        self.messages.push(message);
        Ok(())
    }

    pub(super) const fn codec(&self) -> &'run dyn Codec {
        self.codec
    }

    pub(super) fn extend(&mut self, messages: Vec<OutgoingMessage>) {
        if self.messages.is_empty() {
            self.messages = messages;
        } else {
            self.messages.extend(messages);
        }
    }

    /// Takes what has been added so far.
    pub fn take(&mut self) -> Vec<OutgoingMessage> {
        std::mem::take(&mut self.messages)
    }
}
