//! What two stores do for a durable message, without a network between them: the outbox of one, the
//! inbox of the other, and both rows ended.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::prelude::SqliteStore;
use jasper::store::{
    Incoming, MessageStore, Outgoing, OutgoingSettlement, Owner, Ownership, Placement, Settlement,
};

use crate::Outcome;

pub(crate) struct Stores {
    sender: (SqliteStore, Owner),
    receiver: (SqliteStore, Owner),
}

/// How many messages are on their way at once.
const SENDERS: usize = 16;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

impl Stores {
    pub(crate) async fn open(sender: &Path, receiver: &Path) -> Outcome<Self> {
        Ok(Self { sender: open(sender).await?, receiver: open(receiver).await? })
    }

    /// Messages per second.
    pub(crate) async fn rate(&self, messages: usize, bytes: usize) -> Outcome<f64> {
        let started = Instant::now();
        let tasks = (0..SENDERS).map(|_| {
            let (sender, receiver) = (self.sender.clone(), self.receiver.clone());
            tokio::spawn(async move {
                for _ in 0..messages / SENDERS {
                    carry(&sender, &receiver, bytes).await?;
                }
                Outcome::Ok(())
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await??;
        }
        Ok((messages / SENDERS * SENDERS) as f64 / started.elapsed().as_secs_f64())
    }
}

async fn open(file: &Path) -> Outcome<(SqliteStore, Owner)> {
    let store = SqliteStore::open(file).await?;
    store.admin().prepare().await?;
    let lease = store.nodes().join("benchmark", DAY, &[]).await?;
    Ok((store, lease.owner))
}

/// One message, from its sender's outbox to the end of its handling.
async fn carry(
    (sender, from): &(SqliteStore, Owner),
    (receiver, to): &(SqliteStore, Owner),
    bytes: usize,
) -> Outcome<()> {
    let message_type = MessageType::new("benchmark.parcel", 1);
    let there = Address::endpoint("benchmark.receiver");
    let payload = Bytes::from(vec![b'x'; bytes]);
    let envelope = Envelope::new(message_type, "application/json", payload, there);
    let sent = Ownership::of(&envelope, *from);
    let outgoing = Outgoing { envelope: envelope.clone(), owner: Some(*from) };
    sender.outbox().store(vec![outgoing]).await?;
    let destination = Address::local("receive", "receive");
    let mut envelope = envelope;
    envelope.destination = destination;
    envelope.attempts = 1;
    let received = Ownership::of(&envelope, *to);
    let placement = Placement::Owned(*to);
    let incoming = Incoming { envelope, placement, retention: Some(DAY * 7) };
    receiver.inbox().store(vec![incoming]).await?;
    let (of_sender, of_receiver) = tokio::join!(
        sender.outbox().settle(vec![OutgoingSettlement::Sent(sent)]),
        receiver.inbox().settle(vec![Settlement::Handled(received)]),
    );
    of_sender?;
    of_receiver?;
    Ok(())
}
