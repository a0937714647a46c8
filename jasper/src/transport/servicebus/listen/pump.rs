//! The task that has a receiving link to itself: what comes goes out of it, settlements go into it.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::{DispositionError, RecvError};
use fe2o3_amqp_types::definitions::{self, ErrorCondition, Fields};
use fe2o3_amqp_types::messaging::{Body, Modified};
use fe2o3_amqp_types::primitives::{Symbol, Value};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use uuid::Uuid;

use super::super::failure::Fault;
use super::super::message::{DEATH_DESCRIPTION, DEATH_REASON, Letter, locked_until};
use super::locks::{Lock, Locks};
use super::settlement::Settlement;
use crate::envelope::time;
use crate::transport::cause::Cause;

const DEAD_LETTER: &str = "com.microsoft:dead-letter";
/// How long the broker may take to take credit back.
const DRAINING: Duration = Duration::from_secs(1);
/// For what the broker sent before that, and is on its way within this process.
const QUIET: Duration = Duration::from_millis(20);

/// A message that has come and is not settled.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) info: DeliveryInfo,
    /// The message, or what is wrong with its bytes.
    pub(super) letter: Result<Letter, String>,
    /// `None` in a session, whose lock is that of all its messages.
    pub(super) lock: Option<Lock>,
}

#[derive(Debug)]
pub(super) enum Command {
    Settle(DeliveryInfo, Settlement),
    /// It is not settled: the broker has given it away.
    Forget,
    /// Take nothing more.
    Drain,
}

/// The receiver with what it needs.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) receiver: Receiver,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// Closed once nothing more comes; the last one is why.
    pub(super) arrived: mpsc::UnboundedSender<Result<Arrived, Fault>>,
    /// `None` in a session.
    pub(super) locks: Option<Arc<Locks>>,
    pub(super) drained: Arc<Notify>,
    /// Cancelled when it runs no more.
    pub(super) _ended: DropGuard,
    /// The most messages that have come and are not settled.
    pub(super) prefetch: u32,
}

/// About the most bytes of messages that have come and are not settled, unless it is one message.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many messages are asked for before the size of any is known.
const FIRST: u32 = 32;
/// The most commands that are taken together.
const COMMANDS: usize = 500;

/// How much is asked for and how much of it is here.
#[derive(Debug, Default)]
struct Counts {
    credit: u32,
    unsettled: u32,
    /// Of what is not settled, in bytes: each counts as the average when it is settled.
    held: usize,
    /// What a message is taken to have, in bytes: as the large ones among the last.
    size: Option<usize>,
}

impl Counts {
    fn arrived(&mut self, size: usize) {
        self.credit = self.credit.saturating_sub(1);
        self.unsettled += 1;
        self.held += size;
        let before = self.size.unwrap_or_default();
        // Slowly less, at once more.
        self.size = Some(size.max(before - before / 32));
    }

    fn settled(&mut self) {
        self.held -= self.held / self.unsettled.max(1) as usize;
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    /// How much may be asked for at present.
    fn wanted(&self, prefetch: u32) -> u32 {
        let places = prefetch.saturating_sub(self.unsettled);
        let Some(size) = self.size else {
            return places.min(FIRST);
        };
        let fit = MOST_BYTES.saturating_sub(self.held) / size.max(1);
        let fit = if self.unsettled == 0 { fit.max(1) } else { fit };
        places.min(u32::try_from(fit).unwrap_or(u32::MAX))
    }
}

impl Pump {
    /// Runs until the link ends, or nothing has a handle of it any more.
    pub(super) async fn run(mut self) {
        let mut counts = Counts::default();
        if let Err(fault) = self.pass_on(&mut counts).await {
            // Nothing waits for it any more where the listener is gone.
            let _ = self.arrived.send(Err(fault));
            return;
        }
        drop(self.arrived);
        // What has come is still to be settled.
        let mut asked = Vec::new();
        while self.commands.recv_many(&mut asked, COMMANDS).await > 0 {
            obey(&self.receiver, &mut asked, &mut counts).await;
        }
        if let Err(error) = self.receiver.close().await {
            tracing::debug!(%error, "the link had ended");
        }
    }

    /// Until nothing more is to come.
    async fn pass_on(&mut self, counts: &mut Counts) -> Result<(), Fault> {
        let mut asked = Vec::new();
        loop {
            self.top_up(counts).await?;
            tokio::select! {
                biased;
                count = self.commands.recv_many(&mut asked, COMMANDS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    if obey(&self.receiver, &mut asked, counts).await {
                        return self.drain(counts).await;
                    }
                }
                received = self.receiver.recv::<Body<Value>>() => {
                    self.hand_over(received, counts)?;
                }
            }
        }
    }

    /// Asks for more where a quarter of what may be here is missing.
    async fn top_up(&mut self, counts: &mut Counts) -> Result<(), Fault> {
        let wanted = counts.wanted(self.prefetch);
        let step = ((wanted + counts.unsettled) / 4).max(1);
        let is_low = counts.credit + step <= wanted;
        if is_low {
            counts.credit = wanted;
            let asked = self.receiver.set_credit(counts.credit).await;
            asked.map_err(|error| Fault::Ended(Cause::of(error)))?;
        }
        Ok(())
    }

    /// Takes credit back, and what comes until then.
    async fn drain(&mut self, counts: &mut Counts) -> Result<(), Fault> {
        if self.receiver.drain().await.is_err() {
            return Ok(());
        }
        let drained = Arc::clone(&self.drained);
        let mut is_drained = Box::pin(timeout(DRAINING, drained.notified()));
        let mut asked = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = self.receiver.recv::<Body<Value>>() => {
                    self.hand_over(received, counts)?;
                }
                1.. = self.commands.recv_many(&mut asked, COMMANDS) => {
                    obey(&self.receiver, &mut asked, counts).await;
                }
                _drained = &mut is_drained => break,
            }
        }
        while let Ok(received) = timeout(QUIET, self.receiver.recv::<Body<Value>>()).await {
            self.hand_over(received, counts)?;
        }
        Ok(())
    }

    fn hand_over(
        &self,
        received: Result<fe2o3_amqp::Delivery<Body<Value>>, RecvError>,
        counts: &mut Counts,
    ) -> Result<(), Fault> {
        let (info, letter) = match received {
            Ok(delivery) => {
                let (info, letter) = delivery.into_parts();
                (info, Ok(letter))
            }
            Err(RecvError::MessageDecode(error)) => (error.info, Err(error.source.to_string())),
            Err(error) => return Err(error.into()),
        };
        counts.arrived(letter.as_ref().map_or(0, size));
        let until = letter.as_ref().ok().and_then(locked_until).unwrap_or_else(time::now);
        let token = <[u8; 16]>::try_from(info.delivery_tag().as_ref()).ok();
        let lock = self.locks.as_ref().zip(token);
        // As .NET writes a GUID: its first three fields with the low byte first.
        let lock = lock.map(|(locks, tag)| locks.keep(Uuid::from_bytes_le(tag), until));
        // Nothing waits for it any more where the listener is gone.
        let _ = self.arrived.send(Ok(Arrived { info, letter, lock }));
        Ok(())
    }
}

/// About how many bytes a message has here.
fn size(letter: &Letter) -> usize {
    /// Of the fields around a body.
    const HEAD: usize = 1024;
    let body = match &letter.body {
        Body::Data(parts) => parts.iter().map(|part| part.0.len()).sum(),
        Body::Value(value) => match &value.0 {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            _ => 0,
        },
        _ => 0,
    };
    HEAD + body
}

/// Does what has been asked by now, and says whether nothing more is to be taken. Completed
/// messages whose numbers follow each other are one frame.
async fn obey(receiver: &Receiver, asked: &mut Vec<Command>, counts: &mut Counts) -> bool {
    let (mut is_to_drain, mut complete) = (false, Vec::new());
    for command in asked.drain(..) {
        match command {
            Command::Drain => is_to_drain = true,
            Command::Forget => counts.settled(),
            Command::Settle(info, Settlement::Complete) => {
                counts.settled();
                complete.push(info);
            }
            Command::Settle(info, settlement) => {
                counts.settled();
                note(settle(receiver, info, settlement).await);
            }
        }
    }
    note(receiver.accept_all(complete).await);
    is_to_drain
}

fn note(settled: Result<(), DispositionError>) {
    if let Err(error) = settled {
        // The link has ended, which is said where messages come.
        tracing::debug!(%error, "a settlement is not sent");
    }
}

async fn settle(
    receiver: &Receiver,
    info: DeliveryInfo,
    settlement: Settlement,
) -> Result<(), DispositionError> {
    match settlement {
        Settlement::Complete => receiver.accept(info).await,
        Settlement::Release => receiver.release(info).await,
        Settlement::Abandon => {
            let failed = Modified {
                delivery_failed: Some(true),
                undeliverable_here: None,
                message_annotations: None,
            };
            receiver.modify(info, failed).await
        }
        Settlement::DeadLetter { reason, description } => {
            receiver.reject(info, dead_letter(reason, &description)).await
        }
    }
}

/// What the service reads: the reason and the description as fields of the error.
fn dead_letter(reason: &str, description: &str) -> definitions::Error {
    let text = |text: &str| Value::String(text.to_owned());
    let mut info = Fields::new();
    info.insert(Symbol::from(DEATH_REASON), text(reason));
    info.insert(Symbol::from(DEATH_DESCRIPTION), text(description));
    let condition = ErrorCondition::Custom(Symbol::from(DEAD_LETTER));
    definitions::Error::new(condition, None, Some(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_bounded_by_messages_and_by_bytes() {
        let mut counts = Counts::default();
        assert_eq!((counts.wanted(500), counts.wanted(7)), (FIRST, 7));
        counts.arrived(1_000);
        assert_eq!(counts.wanted(500), 499);
        counts.arrived(MOST_BYTES / 4);
        assert_eq!(counts.wanted(500), 2);
        for _ in 0..3 {
            counts.arrived(MOST_BYTES / 4);
        }
        assert_eq!(counts.wanted(500), 0, "{counts:?}");
        while counts.unsettled > 0 {
            counts.settled();
        }
        assert_eq!((counts.held, counts.wanted(500)), (0, 4));
        counts.arrived(2 * MOST_BYTES);
        assert_eq!(counts.wanted(500), 0);
        counts.settled();
        assert_eq!(counts.wanted(500), 1, "one message is always asked for");
        for _ in 0..500 {
            counts.arrived(1_000);
            counts.settled();
        }
        assert_eq!(counts.wanted(500), 500);
    }
}
