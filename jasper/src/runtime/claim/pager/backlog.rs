//! What a look has found, worked off page by page. The next claim is on its way while the rows of
//! the one before it come into memory, and a queue that has room again goes on without a look.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{OptionFuture, join};
use tokio::time::Instant;

use super::super::intake::has_more;
use super::Pager;
use crate::runtime::handle::queue::Queue;
use crate::runtime::memory::room::MemorySlot;
use crate::store::{Claimable, Claimed, StoreError, Subscription};

/// The most rows of one claim.
const PAGE: usize = 250;

/// The most claims for one queue in a row: others have their turn after them.
const CLAIMS: usize = 4;

/// How long a backlog is worked off before the next look, which also finds what waits for others.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Rows of one queue that wait in the store.
struct Backlog {
    queue: Arc<Queue>,
    /// What they are for.
    waiting: Vec<Subscription>,
}

/// The rows of one claim, and their places in memory.
struct Page {
    rows: Vec<Claimed>,
    slots: Vec<MemorySlot>,
    has_more: bool,
    /// What was noted of rows in the store before the claim.
    noted: usize,
}

/// What is left of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Rows,
    /// Rows for which there is no room at present.
    RowsWithoutRoom,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Claim,
    Look,
    /// Nothing, until something wakes the pager.
    Rest,
}

impl Pager {
    /// Works off what a look has found, until that is done or the next look is due. `true`: that
    /// is so now.
    pub(super) async fn work_off(&mut self, look: &Claimable) -> Result<bool, StoreError> {
        let until = Instant::now() + BETWEEN_LOOKS;
        let (mut backlogs, mut was_woken) = (self.backlogs(look), false);
        while !backlogs.is_empty() {
            let (mut left, mut has_room) = (Vec::with_capacity(backlogs.len()), false);
            for backlog in backlogs {
                match self.fill(&backlog).await? {
                    Left::Nothing => continue,
                    Left::Rows => has_room = true,
                    Left::RowsWithoutRoom => {}
                }
                left.push(backlog);
            }
            backlogs = left;
            if backlogs.is_empty() {
                break;
            }
            match self.next(&backlogs, has_room, until).await {
                Next::Claim => was_woken |= !has_room,
                Next::Look => return Ok(true),
                Next::Rest => break,
            }
        }
        // What has woken this task may have been another queue too.
        Ok(was_woken && self.has_room_elsewhere(&backlogs))
    }

    /// The queues for which a look has found rows.
    fn backlogs(&self, look: &Claimable) -> Vec<Backlog> {
        let queues = self.core.routes().queues();
        let backlogs = queues.map(|queue| {
            let waits = |takes: &&Subscription| look.now.binary_search(takes).is_ok();
            let waiting = queue.takes.iter().filter(waits).cloned().collect();
            Backlog { queue: Arc::clone(queue), waiting }
        });
        backlogs.filter(|backlog| !backlog.waiting.is_empty()).collect()
    }

    /// Waits for room where there is none. What is new in the store is looked for first.
    async fn next(&self, backlogs: &[Backlog], has_room: bool, until: Instant) -> Next {
        let wakeups = self.core.wakeups();
        loop {
            tokio::select! {
                biased;
                () = wakeups.pager().notified() => return Next::Look,
                () = tokio::time::sleep_until(until) => {
                    return if has_room { Next::Look } else { Next::Rest };
                }
                () = std::future::ready(()), if has_room => return Next::Claim,
                () = wakeups.room().notified() => {}
            }
            if backlogs.iter().any(|backlog| backlog.queue.room.is_roomy()) {
                return Next::Claim;
            }
            if self.has_room_elsewhere(backlogs) {
                return Next::Look;
            }
        }
    }

    /// Whether another queue has room for rows that may wait in the store.
    fn has_room_elsewhere(&self, backlogs: &[Backlog]) -> bool {
        self.core.routes().queues().any(|queue| {
            let is_here = backlogs.iter().any(|backlog| Arc::ptr_eq(&backlog.queue, queue));
            !is_here && queue.room.may_have_rows_in_store() && queue.room.is_roomy()
        })
    }

    /// Fills the memory of one queue.
    async fn fill(&mut self, backlog: &Backlog) -> Result<Left, StoreError> {
        let Some(claim) = self.claim_page(backlog) else {
            return Ok(Left::RowsWithoutRoom);
        };
        let (mut page, mut claims) = (claim.await?, 1);
        loop {
            let has_more = page.has_more;
            let is_next = has_more && claims < CLAIMS;
            let next = if is_next { self.claim_page(backlog) } else { None };
            // The claim is polled first, so that it is on its way.
            let (next, ()) = join(OptionFuture::from(next), self.admit(backlog, page)).await;
            match next {
                Some(next) => page = next?,
                None if is_next => return Ok(Left::RowsWithoutRoom),
                None if has_more => return Ok(Left::Rows),
                None => return Ok(Left::Nothing),
            }
            claims += 1;
        }
    }

    /// A claim of as many rows as there is room for; `None` where there is none.
    fn claim_page(
        &self,
        backlog: &Backlog,
    ) -> Option<impl Future<Output = Result<Page, StoreError>> + use<>> {
        let queue = Arc::clone(&backlog.queue);
        // Large pages: a little room is left to grow.
        let is_roomy = queue.room.is_roomy();
        let slots = if is_roomy { queue.room.reserve_up_to(PAGE) } else { Vec::new() };
        if slots.is_empty() {
            queue.room.note_rows_in_store();
            return None;
        }
        let noted = queue.room.rows_in_store();
        let claim = self.intake.claim(backlog.waiting.clone(), slots.len(), queue.count_attempt);
        Some(async move {
            let rows = claim.await.inspect_err(|_| queue.room.note_rows_in_store())?;
            let has_more = has_more(&rows, slots.len());
            if has_more {
                queue.room.note_rows_in_store();
            }
            Ok(Page { rows, slots, has_more, noted })
        })
    }

    async fn admit(&mut self, backlog: &Backlog, page: Page) {
        if !page.rows.is_empty() {
            self.pace.note(true);
        }
        for (claimed, slot) in page.rows.into_iter().zip(page.slots) {
            match self.intake.handler_of(&claimed) {
                Some(entry) => self.intake.admit(claimed, entry, slot).await,
                None => self.intake.give_up_invalid(claimed).await,
            }
        }
        if !page.has_more {
            backlog.queue.room.clear_rows_in_store(page.noted);
        }
    }
}
