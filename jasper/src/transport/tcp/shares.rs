//! What one peer, or one address, may have of what all have together.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::Portion;
use super::limits::Limits;

/// For how many keys that are gone the map is cleaned up at once.
const CLEANED: usize = 64;

/// Shares by key: one for each key, as long as it is in use.
#[derive(Debug)]
pub(super) struct Shares<K, V> {
    used: Mutex<HashMap<K, Weak<V>>>,
}

impl<K: Eq + Hash, V> Shares<K, V> {
    pub(super) fn new() -> Self {
        Self { used: Mutex::new(HashMap::new()) }
    }

    /// The share of this key.
    pub(super) fn of(&self, key: K, new: impl FnOnce() -> V) -> Arc<V> {
        let mut used = self.used.lock();
        if let Some(share) = used.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        if used.len() >= CLEANED && used.len() == used.capacity() {
            used.retain(|_key, share| share.strong_count() > 0);
        }
        let share = Arc::new(new());
        used.insert(key, Arc::downgrade(&share));
        share
    }
}

/// Whose share it is: a peer's that has proved its name, or an address's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ShareOwner {
    Peer(Arc<str>),
    Address(IpAddr),
}

/// What one owner has.
#[derive(Debug)]
pub(super) struct PeerShare {
    connections: Arc<Semaphore>,
    memory: Portion,
}

impl PeerShare {
    fn new(limits: &Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.peer_connections)),
            memory: Portion::new(limits.memory / 2),
        }
    }

    pub(super) fn memory(&self) -> &Portion {
        &self.memory
    }
}

/// The place of one connection; dropped, others may have it.
#[derive(Debug)]
pub(super) struct Place {
    share: Arc<PeerShare>,
    _of_all: OwnedSemaphorePermit,
    _of_peer: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn share(&self) -> &Arc<PeerShare> {
        &self.share
    }
}

/// The places of all connections.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    all: Arc<Semaphore>,
    shares: Shares<ShareOwner, PeerShare>,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            all: Arc::new(Semaphore::new(limits.connections)),
            shares: Shares::new(),
        }
    }

    /// A place.
    ///
    /// # Errors
    /// All are taken, or all that this owner may have.
    pub(super) fn take(&self, owner: ShareOwner) -> Result<Place, String> {
        let share = self.shares.of(owner, || PeerShare::new(&self.limits));
        let of_peer = Arc::clone(&share.connections).try_acquire_owned().map_err(|_full| {
            let most = self.limits.peer_connections;
            format!("it has all of the {most} connections that one peer or address may have")
        })?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(|_full| {
            format!("this process has all of its {} connections", self.limits.connections)
        })?;
        Ok(Place { share, _of_all: of_all, _of_peer: of_peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_share_of_the_places_and_leaves_the_rest_to_others() {
        let places = Places::new(&Limits::default().connections(3).peer_connections(2));
        let peer = |name: &str| ShareOwner::Peer(name.into());
        let first = places.take(peer("one")).unwrap();
        let _second = places.take(peer("one")).unwrap();
        assert!(places.take(peer("one")).unwrap_err().contains("all of the 2 connections"));
        let _other = places.take(peer("other")).unwrap();
        assert!(places.take(peer("third")).unwrap_err().contains("all of its 3 connections"));
        drop(first);
        places.take(peer("one")).unwrap();
    }

    #[test]
    fn keys_that_are_gone_are_forgotten() {
        let shares = Shares::new();
        for key in 0..100_000 {
            shares.of(key, || ());
        }
        assert!(shares.used.lock().len() < 1_000);
    }
}
