//! The links of a channel.

use std::collections::VecDeque;

use fe2o3_amqp_types::performatives::Attach;

use super::super::address::Node;
use super::super::entity::ReceiverId;

/// How many deliveries a sender may have under way.
pub(super) const SENDER_CREDIT: u32 = 1000;

#[derive(Debug)]
pub(super) enum Link {
    /// The client sends.
    Incoming(Incoming),
    /// The client receives.
    Outgoing(Outgoing),
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) node: Node,
    pub(super) credit: u32,
    pub(super) delivery_count: u32,
    pub(super) partial: Option<Partial>,
}

/// A delivery of which not all frames have come.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) delivery_id: u32,
    pub(super) format: u32,
    pub(super) is_settled: bool,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) node: Node,
    /// The address that requests name where this link is to have the response.
    pub(super) reply_address: Option<String>,
    pub(super) receiver: ReceiverId,
    /// Whether messages stay locked until they are settled.
    pub(super) is_locking: bool,
    pub(super) credit: u32,
    pub(super) delivery_count: u32,
    pub(super) is_draining: bool,
    pub(super) session: Option<String>,
    /// Responses to requests.
    pub(super) outbox: VecDeque<Vec<u8>>,
}

/// A link that waits for a session.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) attach: Attach,
    pub(super) deadline: i64,
}
