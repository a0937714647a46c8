//! The outbox in memory.

use std::any::Any;
use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use super::rows::{Age, Key, MemoryState, key, ownership};
use super::store::{MemoryStore, no_connection};
use crate::envelope::{Address, Envelope};
use crate::store::portions::{Weigh, claimed};
use crate::store::{
    Inserted, Outbox, Outgoing, OutgoingSettlement, Owner, Ownership, Settled, StoreError,
};

impl Outbox for MemoryStore {
    fn store(&self, rows: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>> {
        self.with(|state| rows.into_iter().map(|row| state.insert_outgoing(row)).collect())
    }

    fn store_within<'a>(
        &'a self,
        _connection: &'a mut (dyn Any + Send),
        _rows: Vec<Outgoing>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>> {
        no_connection()
    }

    fn claim(
        &self,
        owner: Owner,
        destination: &Address,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Envelope>, StoreError>> {
        let destination = destination.clone();
        self.with(move |state| {
            let mut free: Vec<(Age, Key)> = state
                .outgoing
                .iter()
                .filter(|((_, place), row)| *place == destination && row.owner.is_none())
                .map(|(key, row)| (row.age, key.clone()))
                .collect();
            free.sort_unstable_by_key(|(age, _)| *age);
            free.truncate(limit);
            free.truncate(claimed(
                free.iter().map(|(_, key)| state.outgoing[key].envelope.weight()),
            ));
            free.into_iter().filter_map(|(_, key)| take(state, &key, owner)).collect()
        })
    }

    fn settle(
        &self,
        settlements: Vec<OutgoingSettlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        self.with(move |state| {
            settlements.iter().map(|settlement| settle(state, settlement)).collect()
        })
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with(move |state| {
            let mut released = 0;
            let rows = state.outgoing.values_mut();
            for row in rows.filter(|row| row.owner == Some(owner)).take(limit) {
                row.owner = None;
                released += 1;
            }
            released
        })
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        self.with(move |state| {
            let rows = state.outgoing.iter();
            let owned = rows.filter(|(_, row)| row.owner == Some(owner)).take(limit);
            owned.map(|(key, row)| ownership(key, owner, row.attempts)).collect()
        })
    }

    fn destinations(&self) -> BoxFuture<'_, Result<Vec<Address>, StoreError>> {
        self.with(|state| {
            let free = state.outgoing.iter().filter(|(_, row)| row.owner.is_none());
            let places: BTreeSet<&Address> = free.map(|((_, place), _)| place).collect();
            places.into_iter().cloned().collect()
        })
    }
}

fn take(state: &mut MemoryState, key: &Key, owner: Owner) -> Option<Envelope> {
    let row = state.outgoing.get_mut(key)?;
    row.owner = Some(owner);
    Some(Envelope { attempts: row.attempts, ..row.envelope.clone() })
}

fn settle(state: &mut MemoryState, settlement: &OutgoingSettlement) -> Settled {
    let by = settlement.ownership();
    let Some(row) = state.held_outgoing(by) else {
        return Settled::Fenced;
    };
    match settlement {
        OutgoingSettlement::Failed(_) => {
            row.owner = None;
            row.attempts += 1;
        }
        OutgoingSettlement::Released(_) => row.owner = None,
        OutgoingSettlement::Sent(_)
        | OutgoingSettlement::Discarded(_)
        | OutgoingSettlement::Refused { .. } => {
            let row = state.outgoing.remove(&key(by));
            if let (Some(row), Some(cause)) = (row, settlement.cause()) {
                let message_type = row.envelope.message_type.to_string();
                state.give_up(cause.letter(message_type, row.envelope.to_bytes()), None);
            }
        }
    }
    Settled::Done
}
