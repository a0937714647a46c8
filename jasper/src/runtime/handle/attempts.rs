//! How many attempts a message has had, and whether it has one left.

use crate::runtime::core::Core;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::storage::health::Retries;
use crate::store::{LiveNode, MessageStore, Owner, Settled, Settlement, StoreOperation};

/// Why a message becomes a dead letter whose last counted attempt never ended.
pub(super) const INTERRUPTED: &str = "its last attempt never ended: the process was killed or lost";

/// How many attempts of one message may be cut short in processes that live on: it may be what
/// slows them down until they lose their leases.
const MOST_CUT_SHORT: usize = 10;

/// Whether the coming attempt is counted, and may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptCount {
    Yes,
    /// Its row belongs to another node, or the application ended meanwhile.
    No,
    /// The message has no attempt left: too many have never ended.
    NoneLeft,
    /// The application ends.
    Ending,
}

/// Counts the coming attempt in the row, where it is not counted yet.
pub(super) async fn count(
    core: &Core,
    delivery: &mut Delivery,
    retries: &mut Retries,
) -> AttemptCount {
    let Backing::Stored { attempt_counted: false, owner } = delivery.backing else {
        return AttemptCount::Yes;
    };
    match is_given_up(core, delivery, retries).await {
        None => return AttemptCount::Ending,
        Some(true) => return AttemptCount::NoneLeft,
        Some(false) => {}
    }
    let settlement = Settlement::Attempt(delivery.ownership(owner));
    if core.store().settle(settlement).await != Some(Settled::Done) {
        return AttemptCount::No;
    }
    delivery.envelope.attempts += 1;
    delivery.backing = Backing::Stored { owner, attempt_counted: true };
    AttemptCount::Yes
}

/// Whether it has no attempt left, as too many have never ended. `None`: the application ends.
async fn is_given_up(core: &Core, delivery: &Delivery, retries: &mut Retries) -> Option<bool> {
    let most = delivery.entry.policy.attempts();
    if delivery.failures() >= most {
        return Some(true);
    }
    let interrupted_by = &delivery.interrupted_by;
    let store = core.store().get();
    let Some(store) = store.filter(|_| interrupted_by.len() >= most as usize) else {
        return Some(false);
    };
    let alive = alive(core, store, retries).await?;
    let lives_on = |owner: &&Owner| alive.iter().any(|node| node.is_or_was(**owner));
    let cut_short = interrupted_by.iter().filter(lives_on).count();
    let gone = interrupted_by.len() - cut_short;
    Some(gone >= most as usize || cut_short > MOST_CUT_SHORT)
}

/// Waits until the store answers, as a handler that takes no connection runs without asking it.
/// `false`: the application ends.
pub(super) async fn is_store_back(core: &Core, delivery: &Delivery, retries: &mut Retries) -> bool {
    let takes_connection = delivery.entry.registration.takes_connection;
    match core.store().get().filter(|_| !takes_connection) {
        Some(store) => alive(core, store, retries).await.is_some(),
        None => true,
    }
}

/// The living nodes, once the store answers. `None`: the application ends.
async fn alive(
    core: &Core,
    store: &dyn MessageStore,
    retries: &mut Retries,
) -> Option<Vec<LiveNode>> {
    loop {
        match core.store().call(StoreOperation::Alive, store.nodes().alive()).await {
            Ok(alive) => return Some(alive),
            Err(error) => retries.wait(core.store().health(), "alive", &error).await?,
        }
    }
}
