//! Bounded memory for messages; the task that fills it from the store is woken when there is room.

use std::sync::{Arc, Weak};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::budget::{AwaitsBytes, Budget, Weight};
use super::bytes::RoomBytes;
use super::rows_in_store::RowsInStore;

/// The most messages that are taken from the store before it is known how large they are.
const FIRST: usize = 16;

/// Room for the messages of one queue or one endpoint. The capacity bounds their number, and the
/// budget of the process their bytes.
#[derive(Debug)]
pub(crate) struct Room {
    slots: Semaphore,
    capacity: usize,
    bytes: RoomBytes,
    rows_in_store: RowsInStore,
}

impl Room {
    /// Room for `capacity` messages. `filler` wakes the task that brings them from the store.
    pub(crate) fn new(capacity: usize, budget: &Arc<Budget>, filler: Arc<Notify>) -> Arc<Self> {
        let room = Arc::new(Self {
            slots: Semaphore::new(capacity),
            capacity,
            bytes: RoomBytes::of(budget),
            rows_in_store: RowsInStore::new(filler),
        });
        let weak: Weak<Self> = Arc::downgrade(&room);
        budget.add_room(weak);
        room
    }

    /// The bytes of the process.
    pub(crate) const fn budget(&self) -> &Arc<Budget> {
        self.bytes.budget()
    }

    /// Room for one message of this size, if there is any now.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<MemorySlot> {
        self.reserve_with(|room| room.try_take(bytes), bytes)
    }

    /// Room for one message of this size, if there is any now and no sender waits for some.
    pub(crate) fn reserve_now(self: &Arc<Self>, bytes: usize) -> Option<MemorySlot> {
        self.reserve_with(|room| room.take_now(bytes), bytes)
    }

    fn reserve_with(
        self: &Arc<Self>,
        take: impl FnOnce(&RoomBytes) -> Option<Weight>,
        bytes: usize,
    ) -> Option<MemorySlot> {
        let mut slot = self.try_slot()?;
        slot.put(take(&self.bytes)?, bytes);
        Some(slot)
    }

    /// Room for a message that is about to be stored, unless others wait in the store that are
    /// older: were it to go before them, a backlog would last as long as senders are busy.
    pub(crate) fn try_reserve_in_turn(self: &Arc<Self>, bytes: usize) -> Option<MemorySlot> {
        if self.may_have_rows_in_store() { None } else { self.try_reserve(bytes) }
    }

    /// A place for one message, as soon as there is one; it has no bytes yet, see
    /// [`weigh`](MemorySlot::weigh).
    pub(crate) async fn reserve(self: &Arc<Self>) -> MemorySlot {
        // The semaphore is never closed, so this is never an error.
        let is_counted = self.slots.acquire().await.map(SemaphorePermit::forget).is_ok();
        MemorySlot::new(self, is_counted)
    }

    /// Room for at most `limit` messages from the store, of the size that is usual here.
    pub(crate) fn reserve_up_to(self: &Arc<Self>, limit: usize) -> Vec<MemorySlot> {
        let bytes = self.bytes.expected();
        let most = if self.bytes.are_known() { limit } else { limit.min(FIRST) };
        let slot = || {
            let mut slot = self.try_slot()?;
            slot.weight = Some(self.bytes.counted(self.bytes.try_take(bytes)?));
            Some(slot)
        };
        std::iter::from_fn(slot).take(most).collect()
    }

    /// Room beyond the capacity, for a message that a running handler returns to a queue that is
    /// not stored: were the handler to wait, a full queue that feeds itself would stand still
    /// for ever.
    pub(crate) fn reserve_beyond(self: &Arc<Self>, bytes: usize) -> MemorySlot {
        let mut slot = self.try_slot().unwrap_or_else(|| MemorySlot::new(self, false));
        slot.put(self.budget().take_beyond(bytes), bytes);
        slot
    }

    /// Whether rows may wait in the store for room here.
    pub(crate) fn may_have_rows_in_store(&self) -> bool {
        self.rows_in_store() > 0
    }

    /// What is noted so far, for [`clear_rows_in_store`](Self::clear_rows_in_store).
    pub(crate) fn rows_in_store(&self) -> usize {
        self.rows_in_store.noted()
    }

    /// Notes that a row was stored which did not fit into memory.
    pub(crate) fn note_rows_in_store(&self) {
        self.rows_in_store.note();
        if self.is_roomy() {
            self.rows_in_store.wake_filler();
        }
    }

    /// Clears the flag after a claim that found no further rows, unless rows were noted since
    /// `asked` was read. While it is set, new messages are stored without an owner, behind the
    /// backlog.
    pub(crate) fn clear_rows_in_store(&self, asked: usize) {
        self.rows_in_store.clear(asked);
    }

    /// Wakes the filler once there is room, whether or not rows are known to wait.
    pub(crate) fn await_room(&self) {
        self.rows_in_store.await_room();
        if self.is_roomy() {
            self.rows_in_store.wake_filler();
        }
    }

    /// Half of the memory is free: worth a look into the store.
    pub(crate) fn is_roomy(&self) -> bool {
        self.slots.available_permits() * 2 >= self.capacity && self.bytes.is_half_free()
    }

    /// There may be room again: wakes the filler where that is of use.
    fn wake_filler(&self) {
        if self.rows_in_store.wants_room() && self.is_roomy() {
            self.rows_in_store.room_is_there();
        }
    }

    /// A place for one message, if there is one now; it has no bytes yet.
    pub(crate) fn try_slot(self: &Arc<Self>) -> Option<MemorySlot> {
        self.slots.try_acquire().ok()?.forget();
        Some(MemorySlot::new(self, true))
    }
}

impl AwaitsBytes for Room {
    fn bytes_freed(&self) {
        self.wake_filler();
    }
}

/// Room for one message; given back when it is dropped, and kept as long as the message is in
/// memory, also while it waits for a time.
#[derive(Debug)]
pub(crate) struct MemorySlot {
    room: Arc<Room>,
    is_counted: bool,
    weight: Option<Weight>,
}

impl MemorySlot {
    fn new(room: &Arc<Room>, is_counted: bool) -> Self {
        Self { room: Arc::clone(room), is_counted, weight: None }
    }

    /// Whether it is room of this.
    pub(crate) fn is_in(&self, room: &Arc<Room>) -> bool {
        Arc::ptr_eq(&self.room, room)
    }

    /// Takes the bytes of one message that goes to all of these places, as soon as there are some
    /// for all at once.
    pub(crate) async fn weigh_all(slots: &mut [Self], bytes: usize) {
        let Some(room) = slots.first().map(|slot| Arc::clone(&slot.room)) else {
            return;
        };
        let all = room.bytes.take(bytes.saturating_mul(slots.len())).await;
        Self::share_out(slots, all, bytes);
    }

    /// The same, if there are bytes for all now.
    pub(crate) fn try_weigh_all(slots: &mut [Self], bytes: usize) -> bool {
        let Some(room) = slots.first().map(|slot| Arc::clone(&slot.room)) else {
            return true;
        };
        let all = room.bytes.try_take(bytes.saturating_mul(slots.len()));
        all.map(|all| Self::share_out(slots, all, bytes)).is_some()
    }

    /// Notes how many bytes the message has that has come from the store.
    pub(crate) fn weigh(&mut self, bytes: usize) {
        self.room.bytes.note_usual(bytes);
        if let Some(weight) = &mut self.weight {
            self.room.bytes.correct(weight, bytes);
        }
    }

    fn share_out(slots: &mut [Self], mut all: Weight, bytes: usize) {
        for slot in slots {
            slot.put(all.split(bytes), bytes);
        }
    }

    fn put(&mut self, weight: Weight, bytes: usize) {
        self.room.bytes.note_usual(bytes);
        self.weight = Some(self.room.bytes.counted(weight));
    }
}

impl Drop for MemorySlot {
    fn drop(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            self.room.slots.add_permits(1);
        }
        if let Some(weight) = self.weight.take() {
            self.room.bytes.give_back(weight);
        }
        self.room.wake_filler();
        self.room.budget().wake_rooms();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LIMIT: usize = 1_000_000;

    fn rooms() -> (Arc<Budget>, [Arc<Room>; 2], [Arc<Notify>; 2]) {
        let budget = Budget::new(LIMIT);
        let fillers = [Arc::default(), Arc::default()];
        let rooms = fillers.clone().map(|filler| Room::new(100, &budget, filler));
        (budget, rooms, fillers)
    }

    #[test]
    fn a_room_takes_no_more_than_it_leaves_for_others() {
        let (budget, [one, two], _) = rooms();
        let held: Vec<_> = std::iter::from_fn(|| one.try_reserve(100_000)).collect();
        assert_eq!((held.len(), budget.free()), (5, 500_000));
        let others: Vec<_> = std::iter::from_fn(|| two.try_reserve(100_000)).collect();
        assert_eq!((others.len(), budget.free()), (2, 300_000));
        drop((held, others));
        assert_eq!(budget.free(), LIMIT);
    }

    #[test]
    fn an_empty_room_takes_one_message_whatever_it_weighs() {
        let (budget, [one, two], _) = rooms();
        let large = one.try_reserve(3 * LIMIT).unwrap();
        assert_eq!(budget.free(), 0);
        assert!(one.try_reserve(1).is_none());
        assert!(two.try_reserve(1).is_some());
        drop(large);
        assert_eq!(budget.free(), LIMIT);
    }

    #[test]
    fn what_comes_from_the_store_is_taken_for_what_is_usual_until_it_is_known() {
        let (budget, [one, _], _) = rooms();
        let mut few = one.reserve_up_to(50);
        assert!(few.len() <= FIRST, "nothing is known: {}", few.len());
        few.iter_mut().for_each(|slot| slot.weigh(1_000));
        assert_eq!(budget.free(), LIMIT - few.len() * 1_000);
        assert_eq!(one.reserve_up_to(50).len(), 50);
        few.iter_mut().for_each(|slot| slot.weigh(40_000));
        let more = one.reserve_up_to(50).len();
        assert!(few.len() + more <= 500_000 / 35_000, "{more}");
        drop(few);
        assert_eq!(budget.free(), LIMIT);
    }

    #[test]
    fn who_fills_a_room_is_told_when_others_give_bytes_back() {
        let (_, [one, two], [_, filler]) = rooms();
        let mut of_one = vec![one.try_reserve(2 * LIMIT).unwrap()];
        let of_two = two.try_reserve(1).unwrap();
        two.note_rows_in_store();
        assert!(filler.notified().now_or_never().is_none(), "there are no bytes");
        of_one.clear();
        assert!(filler.notified().now_or_never().is_some());
        drop(of_two);
    }

    #[test]
    fn who_waits_for_bytes_goes_on_when_the_room_is_empty_or_others_give_some_back() {
        let (_, [one, two], _) = rooms();
        let (of_one, of_two) = (one.try_reserve(LIMIT).unwrap(), two.try_reserve(1).unwrap());
        let mut slots = [two.try_slot().unwrap()];
        let mut waiting = std::pin::pin!(MemorySlot::weigh_all(&mut slots, 10));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(of_two);
        assert!(waiting.as_mut().now_or_never().is_some());
        let mut slots = [one.try_slot().unwrap(), two.try_slot().unwrap()];
        let mut waiting = std::pin::pin!(MemorySlot::weigh_all(&mut slots, 10));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(of_one);
        assert!(waiting.as_mut().now_or_never().is_some());
    }

    #[test]
    fn a_sender_that_waits_for_bytes_goes_before_later_ones_also_where_theirs_are_there() {
        let (_, [one, _], _) = rooms();
        let held = one.try_reserve(450_000).unwrap();
        let mut large = [one.try_slot().unwrap()];
        let mut large = Box::pin(MemorySlot::weigh_all(&mut large, 100_000));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(one.reserve_now(10).is_none());
        let mut small = [one.try_slot().unwrap()];
        let mut small = Box::pin(MemorySlot::weigh_all(&mut small, 10));
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        assert!(one.reserve_now(10).is_some(), "it does not wait any more");
        assert!(small.as_mut().now_or_never().is_some());
        drop(held);
    }

    #[test]
    fn a_sender_that_has_its_bytes_and_not_run_yet_keeps_no_later_one_waiting() {
        let (_, [one, _], _) = rooms();
        let held = one.try_reserve(450_000).unwrap();
        let [mut first, mut second] = [(); 2].map(|()| [one.try_slot().unwrap()]);
        let mut first = Box::pin(MemorySlot::weigh_all(&mut first, 100_000));
        let mut second = Box::pin(MemorySlot::weigh_all(&mut second, 100_000));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(held);
        assert!(first.as_mut().now_or_never().is_some());
        // It is the second one's turn, which its task has not seen yet.
        assert!(one.reserve_now(10).is_some());
        let mut third = [one.try_slot().unwrap()];
        let third = Box::pin(MemorySlot::weigh_all(&mut third, 10));
        assert!(third.now_or_never().is_some());
        assert!(second.as_mut().now_or_never().is_some());
    }
}
