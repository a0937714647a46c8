//! What has happened in a session.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{Codec, decode_as};
use crate::envelope::Envelope;
use crate::message::Message;
use crate::runtime::MessageEvent;
use crate::runtime::observation::Observed;

/// One event in the work that a session has tracked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrackedEvent {
    /// What has happened.
    pub event: MessageEvent,
    /// The message to which it has, as it was then.
    pub envelope: Envelope,
    /// Why, of a failure and its like.
    pub detail: Option<String>,
    /// How long after the begin of the session.
    pub at: Duration,
}

impl TrackedEvent {
    pub(super) fn of(observed: &Observed<'_>, at: Duration) -> Self {
        let (envelope, detail) = (observed.envelope.clone(), observed.detail.clone());
        Self { event: observed.event, envelope, detail, at }
    }
}

/// What a message has caused: sent, received, handled, failed, scheduled and dead-lettered, in
/// order.
///
/// Its text, by `{}` or `{:?}`, is the whole story, and so is that of each assertion that fails.
/// Messages are given decoded.
#[derive(Clone)]
pub struct Tracked {
    events: Vec<TrackedEvent>,
    codec: Arc<dyn Codec>,
}

impl Tracked {
    pub(super) const fn new(events: Vec<TrackedEvent>, codec: Arc<dyn Codec>) -> Self {
        Self { events, codec }
    }

    /// Every event, in order.
    pub fn events(&self) -> &[TrackedEvent] {
        &self.events
    }

    /// The messages of this type that were sent or published, those for a later time too. One that
    /// was published to several is one, also where there are none.
    ///
    /// # Panics
    /// One of them cannot be decoded.
    #[track_caller]
    pub fn sent<M: Message>(&self) -> Vec<M> {
        use MessageEvent::{NoSubscriber, Scheduled, Sent};
        let mut known = HashSet::new();
        let sent = self.of::<M>(&[Sent, Scheduled, NoSubscriber]);
        let sent = sent.filter(|envelope| known.insert(envelope.id));
        sent.map(|envelope| self.decoded(envelope)).collect()
    }

    /// The messages of this type that were sent for a later time. What a failed run waits for
    /// before its next attempt is not in it.
    ///
    /// # Panics
    /// One of them cannot be decoded.
    #[track_caller]
    pub fn scheduled<M: Message>(&self) -> Vec<M> {
        self.all(&[MessageEvent::Scheduled])
    }

    /// The messages of this type that came from another process, one for each handler.
    ///
    /// # Panics
    /// One of them cannot be decoded.
    #[track_caller]
    pub fn received<M: Message>(&self) -> Vec<M> {
        self.all(&[MessageEvent::Received])
    }

    /// The messages of this type that were handled, one for each handler; also those that were
    /// invoked.
    ///
    /// # Panics
    /// One of them cannot be decoded.
    #[track_caller]
    pub fn handled<M: Message>(&self) -> Vec<M> {
        self.all(&[MessageEvent::ExecutionFinished])
    }

    /// The messages of this type whose run did not succeed, one for each run.
    ///
    /// # Panics
    /// One of them cannot be decoded, as where that is why it failed.
    #[track_caller]
    pub fn failed<M: Message>(&self) -> Vec<M> {
        self.all(&[MessageEvent::ExecutionFailed])
    }

    /// The messages of this type that became dead letters.
    ///
    /// # Panics
    /// One of them cannot be decoded, as where that is why.
    #[track_caller]
    pub fn dead_lettered<M: Message>(&self) -> Vec<M> {
        self.all(&[MessageEvent::DeadLettered])
    }

    #[track_caller]
    fn all<M: Message>(&self, events: &'static [MessageEvent]) -> Vec<M> {
        self.of::<M>(events).map(|envelope| self.decoded(envelope)).collect()
    }

    fn of<M: Message>(&self, events: &'static [MessageEvent]) -> impl Iterator<Item = &Envelope> {
        let all = self.events.iter().filter(|event| events.contains(&event.event));
        all.map(|event| &event.envelope).filter(|envelope| envelope.message_type == M::TYPE)
    }

    #[track_caller]
    fn decoded<M: Message>(&self, envelope: &Envelope) -> M {
        decode_as(&M::ENCODING, &*self.codec, &envelope.payload)
            .unwrap_or_else(|error| panic!("`{}` cannot be decoded: {error}\n{self}", M::TYPE))
    }
}

impl fmt::Display for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.events.is_empty() {
            return write!(f, "nothing has happened");
        }
        write!(f, "what has happened:")?;
        for TrackedEvent { event, envelope, detail, at } in &self.events {
            let (milliseconds, what) = (at.as_secs_f64() * 1_000.0, in_words(*event));
            let (of, at) = (&envelope.message_type, &envelope.destination);
            write!(f, "\n{milliseconds:9.1} ms  {what:<18}  {of} {}", envelope.id)?;
            if *event != MessageEvent::NoSubscriber {
                write!(f, "  {at}")?;
            }
            if is_of_a_run(*event) {
                write!(f, "  attempt {}", envelope.attempts)?;
            }
            if let Some(detail) = detail {
                write!(f, "  ({detail})")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn is_of_a_run(event: MessageEvent) -> bool {
    use MessageEvent::{ExecutionFailed, ExecutionFinished, ExecutionStarted};
    matches!(event, ExecutionStarted | ExecutionFinished | ExecutionFailed)
}

const fn in_words(event: MessageEvent) -> &'static str {
    match event {
        MessageEvent::Sent => "sent",
        MessageEvent::Scheduled => "scheduled",
        MessageEvent::NoSubscriber => "no subscriber",
        MessageEvent::Received => "received",
        MessageEvent::NoHandler => "no handler",
        MessageEvent::Delivered => "delivered",
        MessageEvent::ExecutionStarted => "execution started",
        MessageEvent::ExecutionFinished => "execution finished",
        MessageEvent::ExecutionFailed => "execution failed",
        MessageEvent::DeadLettered => "dead-lettered",
        MessageEvent::Discarded => "discarded",
    }
}
