//! What is under way in a session, and what has happened in it.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::tracked::TrackedEvent;
use crate::envelope::{Address, MessageId};
use crate::message::MessageType;
use crate::runtime::MessageEvent;
use crate::runtime::observation::{Observed, Observer};

/// One message at one destination.
type Key = (MessageId, Address);

/// One session. The messages that belong to it are those of its conversation, which is inherited by
/// all that follows from a message, in whichever process.
#[derive(Debug)]
pub(super) struct Session {
    conversation: MessageId,
    begun: Instant,
    limits: SessionLimits,
    progress: Mutex<Progress>,
    changed: Notify,
}

/// What a session waits for.
#[derive(Debug, Clone)]
pub(super) struct SessionLimits {
    /// For how long.
    pub(super) time: Duration,
    /// Also for messages that are sent for a later time.
    pub(super) with_scheduled: bool,
    /// Until this many messages of these types are handled or given up.
    pub(super) until: Vec<(MessageType, usize)>,
}

#[derive(Debug, Default)]
struct Progress {
    events: Vec<TrackedEvent>,
    /// In the order in which they began.
    going_on: Vec<(Key, GoingOn)>,
    ended: HashSet<Key>,
    ended_of: HashMap<MessageType, usize>,
}

/// A message with which something is still to be done.
#[derive(Debug)]
struct GoingOn {
    message_type: MessageType,
    what: String,
    since: Instant,
}

impl Session {
    pub(super) fn new(conversation: MessageId, limits: SessionLimits) -> Arc<Self> {
        Arc::new(Self {
            conversation,
            begun: Instant::now(),
            limits,
            progress: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(super) const fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// Waits until all is done.
    pub(super) async fn done(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_done() {
                return;
            }
            changed.await;
        }
    }

    fn is_done(&self) -> bool {
        let progress = self.progress.lock();
        let ended = |of: &MessageType| progress.ended_of.get(of).copied().unwrap_or_default();
        progress.going_on.is_empty()
            && self.limits.until.iter().all(|(of, count)| ended(of) >= *count)
    }

    /// What has happened so far.
    pub(super) fn events(&self) -> Vec<TrackedEvent> {
        self.progress.lock().events.clone()
    }

    /// What is still to be done, a line for each.
    pub(super) fn going_on(&self) -> Vec<String> {
        let progress = self.progress.lock();
        let mut lines: Vec<_> = progress
            .going_on
            .iter()
            .map(|((id, destination), GoingOn { message_type, what, since })| {
                let since = since.elapsed();
                format!("`{message_type}` {id} at {destination}: {what}, {since:.1?} ago")
            })
            .collect();
        for (of, count) in &self.limits.until {
            let ended = progress.ended_of.get(of).copied().unwrap_or_default();
            if ended < *count {
                lines.push(format!("`{of}`: {ended} of {count} are handled or given up"));
            }
        }
        lines
    }
}

impl Observer for Session {
    fn note(&self, observed: &Observed<'_>) {
        if observed.envelope.conversation_id != self.conversation {
            return;
        }
        let at = self.begun.elapsed();
        let mut progress = self.progress.lock();
        progress.events.push(TrackedEvent::of(observed, at));
        let is_scheduled = observed.event == MessageEvent::Scheduled;
        let key = (observed.envelope.id, observed.envelope.destination.clone());
        if observed.is_last {
            let is_delivered = observed.event == MessageEvent::Delivered;
            progress.end(key, (!is_delivered).then_some(&observed.envelope.message_type));
        } else if let Some(what) = going_on(observed)
            && (!is_scheduled || self.limits.with_scheduled)
        {
            progress.go_on(key, &observed.envelope.message_type, what);
        }
        drop(progress);
        self.changed.notify_waiters();
    }
}

impl Progress {
    /// `of`: its type, unless it is only with another process by now.
    fn end(&mut self, key: Key, of: Option<&MessageType>) {
        self.going_on.retain(|(other, _)| *other != key);
        if self.ended.insert(key)
            && let Some(of) = of
        {
            *self.ended_of.entry(of.clone()).or_default() += 1;
        }
    }

    /// A message may have been handled, by another node, before its sender came to say that it is
    /// sent.
    fn go_on(&mut self, key: Key, message_type: &MessageType, what: String) {
        if self.ended.contains(&key) {
            return;
        }
        let now = GoingOn { message_type: message_type.clone(), what, since: Instant::now() };
        match self.going_on.iter_mut().find(|(other, _)| *other == key) {
            Some((_, before)) => *before = now,
            None => self.going_on.push((key, now)),
        }
    }
}

/// What is to be said of a message with which something is still to be done after this.
fn going_on(observed: &Observed<'_>) -> Option<String> {
    let attempt = observed.envelope.attempts;
    match observed.event {
        MessageEvent::Sent => Some("sent".to_owned()),
        MessageEvent::Scheduled => Some("scheduled".to_owned()),
        MessageEvent::Received => Some("received".to_owned()),
        MessageEvent::ExecutionStarted => Some(format!("attempt {attempt} began")),
        MessageEvent::ExecutionFailed => {
            let why = observed.detail.as_deref().unwrap_or_default();
            Some(format!("attempt {attempt} failed ({why}), and another one is to come"))
        }
        _ => None,
    }
}
