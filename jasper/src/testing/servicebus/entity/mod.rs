//! A queue or a subscription: its messages and where each of them stands. It knows nothing of
//! connections, and its time is what the caller says it is, in milliseconds since the Unix epoch.

mod dead_letters;
mod expiry;
mod intake;
mod outgoing;
mod sessions;
mod settling;
mod taking;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use uuid::Uuid;

use super::counts::Counts;
use super::letter::Letter;
use super::settings::EntitySettings;

/// Who receives: one number for each receiving link of the broker's life.
pub(super) type ReceiverId = u64;

#[derive(Debug)]
pub(super) struct Entity {
    settings: EntitySettings,
    last_sequence: i64,
    messages: BTreeMap<i64, Stored>,
    /// The sequence numbers that can be received, by session.
    ready: BTreeMap<Option<String>, BTreeSet<i64>>,
    scheduled: BTreeSet<(i64, i64)>,
    deferred: BTreeSet<i64>,
    locks: HashMap<Uuid, Lock>,
    /// The ends of the locks of messages without a session.
    lock_ends: BTreeSet<(i64, Uuid)>,
    sessions: BTreeMap<String, Session>,
    recent_ids: HashSet<String>,
    recent_order: VecDeque<(i64, String)>,
    /// `None` in the dead letters themselves.
    dead_letters: Option<Box<Entity>>,
    tally: Counts,
}

/// A message with what the broker notes about it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) letter: Letter,
    pub(super) sequence: i64,
    pub(super) enqueued_at: i64,
    pub(super) delivery_count: u32,
    pub(super) session: Option<String>,
    pub(super) scheduled_at: Option<i64>,
    expires_at: Option<i64>,
}

#[derive(Debug)]
struct Lock {
    sequence: i64,
    until: i64,
    /// It was received by its number, and goes back to the deferred ones.
    is_deferred: bool,
}

#[derive(Debug, Default)]
struct Session {
    state: Option<Vec<u8>>,
    /// When the state was set last.
    state_set_at: i64,
    lock: Option<SessionLock>,
}

#[derive(Debug)]
struct SessionLock {
    receiver: ReceiverId,
    until: i64,
}

/// A message on its way to a receiver.
#[derive(Debug)]
pub(super) struct Delivery<'e> {
    pub(super) token: Uuid,
    pub(super) locked_until: Option<i64>,
    /// Owned where the entity has it no more.
    pub(super) message: Cow<'e, Stored>,
}

impl Entity {
    pub(super) fn new(settings: EntitySettings) -> Self {
        let dead_letters = Some(Box::new(Self::empty(of_dead_letters(&settings), None)));
        Self::empty(settings, dead_letters)
    }

    /// Takes other settings, for what is received and sent from now on.
    pub(super) fn change(&mut self, settings: EntitySettings) {
        if let Some(dead) = self.dead_letters_mut() {
            dead.settings = of_dead_letters(&settings);
        }
        self.settings = settings;
    }

    fn empty(settings: EntitySettings, dead_letters: Option<Box<Self>>) -> Self {
        Self {
            settings,
            last_sequence: 0,
            messages: BTreeMap::new(),
            ready: BTreeMap::new(),
            scheduled: BTreeSet::new(),
            deferred: BTreeSet::new(),
            locks: HashMap::new(),
            lock_ends: BTreeSet::new(),
            sessions: BTreeMap::new(),
            recent_ids: HashSet::new(),
            recent_order: VecDeque::new(),
            dead_letters,
            tally: Counts::default(),
        }
    }

    pub(super) fn requires_session(&self) -> bool {
        self.settings.requires_session
    }

    pub(super) fn dead_letters_mut(&mut self) -> Option<&mut Self> {
        self.dead_letters.as_deref_mut()
    }

    pub(super) fn dead_letters(&self) -> Option<&Self> {
        self.dead_letters.as_deref()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            active: self.ready.values().map(BTreeSet::len).sum(),
            locked: self.locks.len(),
            scheduled: self.scheduled.len(),
            deferred: self.deferred.len(),
            dead_lettered: self.dead_letters.as_ref().map_or(0, |dead| dead.messages.len()),
            ..self.tally
        }
    }

    fn next_sequence(&mut self) -> i64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    fn make_ready(&mut self, sequence: i64) {
        if let Some(message) = self.messages.get(&sequence) {
            self.ready.entry(message.session.clone()).or_default().insert(sequence);
        }
    }

    fn lock_of(&mut self, token: Uuid) -> Option<Lock> {
        let lock = self.locks.remove(&token)?;
        self.lock_ends.remove(&(lock.until, token));
        Some(lock)
    }
}

fn of_dead_letters(settings: &EntitySettings) -> EntitySettings {
    EntitySettings {
        requires_session: false,
        max_delivery_count: u32::MAX,
        duplicate_window: None,
        dead_letters_expired: false,
        lock_duration: settings.lock_duration,
    }
}
