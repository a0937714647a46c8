//! What a message follows from.

use std::time::SystemTime;

use crate::envelope::{Envelope, MessageId, time};

/// What the messages of one run of a handler follow from, and inherit.
#[derive(Debug, Clone)]
pub struct Causation {
    id: MessageId,
    sent_at: SystemTime,
    handler: &'static str,
    conversation_id: MessageId,
    correlation_id: Option<String>,
    tenant_id: Option<String>,
    traceparent: Option<String>,
}

impl Causation {
    /// Of a run in which `handler` handles this envelope.
    pub(crate) fn of(envelope: &Envelope, handler: &'static str) -> Self {
        Self {
            id: envelope.id,
            sent_at: envelope.sent_at,
            handler,
            conversation_id: envelope.conversation_id,
            correlation_id: envelope.correlation_id.clone(),
            tenant_id: envelope.tenant_id.clone(),
            traceparent: envelope.traceparent.clone(),
        }
    }

    /// Of a run in which `handler` is invoked, within `parent` where a handler invokes another.
    pub(crate) fn of_invocation(handler: &'static str, parent: Option<&Self>) -> Self {
        let id = MessageId::new();
        Self {
            id,
            sent_at: time::now(),
            handler,
            conversation_id: parent.map_or(id, |parent| parent.conversation_id),
            correlation_id: parent.and_then(|parent| parent.correlation_id.clone()),
            tenant_id: parent.and_then(|parent| parent.tenant_id.clone()),
            traceparent: parent.and_then(|parent| parent.traceparent.clone()),
        }
    }

    /// Writes into `envelope` what it inherits.
    pub(crate) fn pass_on(&self, envelope: &mut Envelope) {
        envelope.conversation_id = self.conversation_id;
        envelope.causation_id = Some(self.id);
        envelope.correlation_id.clone_from(&self.correlation_id);
        envelope.tenant_id.clone_from(&self.tenant_id);
        envelope.traceparent.clone_from(&self.traceparent);
    }

    /// The id of the message that a run sends as its `ordinal`th: the same in each repetition.
    pub(crate) fn derived_id(&self, ordinal: usize) -> MessageId {
        self.id.derived(self.sent_at, self.handler, ordinal)
    }

    /// The message being handled, or the invocation's own id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// The first message of the chain.
    pub const fn conversation_id(&self) -> MessageId {
        self.conversation_id
    }

    /// The handler whose run it is.
    pub const fn handler(&self) -> &'static str {
        self.handler
    }
}
