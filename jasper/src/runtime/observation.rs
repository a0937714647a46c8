//! What happens to messages, for the observers of an application.
//!
//! Without an observer nothing is made for an event: all that it costs then is one branch.

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::envelope::Envelope;
use crate::store::Inserted;

/// What has happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageEvent {
    /// It was accepted, for a handler of this application or for an endpoint.
    Sent,
    /// It was accepted for a later time.
    Scheduled,
    /// It was published, and nothing subscribes to it.
    NoSubscriber,
    /// It has come from another process, for a handler of this application.
    Received,
    /// It has come from another process, and no handler of this application takes it.
    NoHandler,
    /// Another process, or a broker, has taken it.
    Delivered,
    /// A run of its handler has begun.
    ExecutionStarted,
    /// It is handled: the run has succeeded, and is committed where it has a transaction.
    ExecutionFinished,
    /// The run did not succeed.
    ExecutionFailed,
    /// It became a dead letter or an invalid message.
    DeadLettered,
    /// It was dropped: its time was over, it repeats another one, or it was only in memory.
    Discarded,
}

/// One event, as an observer is told of it.
#[derive(Debug)]
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only tests watch"))]
pub(crate) struct Observed<'a> {
    pub(crate) event: MessageEvent,
    pub(crate) envelope: &'a Envelope,
    /// Why, where there is something to say.
    pub(crate) detail: Option<String>,
    /// Nothing more comes of the message at its destination.
    pub(crate) is_last: bool,
}

impl<'a> Observed<'a> {
    pub(crate) const fn new(event: MessageEvent, envelope: &'a Envelope) -> Self {
        use MessageEvent::{DeadLettered, Delivered, Discarded, ExecutionFinished};
        let is_last = matches!(event, ExecutionFinished | DeadLettered | Delivered | Discarded);
        Self { event, envelope, detail: None, is_last }
    }

    pub(crate) fn because(mut self, why: &dyn fmt::Display) -> Self {
        self.detail = Some(why.to_string());
        self
    }

    /// Of a run that is not repeated.
    pub(crate) const fn at_last(mut self) -> Self {
        self.is_last = true;
        self
    }
}

/// Observes an application.
pub(crate) trait Observer: fmt::Debug + Send + Sync {
    /// Called by whatever task has made it happen: it must not wait.
    fn note(&self, observed: &Observed<'_>);
}

/// The observers of an application.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    is_observed: AtomicBool,
    all: Mutex<Vec<Weak<dyn Observer>>>,
}

impl Observers {
    /// Whether there is one.
    pub(crate) fn is_observed(&self) -> bool {
        self.is_observed.load(Ordering::Relaxed)
    }

    /// Tells them of an event, which is made where there is one.
    pub(crate) fn note<'a>(&self, observed: impl FnOnce() -> Observed<'a>) {
        if self.is_observed() {
            self.notify(&observed());
        }
    }

    #[cold]
    pub(crate) fn notify(&self, observed: &Observed<'_>) {
        let mut all = self.all.lock();
        let there: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        if there.is_empty() {
            all.clear();
            self.is_observed.store(false, Ordering::Relaxed);
        }
        // One that is told may look at the application.
        drop(all);
        there.iter().for_each(|observer| observer.note(observed));
    }

    /// Adds one, for as long as it is there.
    #[cfg(feature = "testing")]
    pub(crate) fn add(&self, observer: Weak<dyn Observer>) {
        let mut all = self.all.lock();
        all.retain(|observer| observer.strong_count() > 0);
        all.push(observer);
        self.is_observed.store(true, Ordering::Relaxed);
    }
}

/// What is sent or has come in one call, from before it is stored until it is handed over.
#[derive(Debug, Default)]
pub(crate) struct ObservedBatch {
    /// For each row, in order.
    pub(crate) incoming: Vec<(MessageEvent, Envelope)>,
    pub(crate) outgoing: Vec<Envelope>,
    pub(crate) in_memory: Vec<(MessageEvent, Envelope)>,
}

impl ObservedBatch {
    /// Before any of it can be handled here.
    #[cold]
    pub(crate) fn notify(
        self,
        observers: &Observers,
        incoming: &[Inserted],
        outgoing: &[Inserted],
    ) {
        let notify = |event, envelope: &Envelope, inserted: Inserted| {
            observers.notify(&match inserted {
                Inserted::New => Observed::new(event, envelope),
                Inserted::Duplicate => Observed {
                    // Whatever becomes of the first one stays as it is.
                    is_last: false,
                    ..Observed::new(MessageEvent::Discarded, envelope).because(&"a repeat")
                },
            });
        };
        for ((event, envelope), stored) in self.incoming.iter().zip(incoming) {
            notify(*event, envelope, *stored);
        }
        for (envelope, stored) in self.outgoing.iter().zip(outgoing) {
            notify(MessageEvent::Sent, envelope, *stored);
        }
        for (event, envelope) in &self.in_memory {
            notify(*event, envelope, Inserted::New);
        }
    }
}

/// A run whose caller waits for it: it is over when it has ended, or when the caller is gone.
#[derive(Debug)]
pub(crate) struct ObservedRun<'a> {
    observers: &'a Observers,
    envelope: Box<Envelope>,
    is_over: bool,
}

impl<'a> ObservedRun<'a> {
    /// Begins. `None`: there is no observer.
    pub(crate) fn start(
        observers: &'a Observers,
        envelope: impl FnOnce() -> Envelope,
    ) -> Option<Self> {
        if !observers.is_observed() {
            return None;
        }
        let envelope = Box::new(envelope());
        observers.notify(&Observed::new(MessageEvent::ExecutionStarted, &envelope));
        Some(Self { observers, envelope, is_over: false })
    }

    /// It has ended, in failure where there is an error.
    pub(crate) fn end(mut self, error: Option<&dyn fmt::Display>) {
        self.is_over = true;
        self.notify(error);
    }

    fn notify(&self, error: Option<&dyn fmt::Display>) {
        let event = match error {
            None => MessageEvent::ExecutionFinished,
            Some(_) => MessageEvent::ExecutionFailed,
        };
        let observed = Observed::new(event, &self.envelope).at_last();
        self.observers.notify(&match error {
            None => observed,
            Some(error) => observed.because(error),
        });
    }
}

impl Drop for ObservedRun<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.notify(Some(&"its caller was gone before it ended"));
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::envelope::Address;
    use crate::message::MessageType;

    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<MessageEvent>>);

    impl Observer for Noted {
        fn note(&self, observed: &Observed<'_>) {
            self.0.lock().push(observed.event);
        }
    }

    #[test]
    fn an_event_is_made_only_while_there_is_an_observer() {
        let to = Address::local("work", "work");
        let message_type = MessageType::new("work", 1);
        let envelope = Envelope::new(message_type, "application/json", Bytes::new(), to);
        let observers = Observers::default();
        observers.note(|| unreachable!("there is no observer"));
        assert!(ObservedRun::start(&observers, || unreachable!("there is no observer")).is_none());

        let noted = Arc::new(Noted::default());
        let observer: Arc<dyn Observer> = Arc::clone(&noted) as _;
        observers.add(Arc::downgrade(&observer));
        observers.note(|| Observed::new(MessageEvent::Sent, &envelope));
        drop(ObservedRun::start(&observers, || envelope.clone()));
        let expected =
            [MessageEvent::Sent, MessageEvent::ExecutionStarted, MessageEvent::ExecutionFailed];
        assert_eq!(*noted.0.lock(), expected);

        drop((noted, observer));
        observers.note(|| Observed::new(MessageEvent::Sent, &envelope));
        observers.note(|| unreachable!("there is no observer any more"));
    }
}
