//! The messages and handlers of the clauses.
//!
//! They are written out, not derived: what a derive registers would be part of every program that
//! uses the suite.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::envelope::{Envelope, time};
use crate::handler::{
    Call, Called, Cascade, Cascades, DeliveryOptions, Handler, HandlerError, HandlerRegistration,
    Reply, State,
};
use crate::message::{Encodable, Encoding, Message, MessageType, encoding, kind as kinds};
use crate::routing::HandledBy;

/// The endpoint that leads to the receiving application.
pub(super) const RECEIVER: &str = "receiver";
/// The queue on which its handlers run, one message at a time.
pub(super) const QUEUE: &str = "conformance";

/// A command for the receiver, which says what its handler does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) text: String,
    pub(super) act: Act,
}

/// What the handler of a job does after it has noted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    Succeed,
    /// Fails in its first this many attempts.
    Fail(u32),
    FailForGood,
    /// Waits for the gate to open.
    Wait,
}

impl Job {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::that(Act::Succeed, text)
    }

    pub(super) fn that(act: Act, text: impl Into<String>) -> Self {
        Self { text: text.into(), act }
    }
}

/// The wire name of a job, and not its payload.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MangledJob {
    pub(super) wrong: bool,
}

/// A command that nobody handles.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Riddle;

/// An event with two subscribers at the receiver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) text: String,
}

/// A command of the sending application, whose durable handler sends jobs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) text: String,
    pub(super) fails: bool,
}

/// A command that is answered with the length of its text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measure {
    pub(super) text: String,
    pub(super) act: Act,
}

macro_rules! message {
    ($type:ty, $kind:ident, $name:literal, to $to:expr, reply $reply:ty) => {
        impl Message for $type {
            type Kind = kinds::$kind;
            type Reply = $reply;
            const TYPE: MessageType = MessageType::new($name, 1);
            const ENCODING: Encoding<Self> = encoding();
            const TO: Option<&'static str> = $to;

            fn encodable_reply(reply: &$reply) -> Option<&dyn Encodable> {
                Some(reply)
            }
        }
    };
}

message!(Job, Routed, "conformance.job", to Some(RECEIVER), reply ());
message!(MangledJob, Routed, "conformance.job", to Some(RECEIVER), reply ());
message!(Riddle, Routed, "conformance.riddle", to Some(RECEIVER), reply ());
message!(News, Event, "conformance.news", to None, reply ());
message!(Order, Command, "conformance.order", to None, reply ());
message!(Measure, Routed, "conformance.measure", to Some(RECEIVER), reply usize);

impl Cascade<()> for Job {
    type Reply = ();

    fn collect(self, cascades: &mut Cascades<'_>) -> Result<(), HandlerError> {
        Ok(cascades.push(&self, DeliveryOptions::new())?)
    }
}

/// What the handlers have received, in order, and what they wait for.
#[derive(Debug, Clone)]
pub(super) struct ReceivedNotes {
    notes: Arc<Mutex<Vec<Note>>>,
    count: Arc<watch::Sender<usize>>,
    gate: Arc<watch::Sender<bool>>,
}

/// One attempt of one handler.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) handler: &'static str,
    pub(super) text: String,
    pub(super) envelope: Envelope,
    pub(super) at: SystemTime,
}

impl Default for ReceivedNotes {
    fn default() -> Self {
        let (count, gate) = (watch::Sender::new(0), watch::Sender::new(false));
        Self { notes: Arc::default(), count: Arc::new(count), gate: Arc::new(gate) }
    }
}

impl ReceivedNotes {
    fn note(&self, handler: &'static str, text: &str, envelope: Envelope) {
        let note = Note { handler, text: text.to_owned(), envelope, at: time::now() };
        let mut notes = self.notes.lock();
        notes.push(note);
        self.count.send_replace(notes.len());
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        self.notes.lock().clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.notes().into_iter().map(|note| note.text).collect()
    }

    /// Waits until there are this many notes, and gives them.
    pub(super) async fn wait_for(&self, count: usize) -> Vec<Note> {
        let mut counts = self.count.subscribe();
        // What it gives locks the count, which a note is about to change under the lock of notes.
        let waited = counts.wait_for(|now| *now >= count).map(drop);
        let is_there = tokio::time::timeout(PATIENCE, waited).await.is_ok();
        assert!(is_there, "{count} notes were to come, and these are there: {:?}", self.texts());
        self.notes()
    }

    /// Waits until there are this many notes with different texts.
    pub(super) async fn wait_for_different(&self, count: usize) {
        let different = || self.texts().into_iter().collect::<BTreeSet<_>>();
        let mut counts = self.count.subscribe();
        // Looked at between two changes: a note is written under a lock that the texts need too.
        let there = async { while different().len() < count && counts.changed().await.is_ok() {} };
        let waited = tokio::time::timeout(PATIENCE, there).await;
        assert!(waited.is_ok(), "{count} texts were to come, and there are: {:?}", different());
    }

    /// Lets all go on that wait.
    pub(super) fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    async fn wait_at_gate(&self) {
        // The sender lives as long as this.
        let _ = self.gate.subscribe().wait_for(|is_open| *is_open).await;
    }

    async fn perform(&self, act: Act, envelope: &Envelope) -> Result<(), HandlerError> {
        match act {
            Act::Succeed => Ok(()),
            Act::Fail(times) if envelope.attempts > times => Ok(()),
            Act::Fail(_) => Err(HandlerError::new("it was told to fail")),
            Act::FailForGood => Err(HandlerError::terminal(HandlerError::new("told to give up"))),
            Act::Wait => {
                self.wait_at_gate().await;
                Ok(())
            }
        }
    }
}

/// Why a call of an application does not fail.
pub(super) const WORKS: &str = "the application works";

/// Why a call of an application fails.
pub(super) const REFUSED: &str = "this is refused";

/// How long a clause waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! handler {
    (
        $marker:ident($message:ty) on $queue:expr, durable $durable:literal,
        |$value:ident, $received:ident, $envelope:ident| $output:ty $body:block
    ) => {
        #[derive(Debug)]
        pub(super) enum $marker {}

        impl HandledBy<$marker> for $message {}

        impl Handler<$message> for $marker {
            const REGISTRATION: HandlerRegistration = {
                let function = PhantomData::<Self>;
                let name = stringify!($marker);
                let it =
                    HandlerRegistration::new::<$message, Self, _>(&function, name, module_path!());
                let it = it.queue($queue).concurrency(1).attempts(3).delays(&[]);
                if $durable { it.durable() } else { it }
            };

            fn call(call: Call<'_, $message>) -> Called<'_, $message> {
                let function = |$value: $message, $received, $envelope: Envelope| async move {
                    let $received: State<ReceivedNotes> = $received;
                    let output: $output = $body;
                    output
                };
                call.argument().argument().run(function, 0)
            }
        }
    };
}

handler!(WorkOff(Job) on QUEUE, durable false, |job, received, envelope| Result<(), HandlerError> {
    received.note("job", &job.text, envelope.clone());
    received.perform(job.act, &envelope).await
});

handler!(ReadNews(News) on QUEUE, durable false, |news, received, envelope| () {
    received.note("reader", &news.text, envelope);
});

handler!(KeepNews(News) on "archive", durable false, |news, received, envelope| () {
    received.note("keeper", &news.text, envelope);
});

handler!(TakeOrder(Order) on "orders", durable true, |order, _heard, envelope|
    Result<Vec<Job>, HandlerError> {
    let jobs = vec![Job::new(order.text)];
    // Its rows, the messages it returns among them, are undone by its failure.
    if order.fails && envelope.attempts < 2 { Err(HandlerError::new("once")) } else { Ok(jobs) }
});

handler!(TakeMeasure(Measure) on QUEUE, durable false, |measure, received, envelope|
    Result<Reply<usize>, HandlerError> {
    received.note("measure", &measure.text, envelope.clone());
    received.perform(measure.act, &envelope).await?;
    Ok(Reply(measure.text.len()))
});
