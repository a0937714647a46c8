//! Transfers that are sent all the while, whatever becomes of the database.

use std::collections::BTreeSet;
use std::time::Duration;

use jasper::Bus;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bank::Transfer;

const SENDERS: i64 = 8;

/// How long each sender waits after a transfer, or before it sends one again that was not accepted.
const PAUSE: Duration = Duration::from_millis(10);

pub struct Traffic {
    is_over: watch::Sender<bool>,
    senders: JoinSet<BTreeSet<i64>>,
}

impl Traffic {
    pub fn start(bus: &Bus) -> Self {
        let is_over = watch::Sender::new(false);
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send(bus.clone(), sender, is_over.subscribe()));
        }
        Self { is_over, senders }
    }

    /// Ends it, and says which transfers were accepted.
    pub async fn end(self) -> BTreeSet<i64> {
        self.is_over.send_replace(true);
        self.senders.join_all().await.into_iter().flatten().collect()
    }
}

async fn send(bus: Bus, sender: i64, is_over: watch::Receiver<bool>) -> BTreeSet<i64> {
    let mut accepted = BTreeSet::new();
    let mut id = sender;
    while !*is_over.borrow() {
        // One without an answer may have been accepted: sent again, it is the same one.
        if bus.send(Transfer { id }).deduplicate(id.to_string()).await.is_ok() {
            accepted.insert(id);
            id += SENDERS;
        }
        // Real time: it is the rate of the traffic.
        tokio::time::sleep(PAUSE).await;
    }
    accepted
}
