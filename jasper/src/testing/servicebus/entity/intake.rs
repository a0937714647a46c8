//! Messages that come: duplicates, schedules, cancels.

use super::super::clock::millis;
use super::super::letter::{self, Letter};
use super::super::refusal::{MESSAGE_NOT_FOUND, NOT_ALLOWED, Refusal};
use super::{Entity, Stored};

impl Entity {
    /// Whether the entity can take this message at all.
    pub(in super::super) fn check(&self, letter: &Letter) -> Result<(), Refusal> {
        if self.settings.requires_session && letter::session_id(letter).is_none() {
            let description = "The SessionId was not set on a message, and it cannot be sent to \
                               the entity. Entities that have session support enabled can only \
                               receive messages that have the SessionId set to a valid value.";
            return Err(Refusal::new(NOT_ALLOWED, description));
        }
        Ok(())
    }

    /// Keeps a message that [`check`](Self::check) has let through; a repeat is dropped. Returns
    /// the sequence number.
    pub(in super::super) fn enqueue(&mut self, mut letter: Letter, now: i64) -> Option<i64> {
        if self.is_duplicate(&letter, now) {
            self.tally.duplicates += 1;
            return None;
        }
        self.tally.sent += 1;
        // The client for JavaScript cannot settle a message that has none.
        letter::ensure_message_id(&mut letter);
        let sequence = self.next_sequence();
        let due = letter::scheduled_at(&letter).filter(|due| *due > now);
        let message = Stored {
            session: self.settings.requires_session.then(|| letter::session_id(&letter)).flatten(),
            expires_at: letter::expires_at(&letter, due.unwrap_or(now)),
            scheduled_at: due,
            sequence,
            enqueued_at: now,
            delivery_count: 0,
            letter,
        };
        self.messages.insert(sequence, message);
        match due {
            Some(due) => {
                self.scheduled.insert((due, sequence));
            }
            None => self.make_ready(sequence),
        }
        Some(sequence)
    }

    /// Takes a scheduled message back.
    pub(in super::super) fn cancel(&mut self, sequence: i64) -> Result<(), Refusal> {
        let due = self.messages.get(&sequence).and_then(|message| message.scheduled_at);
        if due.is_some_and(|due| self.scheduled.remove(&(due, sequence))) {
            self.messages.remove(&sequence);
            return Ok(());
        }
        let description = format!("Failed to cancel: no scheduled message has number {sequence}.");
        Err(Refusal::new(MESSAGE_NOT_FOUND, description))
    }

    /// Lets those scheduled messages in whose time has come, under new sequence numbers.
    pub(super) fn admit_scheduled(&mut self, now: i64) {
        while let Some((due, sequence)) = self.scheduled.first().copied() {
            if due > now {
                return;
            }
            self.scheduled.pop_first();
            if let Some(mut message) = self.messages.remove(&sequence) {
                message.sequence = self.next_sequence();
                message.enqueued_at = now;
                message.scheduled_at = None;
                let sequence = message.sequence;
                self.messages.insert(sequence, message);
                self.make_ready(sequence);
            }
        }
    }

    fn is_duplicate(&mut self, letter: &Letter, now: i64) -> bool {
        let (Some(window), Some(id)) = (self.settings.duplicate_window, letter::message_id(letter))
        else {
            return false;
        };
        let oldest = now - millis(window);
        while self.recent_order.front().is_some_and(|(at, _)| *at <= oldest) {
            if let Some((_, id)) = self.recent_order.pop_front() {
                self.recent_ids.remove(&id);
            }
        }
        if self.recent_ids.contains(&id) {
            return true;
        }
        self.recent_order.push_back((now, id.clone()));
        self.recent_ids.insert(id);
        false
    }
}
