//! Links that are attached: rights, entities, sessions.

use std::collections::VecDeque;

use fe2o3_amqp_types::definitions::{Fields, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::TargetArchetype;
use fe2o3_amqp_types::performatives::Attach;
use fe2o3_amqp_types::primitives::{Symbol, Value};

use super::super::address::Node;
use super::super::clock::ticks;
use super::super::refusal::{NOT_ALLOWED, Refusal, TIMEOUT, UNAUTHORIZED};
use super::super::reply;
use super::super::wire::WireError;
use super::links::{Incoming, Link, Outgoing, SENDER_CREDIT, Waiting};
use super::{Channel, Context, other_role};

const SESSION_FILTER: &str = "com.microsoft:session-filter";
const LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";
const TIMEOUT_PROPERTY: &str = "com.microsoft:timeout";
/// How long a link waits for a session where the client does not say, in milliseconds.
const SESSION_WAIT_MS: i64 = 60_000;

/// Which session a link asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Next,
    Named(String),
}

impl Channel {
    pub(super) fn attach(
        &mut self,
        attach: Attach,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let outcome = match attach.role {
            Role::Sender => sender_link(&attach, context).map(Some),
            Role::Receiver => self.attach_receiver(&attach, context),
        };
        match outcome {
            Ok(Some(link)) => self.attached(attach, link, None, context),
            Ok(None) => self.try_waiting(context),
            Err(refusal) => self.refuse(attach, &refusal, context),
        }
    }

    /// A link, or `None` where it waits for a session.
    fn attach_receiver(
        &mut self,
        attach: &Attach,
        context: &Context<'_>,
    ) -> Result<Option<Link>, Refusal> {
        let address = attach.source.as_ref().and_then(|source| source.address.clone());
        let node = Node::parse(&address.unwrap_or_default());
        authorize(&node, context)?;
        let wanted = wanted_session(attach);
        let mut state = context.shared.state.lock();
        match &node {
            Node::Cbs => {}
            Node::Management(entity) => drop(state.namespace.any(entity)?),
            Node::Entity(entity) => {
                let requires_session = state.namespace.receiving(entity)?.requires_session();
                check_session(requires_session, &wanted)?;
            }
        }
        if wanted != Wanted::Nothing {
            let wait =
                attach.properties.as_ref().and_then(|it| it.get(&Symbol::from(TIMEOUT_PROPERTY)));
            let wait = wait.and_then(reply::number).unwrap_or(SESSION_WAIT_MS);
            let deadline = context.shared.clock.now().saturating_add(wait);
            let waiting = Waiting { attach: attach.clone(), deadline };
            self.waiting.insert(attach.handle.0, waiting);
            return Ok(None);
        }
        let receiver = state.next_number();
        Ok(Some(Link::Outgoing(outgoing(node, attach, receiver, None))))
    }

    /// Attaches the links whose session has become free, and gives those up that have waited long
    /// enough.
    pub(in super::super) fn try_waiting(
        &mut self,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let handles: Vec<u32> = self.waiting.keys().copied().collect();
        for handle in handles {
            let Some(waiting) = self.waiting.get(&handle) else {
                continue;
            };
            match lock_session(waiting, context) {
                Ok(Some((link, until))) => {
                    if let Some(waiting) = self.waiting.remove(&handle) {
                        self.attached(waiting.attach, Link::Outgoing(link), Some(until), context)?;
                    }
                    context.shared.note_change();
                }
                Ok(None) => {}
                Err(refusal) => {
                    if let Some(waiting) = self.waiting.remove(&handle) {
                        self.refuse(waiting.attach, &refusal, context)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn attached(
        &mut self,
        attach: Attach,
        link: Link,
        session_until: Option<i64>,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let handle = attach.handle.0;
        let is_incoming = matches!(link, Link::Incoming(_));
        let mut answer = answer(attach, context.shared.max_message_size);
        if let Link::Outgoing(Outgoing { session: Some(session), .. }) = &link {
            name_session(&mut answer, session);
            let mut properties = Fields::new();
            let until = Value::Long(ticks(session_until.unwrap_or(0)));
            properties.insert(Symbol::from(LOCKED_UNTIL), until);
            answer.properties = Some(properties);
        }
        context.out.send(self.number, &answer)?;
        self.links.insert(handle, link);
        if is_incoming { self.send_flow(Some(handle), context) } else { Ok(()) }
    }

    /// The protocol's way to refuse a link: attached without a terminus, and detached.
    fn refuse(
        &mut self,
        attach: Attach,
        refusal: &Refusal,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let handle = attach.handle.0;
        let mut answer = answer(attach, context.shared.max_message_size);
        match answer.role {
            Role::Sender => answer.source = None,
            Role::Receiver => answer.target = None,
        }
        context.out.send(self.number, &answer)?;
        self.detach(handle, Some(refusal), context)
    }
}

fn sender_link(attach: &Attach, context: &Context<'_>) -> Result<Link, Refusal> {
    let node = Node::parse(&target_address(attach).unwrap_or_default());
    authorize(&node, context)?;
    let mut state = context.shared.state.lock();
    match &node {
        Node::Cbs => {}
        Node::Management(entity) => drop(state.namespace.any(entity)?),
        Node::Entity(entity) => state.namespace.check_sending(entity)?,
    }
    let link = Incoming { node, credit: SENDER_CREDIT, delivery_count: 0, partial: None };
    Ok(Link::Incoming(link))
}

fn answer(attach: Attach, max_message_size: u64) -> Attach {
    let role = other_role(&attach.role);
    let initial_delivery_count = matches!(role, Role::Sender).then_some(0);
    Attach {
        role,
        initial_delivery_count,
        unsettled: None,
        incomplete_unsettled: false,
        max_message_size: Some(max_message_size),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
        ..attach
    }
}

fn outgoing(node: Node, attach: &Attach, receiver: u64, session: Option<String>) -> Outgoing {
    let is_entity = matches!(node, Node::Entity(_));
    Outgoing {
        node,
        reply_address: target_address(attach),
        receiver,
        is_locking: is_entity && attach.snd_settle_mode != SenderSettleMode::Settled,
        credit: 0,
        delivery_count: 0,
        is_draining: false,
        session,
        outbox: VecDeque::new(),
    }
}

fn target_address(attach: &Attach) -> Option<String> {
    let TargetArchetype::Target(target) = attach.target.as_deref()?;
    target.address.clone()
}

fn authorize(node: &Node, context: &Context<'_>) -> Result<(), Refusal> {
    let entity = node.entity().filter(|entity| !context.access.allows(entity));
    entity.map_or(Ok(()), |entity| {
        let description =
            format!("Unauthorized access. A token for '{}' is required.", entity.path);
        Err(Refusal::new(UNAUTHORIZED, description))
    })
}

fn wanted_session(attach: &Attach) -> Wanted {
    let filter = attach.source.as_ref().and_then(|source| source.filter.as_ref());
    let mut value = match filter.and_then(|filter| filter.get(&Symbol::from(SESSION_FILTER))) {
        None => return Wanted::Nothing,
        Some(value) => value,
    };
    if let Value::Described(described) = value {
        value = &described.value;
    }
    reply::text(value).map_or(Wanted::Next, |name| Wanted::Named(name.to_owned()))
}

fn check_session(is_required: bool, wanted: &Wanted) -> Result<(), Refusal> {
    let description = match (is_required, wanted == &Wanted::Nothing) {
        (true, true) => {
            "It is not possible for an entity that requires sessions to create a non-sessionful \
             message receiver."
        }
        (false, false) => {
            "A sessionful message receiver cannot be created on an entity that does \
             not require sessions."
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(NOT_ALLOWED, description))
}

/// The session that a link waits for, once it is free, and until when it is locked.
fn lock_session(
    waiting: &Waiting,
    context: &Context<'_>,
) -> Result<Option<(Outgoing, i64)>, Refusal> {
    let address = waiting.attach.source.as_ref().and_then(|source| source.address.clone());
    let node = Node::parse(&address.unwrap_or_default());
    let Node::Entity(name) = &node else {
        return Ok(None);
    };
    let now = context.shared.clock.now();
    let mut state = context.shared.state.lock();
    let receiver = state.next_number();
    let entity = state.namespace.receiving(name)?;
    let locked = match wanted_session(&waiting.attach) {
        Wanted::Named(session) => {
            Some(entity.lock_session(&session, receiver, now).map(|until| (session, until))?)
        }
        _ => entity.lock_next_session(receiver, now),
    };
    let Some((session, until)) = locked else {
        if waiting.deadline > now {
            return Ok(None);
        }
        let description = "No session with messages became free in time.";
        return Err(Refusal::new(TIMEOUT, description));
    };
    Ok(Some((outgoing(node, &waiting.attach, receiver, Some(session)), until)))
}

/// Names the session in the form in which the client has asked for it.
fn name_session(answer: &mut Attach, session: &str) {
    let filter = answer.source.as_mut().and_then(|source| source.filter.as_mut());
    if let Some(value) = filter.and_then(|it| it.get_mut(&Symbol::from(SESSION_FILTER))) {
        let name = Value::String(session.to_owned());
        match value {
            Value::Described(described) => described.value = name,
            other => *other = name,
        }
    }
}
