//! Messages that receivers take or look at.

use std::borrow::Cow;

use uuid::Uuid;

use super::super::clock::millis;
use super::super::refusal::{MESSAGE_NOT_FOUND, Refusal};
use super::{Delivery, Entity, Lock, Stored};

impl Entity {
    /// The next message, of this session where there are sessions. With a lock it stays until it is
    /// settled; without one it is gone.
    pub(in super::super) fn take(
        &mut self,
        session: Option<&str>,
        is_locking: bool,
        now: i64,
    ) -> Option<Delivery<'_>> {
        let key = session.map(str::to_owned);
        loop {
            let sequence = *self.ready.get(&key)?.first()?;
            self.remove_ready(&key, sequence);
            let is_expired = self.is_expired(sequence, now);
            if is_expired {
                self.drop_expired(sequence);
                continue;
            }
            return self.deliver(sequence, is_locking, false, now);
        }
    }

    /// A deferred message by its number.
    pub(in super::super) fn take_deferred(
        &mut self,
        sequence: i64,
        is_locking: bool,
        now: i64,
    ) -> Result<Delivery<'_>, Refusal> {
        let is_there = self.deferred.remove(&sequence);
        let delivery = is_there.then(|| self.deliver(sequence, is_locking, true, now)).flatten();
        delivery.ok_or_else(|| {
            let description = format!("No deferred message has number {sequence}.");
            Refusal::new(MESSAGE_NOT_FOUND, description)
        })
    }

    /// The messages from this number on, whatever their state, without a lock.
    pub(in super::super) fn peek(
        &self,
        from: i64,
        session: Option<&str>,
        count: usize,
    ) -> Vec<&Stored> {
        let is_wanted = |message: &&Stored| {
            session.is_none_or(|session| message.session.as_deref() == Some(session))
        };
        self.messages
            .range(from..)
            .map(|(_, message)| message)
            .filter(is_wanted)
            .take(count)
            .collect()
    }

    pub(super) fn remove_ready(&mut self, key: &Option<String>, sequence: i64) {
        if let Some(ready) = self.ready.get_mut(key) {
            ready.remove(&sequence);
            if ready.is_empty() {
                self.ready.remove(key);
            }
        }
    }

    fn deliver(
        &mut self,
        sequence: i64,
        is_locking: bool,
        is_deferred: bool,
        now: i64,
    ) -> Option<Delivery<'_>> {
        self.tally.delivered += 1;
        let token = Uuid::from_u128(fastrand::u128(..));
        if !is_locking {
            let message = self.messages.remove(&sequence)?;
            self.tally.completed += 1;
            return Some(Delivery { token, locked_until: None, message: Cow::Owned(message) });
        }
        let message = self.messages.get(&sequence)?;
        let until = match &message.session {
            Some(session) => self.session_locked_until(session),
            None => now.saturating_add(millis(self.settings.lock_duration)),
        };
        if message.session.is_none() {
            self.lock_ends.insert((until, token));
        }
        self.locks.insert(token, Lock { sequence, until, is_deferred });
        Some(Delivery { token, locked_until: Some(until), message: Cow::Borrowed(message) })
    }
}
