//! Deliveries from the client: messages, tokens and requests.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{Accepted, Body, DeliveryState, Rejected};
use fe2o3_amqp_types::performatives::{Disposition, Transfer};
use fe2o3_amqp_types::primitives::Value;

use super::super::address::{EntityName, Node};
use super::super::letter::{self, Letter};
use super::super::management;
use super::super::refusal::{ARGUMENT_ERROR, Refusal, SIZE_EXCEEDED, UNAUTHORIZED};
use super::super::reply::{self, ACCEPTED};
use super::super::shared::Direction;
use super::super::wire::WireError;
use super::links::{Link, Outgoing, Partial, SENDER_CREDIT};
use super::{Channel, Context};

impl Channel {
    pub(super) fn transfer(
        &mut self,
        transfer: Transfer,
        payload: &Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        self.next_incoming = self.next_incoming.wrapping_add(1);
        let handle = transfer.handle.0;
        // A link that was just detached may have had more frames under way.
        let Some(Link::Incoming(link)) = self.links.get_mut(&handle) else {
            return Ok(());
        };
        let partial = link.partial.get_or_insert_with(|| Partial {
            delivery_id: transfer.delivery_id.unwrap_or(0),
            format: transfer.message_format.unwrap_or(0),
            is_settled: false,
            bytes: Vec::new(),
        });
        partial.is_settled |= transfer.settled.unwrap_or(false);
        partial.bytes.extend_from_slice(payload);
        if partial.bytes.len() as u64 > context.shared.max_message_size {
            let refusal = too_large(context.shared.max_message_size);
            return self.detach(handle, Some(&refusal), context);
        }
        if transfer.more && !transfer.aborted {
            return Ok(());
        }
        let whole = link.partial.take().filter(|_| !transfer.aborted);
        link.delivery_count = link.delivery_count.wrapping_add(1);
        link.credit = link.credit.saturating_sub(1);
        let (node, is_low) = (link.node.clone(), link.credit <= SENDER_CREDIT / 2);
        if is_low {
            link.credit = SENDER_CREDIT;
        }
        if let Some(whole) = whole {
            self.delivered(&node, whole, context)?;
        }
        if is_low { self.send_flow(Some(handle), context) } else { Ok(()) }
    }

    fn delivered(
        &mut self,
        node: &Node,
        whole: Partial,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let outcome = match node {
            Node::Entity(entity) => enqueue(entity, &whole, context),
            Node::Cbs => self.request(node, &whole.bytes, context, put_token),
            Node::Management(entity) => {
                self.request(node, &whole.bytes, context, |request, context| {
                    let now = context.shared.clock.now();
                    let mut state = context.shared.state.lock();
                    let response = management::handle(&mut state.namespace, entity, request, now);
                    drop(state);
                    context.shared.wake_receivers();
                    response
                })
            }
        };
        if let Node::Entity(entity) = node
            && context.shared.state.lock().loses_outcome(entity, Direction::Sent)
        {
            return Err(WireError::Protocol("a test cuts the connection at a send"));
        }
        if whole.is_settled {
            return Ok(());
        }
        let state = match outcome {
            Ok(()) => DeliveryState::Accepted(Accepted {}),
            Err(refusal) => DeliveryState::Rejected(Rejected { error: Some(refusal.error()) }),
        };
        let disposition = Disposition {
            role: Role::Receiver,
            first: whole.delivery_id,
            last: None,
            settled: true,
            state: Some(state),
            batchable: false,
        };
        context.out.send(self.number, &disposition)
    }

    /// Answers a request on the link that it names, else on one of the same node: Python's client
    /// names none.
    fn request(
        &mut self,
        node: &Node,
        bytes: &[u8],
        context: &mut Context<'_>,
        answer: impl FnOnce(&Letter, &mut Context<'_>) -> Letter,
    ) -> Result<(), Refusal> {
        let request = letter::decode(bytes)?;
        let reply_to = request.properties.as_ref().and_then(|it| it.reply_to.clone());
        let response = answer(&request, context);
        let response = letter::encode(&response).map_err(|error| {
            Refusal::new(ARGUMENT_ERROR, format!("The response cannot be written: {error}"))
        })?;
        let of_node = self.links.values_mut().filter_map(|link| match link {
            Link::Outgoing(link) if link.node == *node => Some(link),
            _ => None,
        });
        let is_named = |link: &&mut Outgoing| reply_to.is_some() && link.reply_address == reply_to;
        if let Some(link) = of_node.max_by_key(|link| is_named(link)) {
            link.outbox.push_back(response);
        }
        Ok(())
    }
}

fn enqueue(entity: &EntityName, whole: &Partial, context: &Context<'_>) -> Result<(), Refusal> {
    let letters = letter::decode_all(&whole.bytes, whole.format)?;
    let now = context.shared.clock.now();
    let mut state = context.shared.state.lock();
    let outcome = match state.next_refusal(entity) {
        Some(refusal) => Err(refusal),
        None => state.namespace.send(entity, letters, now).map(drop),
    };
    drop(state);
    context.shared.wake_receivers();
    outcome
}

/// `put-token`: opens a path to the connection.
fn put_token(request: &Letter, context: &mut Context<'_>) -> Letter {
    let token = match &request.body {
        Body::Value(value) => reply::text(&value.0),
        _ => None,
    };
    let now_s = context.shared.clock.now() / 1000;
    let opened = token.and_then(|token| context.shared.key.opens(token, now_s));
    match opened {
        Some((path, until_s)) => {
            context.access.open(&path, until_s.saturating_mul(1_000));
            reply::response(request, ACCEPTED, "Accepted", Value::Null)
        }
        None => {
            let description = "InvalidSignature: The token has an invalid signature.";
            reply::refused(request, &Refusal::new(UNAUTHORIZED, description))
        }
    }
}

fn too_large(limit: u64) -> Refusal {
    let description = format!("The message is larger than the limit of {limit} bytes.");
    Refusal::new(SIZE_EXCEEDED, description)
}
