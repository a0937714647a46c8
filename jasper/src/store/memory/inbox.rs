//! The inbox in memory.

use std::any::Any;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::rows::{Age, IncomingRow, Key, MemoryState, Status, key, ownership};
use super::store::{MemoryStore, no_connection};
use crate::envelope::{Address, Envelope, time};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::claimed;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, Inbox, Incoming, Inserted, Owner,
    Ownership, Settled, Settlement, StoreError, Subscription,
};

impl Inbox for MemoryStore {
    fn store(&self, rows: Vec<Incoming>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>> {
        self.with(|state| rows.into_iter().map(|row| state.insert_incoming(row)).collect())
    }

    fn store_within<'a>(
        &'a self,
        _connection: &'a mut (dyn Any + Send),
        _rows: Vec<Incoming>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>> {
        no_connection()
    }

    fn claimable(&self, request: ClaimableRequest) -> BoxFuture<'_, Result<Claimable, StoreError>> {
        self.with(move |state| {
            let now = time::now();
            let mut waiting = BTreeSet::new();
            let mut next_due: Option<Duration> = None;
            for ((_, destination), row) in &mut state.incoming {
                if let Status::Scheduled(due_at) = row.status {
                    match due_at.duration_since(now) {
                        Ok(wait) if !wait.is_zero() => {
                            next_due = Some(next_due.map_or(wait, |next| next.min(wait)));
                        }
                        _ => row.status = Status::Unowned,
                    }
                }
                if row.status == Status::Unowned {
                    waiting.insert(subscription(destination, row));
                }
            }
            found(&waiting, &request, next_due)
        })
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        self.with(move |state| {
            let claimable = claimable(state, &request);
            claimable.into_iter().map(|(_age, key)| take(state, key, &request)).collect()
        })
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        self.with(move |state| {
            let settlements = settlements.into_iter();
            settlements.map(|settlement| settle(state, settlement)).collect()
        })
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with(move |state| {
            let mut released = 0;
            let rows = state.incoming.values_mut();
            let owned = rows.filter(|row| row.status == Status::Owned(owner));
            for row in owned.take(limit) {
                row.status = Status::Unowned;
                if row.interrupted_by.iter().all(|(attempts, _)| *attempts != row.attempts) {
                    row.interrupted_by.push((row.attempts, owner));
                }
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
            let rows = state.incoming.iter();
            let owned = rows.filter(|(_, row)| row.status == Status::Owned(owner)).take(limit);
            owned.map(|(key, row)| ownership(key, owner, row.attempts)).collect()
        })
    }
}

/// What is taken, and a page of the rest.
fn found(
    waiting: &BTreeSet<Subscription>,
    request: &ClaimableRequest,
    next_due: Option<Duration>,
) -> Claimable {
    let after = request.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let page: Vec<_> =
        waiting.range((after, Bound::Unbounded)).take(request.page).cloned().collect();
    let next_page = page.last().filter(|_| page.len() == request.page).cloned();
    let taken = request.takes.iter().filter(|takes| waiting.contains(takes)).cloned();
    let now: BTreeSet<_> = taken.chain(page).collect();
    Claimable { now: now.into_iter().collect(), next_page: next_page.into(), next_due }
}

/// The oldest unowned rows.
fn claimable(state: &MemoryState, request: &ClaimRequest) -> Vec<(Age, Key)> {
    let mut claimable: Vec<(Age, Key)> = state
        .incoming
        .iter()
        .filter(|(_, row)| row.status == Status::Unowned)
        .filter(|((_, at), row)| request.subscriptions.contains(&subscription(at, row)))
        .map(|(key, row)| (row.age, key.clone()))
        .collect();
    claimable.sort_unstable_by_key(|(age, _)| *age);
    claimable.truncate(request.limit);
    let lengths = claimable.iter().map(|(_, key)| state.incoming[key].body.len());
    claimable.truncate(claimed(lengths));
    claimable
}

fn subscription(destination: &Address, row: &IncomingRow) -> Subscription {
    let message_type = row.message_type.clone();
    Subscription { destination: destination.clone(), message_type }
}

fn take(state: &mut MemoryState, key: Key, request: &ClaimRequest) -> Claimed {
    let owner = request.owner;
    let row =
        state.incoming.get_mut(&key).expect("a row that was found under this lock is still there");
    let attempt_counted = request.count_attempt && row.attempts == 0;
    row.status = Status::Owned(owner);
    row.attempts = row.attempts.max(u32::from(attempt_counted));
    let attempts = row.attempts;
    let interrupted = row.interrupted_by.iter().filter(|(attempts, _)| *attempts > 0);
    let interrupted_by = interrupted.map(|(_, owner)| *owner).collect();
    let envelope = Envelope::from_bytes(&row.body);
    let (id, destination) = key;
    Claimed {
        ownership: Ownership { id, destination, owner, attempts },
        envelope: envelope.map(|envelope| Envelope { attempts, ..envelope }),
        attempt_counted,
        interrupted_by,
    }
}

fn settle(state: &mut MemoryState, settlement: Settlement) -> Settled {
    if let Settlement::Attempt(by) = &settlement {
        return state.count_attempt(by);
    }
    let Some(row) = state.held(settlement.ownership()) else {
        return Settled::Fenced;
    };
    match settlement {
        Settlement::Handled(by) => {
            state.handled(&by);
        }
        Settlement::Attempt(_) => {}
        Settlement::Schedule(_, due_at) => row.status = Status::Scheduled(due_at),
        Settlement::Release { attempt_began, .. } => {
            row.status = Status::Unowned;
            row.attempts = row.attempts.saturating_sub(u32::from(!attempt_began));
        }
        Settlement::DeadLetter { .. } => {
            if let Some(cause) = settlement.cause() {
                write_dead_letter(state, cause);
            }
        }
    }
    Settled::Done
}

fn write_dead_letter(state: &mut MemoryState, cause: DeadLetterCause<'_>) {
    if let Some(row) = state.incoming.remove(&key(cause.ownership)) {
        state.give_up(cause.letter(row.message_type, row.body), row.retention);
    }
}
