//! Sessions: who holds which, and what is kept with them.

use std::collections::BTreeSet;

use super::super::clock::millis;
use super::super::refusal::{Refusal, SESSION_CANNOT_BE_LOCKED};
use super::{Entity, ReceiverId, Session, SessionLock};

impl Entity {
    /// Locks the session with this name for a receiver. Returns until when.
    pub(in super::super) fn lock_session(
        &mut self,
        name: &str,
        receiver: ReceiverId,
        now: i64,
    ) -> Result<i64, Refusal> {
        self.expire(now);
        let until = now.saturating_add(millis(self.settings.lock_duration));
        let session = self.sessions.entry(name.to_owned()).or_default();
        if session.lock.is_some() {
            let description = format!(
                "The requested session '{name}' cannot be accepted. It may \
                                       be locked by another receiver."
            );
            return Err(Refusal::new(SESSION_CANNOT_BE_LOCKED, description));
        }
        session.lock = Some(SessionLock { receiver, until });
        Ok(until)
    }

    /// Locks the session that is free and has the oldest message. Returns its name and until when.
    pub(in super::super) fn lock_next_session(
        &mut self,
        receiver: ReceiverId,
        now: i64,
    ) -> Option<(String, i64)> {
        self.expire(now);
        let is_free = |name: &str| self.sessions.get(name).is_none_or(|it| it.lock.is_none());
        let waiting = self.ready.iter().filter_map(|(name, numbers)| {
            Some((numbers.first()?, name.as_ref()?)).filter(|(_, name)| is_free(name))
        });
        let name = waiting.min()?.1.clone();
        let until = self.lock_session(&name, receiver, now).ok()?;
        Some((name, until))
    }

    pub(in super::super) fn holds_session(&self, name: &str, receiver: ReceiverId) -> bool {
        let lock = self.sessions.get(name).and_then(|session| session.lock.as_ref());
        lock.is_some_and(|lock| lock.receiver == receiver)
    }

    /// Gives a session back with its messages, which counts as no failed delivery.
    pub(in super::super) fn release_session(&mut self, name: &str, receiver: ReceiverId) {
        if self.holds_session(name, receiver) {
            self.end_session_lock(name, false);
        }
    }

    pub(in super::super) fn renew_session(&mut self, name: &str, now: i64) -> Result<i64, Refusal> {
        self.expire(now);
        let until = now.saturating_add(millis(self.settings.lock_duration));
        let lock = self.sessions.get_mut(name).and_then(|session| session.lock.as_mut());
        lock.ok_or_else(Refusal::session_lock_lost)?.until = until;
        let messages = &self.messages;
        let is_inside = |sequence: i64| {
            messages.get(&sequence).is_some_and(|it| it.session.as_deref() == Some(name))
        };
        for lock in self.locks.values_mut().filter(|lock| is_inside(lock.sequence)) {
            lock.until = until;
        }
        Ok(until)
    }

    pub(in super::super) fn session_state(&self, name: &str) -> Option<&[u8]> {
        self.sessions.get(name)?.state.as_deref()
    }

    pub(in super::super) fn set_session_state(
        &mut self,
        name: &str,
        state: Option<Vec<u8>>,
        now: i64,
    ) -> Result<(), Refusal> {
        self.expire(now);
        let session = self.sessions.get_mut(name).filter(|session| session.lock.is_some());
        let session = session.ok_or_else(Refusal::session_lock_lost)?;
        (session.state, session.state_set_at) = (state, now);
        Ok(())
    }

    /// The sessions that have messages or a state; with a time, those that have a state which was
    /// set later.
    pub(in super::super) fn session_names(&self, since: Option<i64>) -> BTreeSet<String> {
        let is_listed =
            |it: &Session| it.state.is_some() && since.is_none_or(|since| it.state_set_at > since);
        let stateful = self.sessions.iter().filter(|(_, session)| is_listed(session));
        let mut names: BTreeSet<_> = stateful.map(|(name, _)| name.clone()).collect();
        if since.is_none() {
            let ready = self.ready.iter().filter(|(_, numbers)| !numbers.is_empty());
            names.extend(ready.filter_map(|(name, _)| name.clone()));
            let locked = self.locks.values().filter_map(|lock| self.messages.get(&lock.sequence));
            names.extend(locked.filter_map(|message| message.session.clone()));
        }
        names
    }

    pub(super) fn session_locked_until(&self, name: &str) -> i64 {
        let lock = self.sessions.get(name).and_then(|session| session.lock.as_ref());
        lock.map_or(0, |lock| lock.until)
    }

    /// Unlocks a session and what of it is locked.
    pub(super) fn end_session_lock(&mut self, name: &str, is_failure: bool) {
        if let Some(session) = self.sessions.get_mut(name) {
            session.lock = None;
        }
        let messages = &self.messages;
        let is_inside = |sequence: i64| {
            messages.get(&sequence).is_some_and(|it| it.session.as_deref() == Some(name))
        };
        let inside = self.locks.iter().filter(|(_, lock)| is_inside(lock.sequence));
        let tokens: Vec<_> = inside.map(|(token, _)| *token).collect();
        for token in tokens {
            if let Some(lock) = self.lock_of(token) {
                self.give_back(&lock, is_failure);
            }
        }
    }
}
