//! One session of AMQP with its links: what comes in and what goes out on it.

mod attaching;
mod delivering;
mod links;
mod receiving;
mod settling;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::{Handle, Role};
use fe2o3_amqp_types::performatives::{Begin, Detach, Flow, Performative};
use serde::Serialize;
use uuid::Uuid;

use self::links::{Link, Waiting};
use super::access::Access;
use super::address::{EntityName, Node};
use super::refusal::{Refusal, UNAUTHORIZED};
use super::shared::Shared;
use super::wire::{self, AMQP_FRAME, WireError};

/// Of transfers, in both directions: no client here needs a limit below that of its credit.
const WINDOW: u32 = i32::MAX as u32;
const FIRST_OUTGOING: u32 = 1;

#[derive(Debug)]
pub(super) struct Channel {
    number: u16,
    next_outgoing: u32,
    next_incoming: u32,
    remote_window: u32,
    next_delivery: u32,
    links: BTreeMap<u32, Link>,
    waiting: BTreeMap<u32, Waiting>,
    unsettled: BTreeMap<u32, Unsettled>,
}

/// A delivery that its receiver has not settled.
#[derive(Debug)]
struct Unsettled {
    entity: EntityName,
    token: Uuid,
}

/// What a channel works with, beside itself.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) shared: &'a Shared,
    pub(super) out: &'a mut Output,
    pub(super) access: &'a mut Access,
}

/// Frames that are to be written.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) buffer: BytesMut,
    pub(super) max_frame_size: usize,
}

impl Output {
    pub(super) fn send(&mut self, channel: u16, body: &impl Serialize) -> Result<(), WireError> {
        wire::encode(AMQP_FRAME, channel, body, &mut self.buffer)
    }
}

impl Channel {
    /// Begins the session that the client has begun on this channel.
    pub(super) fn begin(
        number: u16,
        begin: &Begin,
        context: &mut Context<'_>,
    ) -> Result<Self, WireError> {
        let answer = Begin {
            remote_channel: Some(number),
            next_outgoing_id: FIRST_OUTGOING,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: Handle(u32::from(u8::MAX)),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        context.out.send(number, &answer)?;
        Ok(Self {
            number,
            next_outgoing: FIRST_OUTGOING,
            next_incoming: begin.next_outgoing_id,
            remote_window: begin.incoming_window,
            next_delivery: 0,
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        })
    }

    /// Handles what has come on this channel.
    pub(super) fn handle(
        &mut self,
        performative: Performative,
        payload: &Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        match performative {
            Performative::Attach(attach) => self.attach(attach, context),
            Performative::Flow(flow) => self.flow(&flow, context),
            Performative::Transfer(transfer) => self.transfer(transfer, payload, context),
            Performative::Disposition(disposition) => self.settle(&disposition, context),
            Performative::Detach(detach) => self.client_detaches(&detach, context),
            _ => Err(WireError::Protocol("a frame that does not belong into a session")),
        }
    }

    /// Detaches the links of an entity, as the service does when something is wrong.
    pub(super) fn detach_all(
        &mut self,
        entity: &EntityName,
        refusal: &Refusal,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let is_meant = |link: &Link| match link {
            Link::Incoming(link) => matches!(&link.node, Node::Entity(it) if it == entity),
            Link::Outgoing(link) => matches!(&link.node, Node::Entity(it) if it == entity),
        };
        let meant = self.links.iter().filter(|(_, link)| is_meant(link));
        let handles: Vec<u32> = meant.map(|(handle, _)| *handle).collect();
        handles.into_iter().try_for_each(|handle| self.detach(handle, Some(refusal), context))
    }

    /// Detaches the links that no token opens any more.
    pub(super) fn detach_closed(&mut self, context: &mut Context<'_>) -> Result<(), WireError> {
        let is_closed = |link: &Link| {
            let node = match link {
                Link::Incoming(link) => &link.node,
                Link::Outgoing(link) => &link.node,
            };
            node.entity().is_some_and(|entity| !context.access.allows(entity))
        };
        let closed = self.links.iter().filter(|(_, link)| is_closed(link));
        let handles: Vec<u32> = closed.map(|(handle, _)| *handle).collect();
        let refusal = Refusal::new(UNAUTHORIZED, "ExpiredToken: The token has expired.");
        handles.into_iter().try_for_each(|handle| self.detach(handle, Some(&refusal), context))
    }

    /// Gives back what the links of this channel hold.
    pub(super) fn release(&mut self, shared: &Shared) {
        for link in std::mem::take(&mut self.links).into_values() {
            release_session(&link, shared);
        }
        self.waiting.clear();
    }

    /// When the first link that waits for a session is given up.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.waiting.values().map(|waiting| waiting.deadline).min()
    }

    fn client_detaches(
        &mut self,
        detach: &Detach,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let handle = detach.handle.0;
        let is_known = self.links.contains_key(&handle) | self.waiting.contains_key(&handle);
        if is_known { self.detach(handle, None, context) } else { Ok(()) }
    }

    fn detach(
        &mut self,
        handle: u32,
        refusal: Option<&Refusal>,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        self.waiting.remove(&handle);
        if let Some(link) = self.links.remove(&handle) {
            release_session(&link, context.shared);
        }
        let error = refusal.map(Refusal::error);
        context.out.send(self.number, &Detach { handle: Handle(handle), closed: true, error })
    }

    fn flow(&mut self, flow: &Flow, context: &mut Context<'_>) -> Result<(), WireError> {
        let next_incoming = flow.next_incoming_id.unwrap_or(FIRST_OUTGOING);
        self.remote_window =
            next_incoming.wrapping_add(flow.incoming_window).wrapping_sub(self.next_outgoing);
        let Some(handle) = flow.handle.as_ref().map(|handle| handle.0) else {
            return if flow.echo { self.send_flow(None, context) } else { Ok(()) };
        };
        if let Some(Link::Outgoing(link)) = self.links.get_mut(&handle) {
            let granted =
                flow.delivery_count.unwrap_or(0).wrapping_add(flow.link_credit.unwrap_or(0));
            link.credit = granted.wrapping_sub(link.delivery_count);
            // What was sent before the client took credit back has used it already.
            if link.credit > WINDOW {
                link.credit = 0;
            }
            link.is_draining = flow.drain;
        }
        if flow.echo { self.send_flow(Some(handle), context) } else { Ok(()) }
    }

    fn send_flow(&self, handle: Option<u32>, context: &mut Context<'_>) -> Result<(), WireError> {
        let state = handle.and_then(|handle| self.links.get(&handle)).map(|link| match link {
            Link::Incoming(link) => (link.delivery_count, link.credit, false),
            Link::Outgoing(link) => (link.delivery_count, link.credit, link.is_draining),
        });
        let flow = Flow {
            next_incoming_id: Some(self.next_incoming),
            incoming_window: WINDOW,
            next_outgoing_id: self.next_outgoing,
            outgoing_window: WINDOW,
            handle: state.and(handle).map(Handle),
            delivery_count: state.map(|(count, _, _)| count),
            link_credit: state.map(|(_, credit, _)| credit),
            available: None,
            drain: state.is_some_and(|(_, _, is_draining)| is_draining),
            echo: false,
            properties: None,
        };
        context.out.send(self.number, &flow)
    }
}

fn release_session(link: &Link, shared: &Shared) {
    let Link::Outgoing(link) = link else {
        return;
    };
    if let (Some(session), Node::Entity(name)) = (&link.session, &link.node) {
        if let Ok(entity) = shared.state.lock().namespace.receiving(name) {
            entity.release_session(session, link.receiver);
        }
        shared.wake_receivers();
    }
}

/// Which side the broker is on, where the client is on the other one.
fn other_role(role: &Role) -> Role {
    match role {
        Role::Sender => Role::Receiver,
        Role::Receiver => Role::Sender,
    }
}
