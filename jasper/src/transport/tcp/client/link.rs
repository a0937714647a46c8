//! One connection to another process, used by many senders at once.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::budget::Allowance;
use super::super::frame::{self, BATCH_HEAD, ENVELOPE_HEAD, Encoded, Frame, LENGTH, REQUEST_HEAD};
use super::super::handshake::Agreed;
use super::super::held_memory::HeldMemory;
use super::super::limits::Limits;
use super::super::reader::{FrameReader, ReadError, ReadLimits};
use super::super::vitals::Vitals;
use super::super::write_queue::{QueuedFrame, WriteQueue};
use super::in_flight::{ExchangeError, Expected, InFlight, Response, ResponseOutcome};
use crate::transport::cause::Cause;
use crate::transport::counted::Counted;
use crate::transport::{Answer, Guarantee, Receipt};

const STOPPING: &str = "the other side is stopping";
const SOMETHING_ELSE: &str = "the other side answered something else";

/// The connection. Dropped, it ends.
#[derive(Debug)]
pub(in super::super) struct PeerLink {
    inner: Arc<LinkInner>,
    _end: DropGuard,
}

#[derive(Debug)]
struct LinkInner {
    agreed: Agreed,
    limits: Limits,
    pending: InFlight,
    write_queue: Arc<WriteQueue>,
    vitals: Arc<Vitals>,
    batches: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    suspected: Notify,
    end: CancellationToken,
}

impl PeerLink {
    /// Takes over a connection on which both sides know each other.
    pub(super) fn start<R, W>(
        reader: FrameReader<R>,
        writer: W,
        vitals: Arc<Vitals>,
        agreed: Agreed,
        limits: Limits,
    ) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let end = CancellationToken::new();
        let inner = Arc::new(LinkInner {
            agreed,
            limits,
            pending: InFlight::default(),
            write_queue: WriteQueue::new(),
            vitals,
            batches: Arc::new(Semaphore::new(agreed.batches)),
            requests: Arc::new(Semaphore::new(agreed.requests)),
            bytes: Arc::new(Semaphore::new(agreed.window)),
            suspected: Notify::new(),
            end: end.clone(),
        });
        let running = Arc::clone(&inner);
        tokio::spawn(async move { running.run(reader, writer).await });
        Self { inner, _end: end.drop_guard() }
    }

    /// Whether something new may be sent over it.
    pub(super) fn is_usable(&self) -> bool {
        self.inner.pending.closed().is_none()
    }

    /// The largest frame that both sides take, as its length counts.
    pub(super) fn frame_limit(&self) -> usize {
        self.inner.agreed.frame
    }

    /// Sends one frame of envelopes. It must not be larger than the limit.
    pub(super) async fn batch(
        &self,
        guarantee: Guarantee,
        envelopes: &[(Bytes, Bytes)],
        deadline: Instant,
    ) -> Result<Vec<Receipt>, ExchangeError> {
        let (expected, slots) = (Expected::Receipts(envelopes.len()), &self.inner.batches);
        let encode = |number| frame::batch(number, guarantee, envelopes.iter());
        let length = BATCH_HEAD + envelopes.iter().map(in_batch).sum::<usize>();
        match self.exchange(slots, expected, length, deadline, encode).await {
            Ok(Response::Receipts(receipts)) => Ok(receipts),
            Ok(Response::Answer(_)) => Err(ExchangeError::Lost(SOMETHING_ELSE.into())),
            Err(loss) => {
                if matches!(loss, ExchangeError::Late) {
                    self.inner.suspected.notify_one();
                }
                Err(loss)
            }
        }
    }

    /// Sends one request. It must not be larger than the limit.
    pub(super) async fn request(
        &self,
        envelope: &(Bytes, Bytes),
        deadline: Instant,
    ) -> Result<Answer, ExchangeError> {
        let encode = |number| {
            let left = deadline.saturating_duration_since(Instant::now()).as_millis();
            frame::request(number, u32::try_from(left).unwrap_or(u32::MAX), envelope.clone())
        };
        let (expected, slots) = (Expected::Answer, &self.inner.requests);
        let length = in_request(envelope);
        match self.exchange(slots, expected, length, deadline, encode).await? {
            Response::Answer(answer) => Ok(answer),
            Response::Receipts(_) => Err(ExchangeError::Lost(SOMETHING_ELSE.into())),
        }
    }

    /// Waits for room in the other side's window, sends, and waits for what answers it.
    async fn exchange(
        &self,
        slots: &Arc<Semaphore>,
        expected: Expected,
        length: usize,
        deadline: Instant,
        encode: impl FnOnce(u64) -> Encoded,
    ) -> ResponseOutcome {
        let inner = &self.inner;
        let no_room = |_late| ExchangeError::NoRoom("it left no room in its window in time");
        let closed = |_closed| ExchangeError::NotSent(inner.pending.closed().unwrap_or_default());
        let slot = Arc::clone(slots).acquire_owned();
        let slot = timeout_at(deadline, slot).await.map_err(no_room)?.map_err(closed)?;
        let size = u32::try_from(LENGTH + length).unwrap_or(u32::MAX);
        let room = Arc::clone(&inner.bytes).acquire_many_owned(size);
        let room = timeout_at(deadline, room).await.map_err(no_room)?.map_err(closed)?;
        let (number, reply) = inner.pending.add(expected, [slot, room])?;
        let interest = Interest { pending: &inner.pending, number };
        let weak = Arc::downgrade(inner);
        let is_wanted =
            move || weak.upgrade().is_some_and(|inner| inner.pending.mark_handed(number));
        inner.write_queue.push(QueuedFrame::new(
            encode(number),
            Box::new(is_wanted),
            HeldMemory::default(),
        ));
        match timeout_at(deadline, reply).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(ExchangeError::Lost("the connection has ended".into())),
            Err(_late) if interest.give_up() => Err(ExchangeError::Late),
            Err(_late) => Err(ExchangeError::NoRoom("it did not read in time")),
        }
    }
}

/// What an envelope takes in a batch.
pub(super) fn in_batch((head, payload): &(Bytes, Bytes)) -> usize {
    ENVELOPE_HEAD + head.len() + payload.len()
}

/// What a request with this envelope takes, as its length counts.
pub(super) fn in_request((head, payload): &(Bytes, Bytes)) -> usize {
    REQUEST_HEAD + head.len() + payload.len()
}

/// Ends with the call that waits, however that ends.
#[derive(Debug)]
struct Interest<'a> {
    pending: &'a InFlight,
    number: u64,
}

impl Interest<'_> {
    /// Whether what it is about may have arrived.
    fn give_up(&self) -> bool {
        self.pending.abandon(self.number)
    }
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl LinkInner {
    async fn run<R, W>(&self, reader: FrameReader<R>, writer: W)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let _counted = Counted::new("dialled");
        let why = tokio::select! {
            why = self.read(reader) => why,
            written = self.write_queue.write_to(writer, &self.vitals, self.limits.frame_time) => {
                written.err().map_or_else(|| "it is closed".into(), Cause::of)
            }
            why = self.watch() => why,
            () = self.end.cancelled() => "this side has closed it".into(),
        };
        tracing::debug!(%why, "a connection that this side had dialled has ended");
        self.pending.end(&why);
        self.write_queue.abandon();
        self.refuse_more();
    }

    /// Reads answers until the connection ends, and says why it does.
    async fn read<R: AsyncRead + Unpin>(&self, mut reader: FrameReader<R>) -> Cause {
        let Limits { frame: limit, idle, frame_time: frame, .. } = self.limits;
        let (patience, allowance) = (ReadLimits { limit, idle, frame }, Allowance::unbounded());
        loop {
            let frame = match reader.next(patience, &allowance).await {
                Ok(Some(raw)) => Frame::decode(raw.kind, raw.body).map_err(ReadError::from),
                Ok(None) => return "the other side has ended it".into(),
                Err(error) => Err(error),
            };
            let taken = match frame {
                Ok(frame) => self.take(frame),
                Err(error) => Err(Cause::of(error)),
            };
            if let Err(why) = taken {
                return why;
            }
        }
    }

    fn take(&self, frame: Frame) -> Result<(), Cause> {
        let answered = match frame {
            Frame::Receipts { number, receipts } => {
                self.pending.answer(number, Response::Receipts(receipts))
            }
            Frame::Answer { number, answer } => {
                self.pending.answer(number, Response::Answer(answer))
            }
            Frame::Bye => {
                self.pending.leave(&STOPPING.into());
                self.refuse_more();
                Ok(())
            }
            Frame::Ping => {
                self.write_queue.pong();
                Ok(())
            }
            Frame::Pong => Ok(()),
            Frame::Rejected(rejected) => {
                return Err(format!("it says ({}) {}", rejected.code, rejected.why).into());
            }
            _ => return Err("the other side sent a frame out of place".into()),
        };
        answered.map_err(|_mismatch| Cause::from(SOMETHING_ELSE))?;
        if self.pending.closed().is_some() && self.pending.is_empty() {
            return Err(STOPPING.into());
        }
        Ok(())
    }

    /// Shows the other side that this one is there, and gives up an other side that does not show
    /// it when it is suspected. Says why then.
    async fn watch(&self) -> Cause {
        let Limits { ping, handshake: grace, .. } = self.limits;
        let (mut pinged, mut suspected) = (Instant::now(), None);
        loop {
            let quiet = self.vitals.last_received().min(self.vitals.last_sent()).max(pinged) + ping;
            let due = suspected.map_or(quiet, |since: Instant| quiet.min(since + grace));
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.suspected.notified() => {
                    suspected.get_or_insert_with(Instant::now);
                    self.write_queue.push(Frame::Ping);
                    continue;
                }
            }
            if suspected.is_some_and(|since| self.vitals.last_received() > since) {
                suspected = None;
            }
            let now = Instant::now();
            if suspected.is_some_and(|since| since + grace <= now) {
                return format!("it gave no sign of life within {grace:?}").into();
            }
            if self.vitals.last_received().min(self.vitals.last_sent()).max(pinged) + ping <= now {
                pinged = now;
                self.write_queue.push(Frame::Ping);
            }
        }
    }

    fn refuse_more(&self) {
        for semaphore in [&self.batches, &self.requests, &self.bytes] {
            semaphore.close();
        }
    }
}
