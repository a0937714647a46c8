//! The locks of messages that are being stored or handled: renewed in time, and seen to be lost.
//!
//! A lock outlives the link by which its message came, so that what is done with a message can be
//! said by another connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::connection::{BrokerConnection, Management};
use super::super::failure::{Fault, Refusal};
use super::settlement::Settlement;
use crate::envelope::{Address, time};
use crate::telemetry::{DESTINATION, LOST_LOCKS};

/// The longest time between two renewals: the clock of the broker may be another one.
const LONGEST: Duration = Duration::from_secs(15);
/// Where the broker's clock says that a lock has run out which it has just given.
const SKEWED: Duration = Duration::from_secs(5);
/// How long a renewal that failed waits.
const AGAIN: Duration = Duration::from_secs(1);
/// The most locks that are renewed by one request.
const MOST: usize = 100;

/// The locks of one listener.
#[derive(Debug)]
pub(in super::super) struct Locks {
    address: Address,
    connection: Arc<BrokerConnection>,
    /// The entity, as the broker calls it.
    entity: String,
    node: tokio::sync::Mutex<Option<Arc<Management>>>,
    held: Mutex<HashMap<Uuid, Held>>,
    changed: Notify,
}

#[derive(Debug)]
struct Held {
    renew_at: Instant,
    is_lost: Arc<AtomicBool>,
}

/// A lock, kept until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    locks: Arc<Locks>,
    token: Uuid,
    is_lost: Arc<AtomicBool>,
}

impl Lock {
    /// Whether the broker has given the message away.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// The broker says that it is lost.
    pub(super) fn lose(&self) {
        self.locks.lose(self.token);
    }

    /// Settles the message by its lock alone.
    ///
    /// # Errors
    /// It is lost, or nothing is known.
    pub(super) async fn settle(&self, settlement: &Settlement) -> Result<(), Fault> {
        let node = self.locks.node().await?;
        let (status, death) = match settlement {
            Settlement::Complete => ("completed", None),
            Settlement::Release | Settlement::Abandon => ("abandoned", None),
            Settlement::DeadLetter { reason, description } => {
                ("suspended", Some((*reason, description.as_str())))
            }
        };
        node.settle(self.token, status, death).await
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.held.lock().remove(&self.token);
    }
}

impl Locks {
    pub(in super::super) fn new(
        address: Address,
        connection: Arc<BrokerConnection>,
        entity: String,
    ) -> Arc<Self> {
        let (node, held, changed) =
            (tokio::sync::Mutex::default(), Mutex::default(), Notify::new());
        Arc::new(Self { address, connection, entity, node, held, changed })
    }

    /// The node of the entity, on a connection that is open.
    async fn node(&self) -> Result<Arc<Management>, Fault> {
        let mut node = self.node.lock().await;
        if let Some(usable) = node.as_ref().filter(|node| node.is_usable()) {
            return Ok(Arc::clone(usable));
        }
        let connected = self.connection.get_or_connect().await;
        let connected = connected.map_err(|error| Fault::Ended(error.into()))?;
        connected.authorize(&self.entity).await?;
        let attached = Arc::new(Management::attach(&connected, &self.entity).await?);
        *node = Some(Arc::clone(&attached));
        Ok(attached)
    }

    /// Keeps the lock of a message, until when the broker says.
    pub(super) fn keep(self: &Arc<Self>, token: Uuid, until: SystemTime) -> Lock {
        let is_lost = Arc::new(AtomicBool::new(false));
        let renew_at = Instant::now() + until_renewal(until);
        let is_first = {
            let mut held = self.held.lock();
            let is_first = held.values().all(|other| renew_at < other.renew_at);
            held.insert(token, Held { renew_at, is_lost: Arc::clone(&is_lost) });
            is_first
        };
        if is_first {
            self.changed.notify_one();
        }
        Lock { locks: Arc::clone(self), token, is_lost }
    }

    fn lose(&self, token: Uuid) {
        if let Some(held) = self.held.lock().remove(&token) {
            self.note_lost(token);
            held.is_lost.store(true, Ordering::Relaxed);
        }
    }

    fn note_lost(&self, token: Uuid) {
        let address = self.address.as_str();
        metrics::counter!(LOST_LOCKS, DESTINATION => address.to_owned()).increment(1);
        tracing::warn!(address, lock = %token, "the lock of a message is lost; it comes again");
    }

    /// Renews the lock of a session, until that is lost, which ends its link.
    pub(super) async fn keep_session(&self, session: &str, link: &CancellationToken) {
        loop {
            let renewed = match self.node().await {
                Ok(node) => node.renew_session(session).await,
                Err(error) => Err(error),
            };
            match renewed {
                Ok(until) => tokio::time::sleep(until_renewal(until)).await,
                Err(error) if is_lost(&error) => {
                    let address = self.address.as_str();
                    metrics::counter!(LOST_LOCKS, DESTINATION => address.to_owned()).increment(1);
                    tracing::warn!(
                        address,
                        "the lock of a session is lost; its messages come again"
                    );
                    return link.cancel();
                }
                Err(error) => {
                    tracing::warn!(
                        address = %self.address, %error, "a session is not renewed; tried again"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Renews all in time, for as long as it is polled.
    pub(super) async fn renew_all(&self) {
        loop {
            let next = self.held.lock().values().map(|held| held.renew_at).min();
            let Some(next) = next else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.changed.notified() => continue,
            }
            let due = self.due();
            match self.node().await {
                Ok(node) => self.renew(&node, due).await,
                Err(error) => self.postpone(&due, &error),
            }
        }
    }

    /// Those that are due now or soon, the first of them first.
    fn due(&self) -> Vec<Uuid> {
        let now = Instant::now();
        let held = self.held.lock();
        let mut due: Vec<_> = held
            .iter()
            .filter(|(_, held)| held.renew_at <= now)
            .map(|(token, held)| (held.renew_at, *token))
            .collect();
        due.sort_unstable();
        due.into_iter().take(MOST).map(|(_, token)| token).collect()
    }

    async fn renew(&self, node: &Management, due: Vec<Uuid>) {
        match node.renew_locks(&due).await {
            Ok(until) => self.renewed(&due, &until),
            // One of them is lost, and the broker does not say which.
            Err(Fault::Refused(_)) if due.len() > 1 => {
                for token in due {
                    match node.renew_locks(&[token]).await {
                        Ok(until) => self.renewed(&[token], &until),
                        Err(error) if is_lost(&error) => self.lose(token),
                        Err(error) => self.postpone(&[token], &error),
                    }
                }
            }
            Err(error) if is_lost(&error) => due.into_iter().for_each(|token| self.lose(token)),
            Err(error) => self.postpone(&due, &error),
        }
    }

    fn renewed(&self, tokens: &[Uuid], until: &[SystemTime]) {
        let mut held = self.held.lock();
        let now = Instant::now();
        for (number, token) in tokens.iter().enumerate() {
            if let Some(held) = held.get_mut(token) {
                let wait = until.get(number).map_or(AGAIN, |until| until_renewal(*until));
                held.renew_at = now + wait;
            }
        }
    }

    fn postpone(&self, tokens: &[Uuid], error: &Fault) {
        if !tokens.is_empty() {
            tracing::warn!(address = %self.address, %error, "locks are not renewed; tried again");
        }
        let again = Instant::now() + AGAIN;
        let mut held = self.held.lock();
        for token in tokens {
            if let Some(held) = held.get_mut(token) {
                held.renew_at = again;
            }
        }
    }
}

fn is_lost(error: &Fault) -> bool {
    error.refusal().is_some_and(Refusal::is_lock_lost)
}

/// Half of the time that is left.
fn until_renewal(until: SystemTime) -> Duration {
    match until.duration_since(time::now()) {
        Ok(left) => (left / 2).min(LONGEST),
        Err(_over) => SKEWED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_renewed_at_half_of_its_time_and_where_clocks_differ_now_and_then() {
        let now = time::now();
        let wait = until_renewal(time::after(now, Duration::from_secs(10)));
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
        assert_eq!(until_renewal(time::after(now, Duration::from_secs(3_600))), LONGEST);
        assert_eq!(until_renewal(SystemTime::UNIX_EPOCH), SKEWED);
    }
}
