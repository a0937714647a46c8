//! From a message to its envelope.

use std::sync::LazyLock;

use crate::caught::caught;
use crate::codec::CodecError;
use crate::envelope::{Address, Envelope, Excess, MessageId, time};
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage, RunScope};
use crate::message::{Message, MessageType};
use crate::runtime::core::Core;

/// The destination of an envelope until it has one: replaced for each.
static UNPLACED: LazyLock<Address> = LazyLock::new(|| Address::local("", ""));

/// Encodes a message, without options.
pub(crate) fn encode<M: Message>(core: &Core, message: &M) -> Result<OutgoingMessage, SendError> {
    core.routes().check_sent(&M::TYPE)?;
    let encode = || OutgoingMessage::encode(message, DeliveryOptions::new(), core.codec());
    let panicked = |panic| Err(CodecError::new(format!("that panicked: {panic}")));
    let encoded = caught(encode).unwrap_or_else(panicked);
    encoded.map_err(|source| SendError::Encode { message_type: M::TYPE, source })
}

/// The envelope of a message, wherever it goes: every way out leads through here, and what no
/// reader would take goes no further.
pub(crate) fn envelope(
    core: &Core,
    message: OutgoingMessage,
    scope: Option<&RunScope>,
    commits_with_run: bool,
) -> Result<Envelope, SendError> {
    let of_type = message.deliver_within;
    let OutgoingMessage { message_type, content_type, payload, options, .. } = message;
    let sent_at = core.clock().next();
    let mut envelope =
        Envelope::sent(message_type, content_type, payload, UNPLACED.clone(), sent_at);
    envelope.source = Some(core.settings().service.clone());
    envelope.headers = options.headers;
    let due_after = options.delay.map(|delay| time::after(envelope.sent_at, delay));
    envelope.due_at = options.due_at.or(due_after);
    let within = options.deliver_within.or(of_type);
    envelope.deliver_by = within.map(|within| time::after(envelope.sent_at, within));
    if let Some(scope) = scope {
        scope.causation().pass_on(&mut envelope);
        if commits_with_run {
            scope.derive_id(&mut envelope);
        }
    }
    envelope.group_id = options.group_id;
    if options.tenant_id.is_some() {
        envelope.tenant_id = options.tenant_id;
    }
    if options.correlation_id.is_some() {
        envelope.correlation_id = options.correlation_id;
    }
    if let Some(key) = options.deduplication_id {
        if !core.store().is_configured() {
            return Err(SendError::NeedsStore { what: "a deduplication key" });
        }
        let message_type = envelope.message_type.to_string();
        envelope.id = MessageId::of_deduplication_id(&message_type, &key);
        envelope.deduplication_id = Some(key);
    }
    envelope.check().map_err(|excess| too_large(&envelope.message_type, excess))?;
    Ok(envelope)
}

/// Refuses a message that no envelope can hold, before anything is done for it.
pub(crate) fn check(message: &OutgoingMessage) -> Result<(), SendError> {
    message.options.check().map_err(|excess| too_large(&message.message_type, excess))
}

fn too_large(message_type: &MessageType, excess: Excess) -> SendError {
    SendError::TooLarge { message_type: message_type.clone(), excess }
}
