//! Dead letters in memory.

use std::cmp::Reverse;

use futures_util::future::BoxFuture;

use super::rows::{DeadLetterRow, IncomingRow, MemoryState, Status};
use super::store::MemoryStore;
use crate::envelope::{Envelope, time};
use crate::store::portions::claimed;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetters, StoreError};

impl DeadLetters for MemoryStore {
    fn list(&self, query: DeadLetterQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        self.with(move |state| {
            let mut letters: Vec<_> = state
                .dead_letters
                .values()
                .map(|row| &row.letter)
                .filter(|letter| selects(&query, letter))
                .collect();
            letters.sort_by_cached_key(|letter| Reverse(letter.place()));
            letters.truncate(query.limit);
            letters.truncate(claimed(
                letters.iter().map(|letter| letter.body.len() + letter.error_message.len()),
            ));
            letters.into_iter().cloned().collect()
        })
    }

    fn replay(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with(move |state| {
            let replayed = ids.into_iter().filter_map(|id| replay(state, id));
            replayed.count() as u64
        })
    }

    fn discard(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with(move |state| {
            let discarded = ids.into_iter().filter_map(|id| {
                let DeadLetterId { id, destination } = id;
                state.dead_letters.remove(&(id, destination))
            });
            discarded.count() as u64
        })
    }

    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(move |state| {
            let dead_lettered_at = time::now();
            state.give_up(DeadLetter { dead_lettered_at, ..letter.cut() }, None);
        })
    }
}

fn selects(query: &DeadLetterQuery, letter: &DeadLetter) -> bool {
    query.reason.is_none_or(|reason| reason == letter.reason)
        && query
            .message_type
            .as_ref()
            .is_none_or(|message_type| *message_type == letter.message_type)
        && query.after.as_ref().is_none_or(|after| letter.place() < *after)
}

fn replay(state: &mut MemoryState, id: DeadLetterId) -> Option<()> {
    let key = (id.id, id.destination);
    let DeadLetterRow { letter, retention, .. } = state.dead_letters.remove(&key)?;
    let sent_at = match Envelope::from_bytes(&letter.body) {
        Ok(envelope) => envelope.sent_at,
        Err(_unreadable) => letter.dead_lettered_at,
    };
    let row = IncomingRow {
        status: Status::Unowned,
        age: (sent_at, state.next()),
        attempts: 0,
        interrupted_by: Vec::new(),
        message_type: letter.message_type,
        body: DeadLetter::body_for_replay(&letter.body),
        retention,
    };
    // Where the inbox has the message again, it came by itself, and the letter has no further use.
    state.insert_incoming_row(key, row);
    Some(())
}
