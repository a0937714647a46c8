//! What happens by the passing of time: locks that run out, schedules that come due, messages that
//! are of no use any more.

use super::{Entity, Lock};

impl Entity {
    /// Brings the entity to this time. Says whether anything has changed.
    pub(in super::super) fn advance(&mut self, now: i64) -> bool {
        let due = self.next_deadline();
        let is_due = due.is_some_and(|due| due <= now);
        if is_due {
            self.expire(now);
            self.admit_scheduled(now);
        }
        let dead = self.dead_letters.as_mut().is_some_and(|dead| dead.advance(now));
        is_due || dead
    }

    /// When the next lock runs out or the next scheduled message is due.
    pub(in super::super) fn next_deadline(&self) -> Option<i64> {
        let lock = self.lock_ends.first().map(|(until, _)| *until);
        let scheduled = self.scheduled.first().map(|(due, _)| *due);
        let sessions = self.sessions.values().filter_map(|session| session.lock.as_ref());
        let session = sessions.map(|lock| lock.until).min();
        let dead = self.dead_letters.as_ref().and_then(|dead| dead.next_deadline());
        [lock, scheduled, session, dead].into_iter().flatten().min()
    }

    /// Ends every lock now, as if its time had passed.
    pub(in super::super) fn expire_locks(&mut self) {
        self.expire(i64::MAX);
    }

    pub(super) fn expire(&mut self, now: i64) {
        while let Some((until, token)) = self.lock_ends.first().copied() {
            if until > now {
                break;
            }
            if let Some(lock) = self.lock_of(token) {
                self.give_back(&lock, true);
            }
        }
        let has_ended = |until: i64| until <= now;
        let ended = self
            .sessions
            .iter()
            .filter(|(_, session)| session.lock.as_ref().is_some_and(|lock| has_ended(lock.until)));
        let names: Vec<String> = ended.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.end_session_lock(&name, true);
        }
    }

    pub(super) fn give_back(&mut self, lock: &Lock, is_failure: bool) {
        if is_failure {
            self.tally.expired_locks += 1;
            self.count_failure(lock.sequence, lock.is_deferred);
        } else {
            self.put_back(lock.sequence, lock.is_deferred);
        }
    }

    pub(super) fn is_expired(&self, sequence: i64, now: i64) -> bool {
        let message = self.messages.get(&sequence);
        message.and_then(|message| message.expires_at).is_some_and(|at| at <= now)
    }

    /// A message is looked at when it is about to be delivered, so one that has expired stays in
    /// the counts until then.
    pub(super) fn drop_expired(&mut self, sequence: i64) {
        if self.settings.dead_letters_expired {
            let description = "The message expired and was dead lettered.";
            self.dead_letter(sequence, Some("TTLExpiredException"), Some(description));
        } else {
            self.messages.remove(&sequence);
        }
    }
}
