//! What receivers say of the messages that they hold, and renewals of locks.

use uuid::Uuid;

use super::super::clock::millis;
use super::super::letter;
use super::super::refusal::Refusal;
use super::super::settlement::{Properties, Settlement};
use super::Entity;

impl Entity {
    /// Settles the message under this lock.
    pub(in super::super) fn settle(
        &mut self,
        token: Uuid,
        settlement: Settlement,
        now: i64,
    ) -> Result<(), Refusal> {
        self.expire(now);
        let Some(lock) = self.lock_of(token) else {
            self.tally.late_settlements += 1;
            return Err(Refusal::lock_lost());
        };
        let sequence = lock.sequence;
        match settlement {
            Settlement::Complete => {
                self.tally.completed += 1;
                self.messages.remove(&sequence);
            }
            Settlement::Release => {
                self.tally.abandoned += 1;
                self.put_back(sequence, lock.is_deferred);
            }
            Settlement::Abandon(properties) => {
                self.tally.abandoned += 1;
                self.set_properties(sequence, &properties);
                self.count_failure(sequence, lock.is_deferred);
            }
            Settlement::Defer(properties) => {
                self.set_properties(sequence, &properties);
                self.deferred.insert(sequence);
            }
            Settlement::DeadLetter { reason, description, properties } => {
                self.tally.rejected += 1;
                self.set_properties(sequence, &properties);
                self.dead_letter(sequence, reason.as_deref(), description.as_deref());
            }
        }
        Ok(())
    }

    /// Until when the lock holds now.
    pub(in super::super) fn renew(&mut self, token: Uuid, now: i64) -> Result<i64, Refusal> {
        self.expire(now);
        let Some(mut lock) = self.lock_of(token) else {
            return Err(Refusal::lock_lost());
        };
        let has_session =
            self.messages.get(&lock.sequence).is_some_and(|message| message.session.is_some());
        if !has_session {
            lock.until = now.saturating_add(millis(self.settings.lock_duration));
            self.lock_ends.insert((lock.until, token));
        }
        let until = lock.until;
        self.locks.insert(token, lock);
        Ok(until)
    }

    pub(super) fn put_back(&mut self, sequence: i64, is_deferred: bool) {
        if is_deferred {
            self.deferred.insert(sequence);
        } else {
            self.make_ready(sequence);
        }
    }

    /// A delivery has failed: once more, or to the dead letters.
    pub(super) fn count_failure(&mut self, sequence: i64, is_deferred: bool) {
        let Some(message) = self.messages.get_mut(&sequence) else {
            return;
        };
        message.delivery_count = message.delivery_count.saturating_add(1);
        let count = message.delivery_count;
        if count < self.settings.max_delivery_count {
            self.put_back(sequence, is_deferred);
            return;
        }
        let description = format!("Message could not be consumed after {count} delivery attempts.");
        self.dead_letter(sequence, Some("MaxDeliveryCountExceeded"), Some(&description));
    }

    fn set_properties(&mut self, sequence: i64, properties: &Properties) {
        if let Some(message) = self.messages.get_mut(&sequence).filter(|_| !properties.is_empty()) {
            let pairs = properties.iter().map(|(name, value)| (name.as_str(), value));
            letter::set_properties(&mut message.letter, pairs);
        }
    }
}
