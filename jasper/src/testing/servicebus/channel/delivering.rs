//! Deliveries to the client.

use fe2o3_amqp_types::definitions::{DeliveryTag, Handle};
use fe2o3_amqp_types::performatives::Transfer;
use uuid::Uuid;

use super::super::address::{EntityName, Node};
use super::super::refusal::Refusal;
use super::super::wire::{self, WireError};
use super::links::{Link, Outgoing};
use super::{Channel, Context, Unsettled};

/// The next thing that goes out on a link.
struct Parcel {
    token: Uuid,
    bytes: Vec<u8>,
    is_locked: bool,
}

impl Channel {
    /// Sends what there is to the links that have credit for it.
    pub(in super::super) fn deliver(&mut self, context: &mut Context<'_>) -> Result<(), WireError> {
        self.try_waiting(context)?;
        let handles: Vec<u32> = self.links.keys().copied().collect();
        for handle in handles {
            self.deliver_to(handle, context)?;
        }
        Ok(())
    }

    fn deliver_to(&mut self, handle: u32, context: &mut Context<'_>) -> Result<(), WireError> {
        let Some(Link::Outgoing(link)) = self.links.get(&handle) else {
            return Ok(());
        };
        if has_lost_session(link, context) {
            return self.detach(handle, Some(&Refusal::session_lock_lost()), context);
        }
        let delivered_before = self.next_delivery;
        while self.remote_window > 0 {
            let Some(Link::Outgoing(link)) = self.links.get_mut(&handle) else {
                return Ok(());
            };
            let Some(parcel) = next_parcel(link, context)? else {
                break;
            };
            link.credit -= 1;
            link.delivery_count = link.delivery_count.wrapping_add(1);
            let entity = link.node.entity().filter(|_| parcel.is_locked).cloned();
            self.send_parcel(handle, entity, &parcel, context)?;
        }
        if self.next_delivery != delivered_before {
            context.shared.note_change();
        }
        self.end_drain(handle, context)
    }

    fn send_parcel(
        &mut self,
        handle: u32,
        entity: Option<EntityName>,
        parcel: &Parcel,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let delivery_id = self.next_delivery;
        self.next_delivery = self.next_delivery.wrapping_add(1);
        let transfer = Transfer {
            handle: Handle(handle),
            delivery_id: Some(delivery_id),
            // As .NET writes a GUID: its first three fields with the low byte first.
            delivery_tag: Some(DeliveryTag::from(parcel.token.to_bytes_le())),
            message_format: Some(0),
            settled: Some(entity.is_none()),
            more: false,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: entity.is_some(),
        };
        let out = &mut *context.out;
        let size = out.max_frame_size;
        let frames =
            wire::encode_transfer(self.number, transfer, &parcel.bytes, size, &mut out.buffer)?;
        self.next_outgoing = self.next_outgoing.wrapping_add(frames);
        self.remote_window = self.remote_window.saturating_sub(frames);
        if let Some(entity) = entity {
            self.unsettled.insert(delivery_id, Unsettled { entity, token: parcel.token });
        }
        Ok(())
    }

    /// A client that drains wants its unused credit back.
    fn end_drain(&mut self, handle: u32, context: &mut Context<'_>) -> Result<(), WireError> {
        let has_window = self.remote_window > 0;
        match self.links.get_mut(&handle) {
            Some(Link::Outgoing(link)) if link.is_draining && has_window => {
                link.delivery_count = link.delivery_count.wrapping_add(link.credit);
                link.credit = 0;
                self.send_flow(Some(handle), context)?;
                if let Some(Link::Outgoing(link)) = self.links.get_mut(&handle) {
                    link.is_draining = false;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn has_lost_session(link: &Outgoing, context: &Context<'_>) -> bool {
    let (Some(session), Node::Entity(name)) = (&link.session, &link.node) else {
        return false;
    };
    let mut state = context.shared.state.lock();
    let entity = state.namespace.receiving(name);
    entity.is_ok_and(|entity| !entity.holds_session(session, link.receiver))
}

fn next_parcel(link: &mut Outgoing, context: &Context<'_>) -> Result<Option<Parcel>, WireError> {
    if link.credit == 0 {
        return Ok(None);
    }
    let Node::Entity(name) = &link.node else {
        let response = link.outbox.pop_front();
        let token = Uuid::from_u128(fastrand::u128(..));
        return Ok(response.map(|bytes| Parcel { token, bytes, is_locked: false }));
    };
    let now = context.shared.clock.now();
    let mut state = context.shared.state.lock();
    let Ok(entity) = state.namespace.receiving(name) else {
        return Ok(None);
    };
    let before = entity.counts().active;
    let Some(delivery) = entity.take(link.session.as_deref(), link.is_locking, now) else {
        // What has expired was removed when it was looked at.
        if entity.counts().active != before {
            context.shared.note_change();
        }
        return Ok(None);
    };
    let bytes = delivery.message.encode(delivery.locked_until)?;
    Ok(Some(Parcel { token: delivery.token, bytes, is_locked: link.is_locking }))
}
