//! Nodes in memory: all of one process.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::rows::{NodeRow, Status, after};
use super::store::MemoryStore;
use crate::envelope::time;
use crate::store::{Gone, LiveNode, NodeLease, Nodes, Owner, StoreError, Subscription};

impl Nodes for MemoryStore {
    fn join(
        &self,
        _name: &str,
        lease: Duration,
        takes: &[Subscription],
    ) -> BoxFuture<'_, Result<NodeLease, StoreError>> {
        let takes = takes.to_vec();
        self.with(move |state| {
            state.last_node += 1;
            let owner = Owner::new(state.last_node);
            state.nodes.insert(owner, NodeRow { until: after(lease), takes, earlier: Vec::new() });
            NodeLease { owner, lease }
        })
    }

    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.with(move |state| match state.nodes.get_mut(&owner) {
            Some(node) if node.until > time::from_micros(0) => {
                node.until = after(lease);
                true
            }
            _ => false,
        })
    }

    fn alive(&self) -> BoxFuture<'_, Result<Vec<LiveNode>, StoreError>> {
        self.with(|state| {
            let now = time::now();
            let alive = state.nodes.iter().filter(|(_, node)| node.until > now);
            let live = alive.map(|(owner, node)| {
                let (takes, earlier) = (node.takes.clone(), node.earlier.clone());
                LiveNode { owner: *owner, takes, earlier }
            });
            live.collect()
        })
    }

    fn expired(&self, asks: Option<Owner>) -> BoxFuture<'_, Result<Gone, StoreError>> {
        self.with(move |state| {
            let now = time::now();
            for (owner, node) in &mut state.nodes {
                if node.until <= now && Some(*owner) != asks {
                    node.until = time::from_micros(0);
                }
            }
            let incoming = state.incoming.values().filter_map(|row| match row.status {
                Status::Owned(owner) => Some(owner),
                _ => None,
            });
            let outgoing = state.outgoing.values().filter_map(|row| row.owner);
            // Also owners that were forgotten and wrote a row after that.
            let forgotten =
                incoming.chain(outgoing).filter(|owner| !state.nodes.contains_key(owner));
            let nodes = state.nodes.iter();
            let ended = |node: &NodeRow| node.until == time::from_micros(0);
            let over = nodes.filter(|(_, node)| ended(node)).map(|(owner, _)| *owner);
            let gone: BTreeSet<Owner> = over.chain(forgotten).collect();
            let others = state.nodes.iter().filter(|(owner, _)| Some(**owner) != asks);
            let left = others.filter_map(|(_, node)| node.until.duration_since(now).ok()).min();
            Gone { owners: gone.into_iter().collect(), next_end: left }
        })
    }

    fn note_earlier(
        &self,
        owner: Owner,
        earlier: &[Owner],
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let earlier = earlier.to_vec();
        self.with(move |state| {
            if let Some(node) = state.nodes.get_mut(&owner) {
                node.earlier = earlier;
            }
        })
    }

    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(move |state| {
            if let Some(node) = state.nodes.get_mut(&owner) {
                node.until = time::from_micros(0);
            }
        })
    }

    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(move |state| {
            let holds = state.incoming.values().any(|row| row.status == Status::Owned(owner))
                || state.outgoing.values().any(|row| row.owner == Some(owner));
            if !holds
                && state.nodes.get(&owner).is_some_and(|node| node.until == time::from_micros(0))
            {
                state.nodes.remove(&owner);
            }
        })
    }
}
