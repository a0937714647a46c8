//! One connection that was accepted, from the handshake on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::budget::{Allowance, Portion, ReceiveBudget};
use super::super::counting::rejected;
use super::super::frame::{self, Frame, RejectCode, Rejected};
use super::super::handshake::{AcceptedPeer, WelcomeError};
use super::super::held_memory::HeldMemory;
use super::super::limits::Limits;
use super::super::peer::Peer;
use super::super::reader::{FrameReader, RawFrame, ReadError, ReadLimits};
use super::super::vitals::Vitals;
use super::super::write_queue::{QueuedFrame, WriteQueue};
use super::reply_sizes::ReplySizes;
use super::screen::{FilteredBatch, screen, screen_request};
use super::window::{Unanswered, Window, WindowEntry};
use crate::envelope::Envelope;
use crate::transport::counted::Counted;
use crate::transport::{
    Answer, FailureKind, Guarantee, Receipt, Received, ReceivedRequest, Receiver, RemoteFailure,
    Unreadable,
};

/// How long a connection that ends waits for the other side to end it too. A socket that is closed
/// with bytes unread takes back what it has sent.
pub(super) const LINGER: Duration = Duration::from_secs(1);
const STOPPING: &str = "the receiver is stopping";
const FAILED: &str = "the receiver failed";
const NO_MEMORY: &str = "the receiver had no memory for the reply in time";

/// What becomes of an envelope in memory beside its bytes.
const ENVELOPE: usize = size_of::<Result<Envelope, Unreadable>>();

/// The connection.
#[derive(Debug)]
pub(super) struct ServerSession {
    peer: Option<Arc<Peer>>,
    /// The largest frame that the other side takes.
    frame: usize,
    limits: Limits,
    receiver: Arc<dyn Receiver>,
    write_queue: Arc<WriteQueue>,
    allowance: Allowance,
    reply_sizes: Arc<ReplySizes>,
    window: Arc<Window>,
    /// What was received and is not answered yet.
    tasks: TaskTracker,
    is_leaving: AtomicBool,
}

impl ServerSession {
    pub(super) fn new(
        accepted: &AcceptedPeer,
        limits: &Limits,
        budget: &Arc<ReceiveBudget>,
        reply_sizes: &Arc<ReplySizes>,
        receiver: &Arc<dyn Receiver>,
    ) -> Arc<Self> {
        let write_queue = WriteQueue::new();
        let of_connection = Portion::new(limits.memory / 4);
        let portions = [of_connection, accepted.place.share().memory().clone()];
        Arc::new(Self {
            peer: accepted.peer.clone(),
            frame: accepted.frame,
            limits: *limits,
            receiver: Arc::clone(receiver),
            allowance: Allowance::of(budget, portions, &write_queue, limits.ping),
            write_queue,
            reply_sizes: Arc::clone(reply_sizes),
            window: Window::new(limits),
            tasks: TaskTracker::new(),
            is_leaving: AtomicBool::new(false),
        })
    }

    /// Serves the connection until it ends. What it brought may still be worked on; see
    /// [`answered`](Self::answered).
    pub(super) async fn run<R, W>(
        self: &Arc<Self>,
        mut reader: FrameReader<R>,
        writer: W,
        vitals: &Vitals,
        stop: &CancellationToken,
    ) where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let _counted = Counted::new("accepted");
        {
            let conducting = self.serve_frames(&mut reader, stop);
            let writing = self.write_queue.write_to(writer, vitals, self.limits.frame_time);
            tokio::pin!(conducting, writing);
            tokio::select! {
                () = &mut conducting => {
                    let _written = writing.await;
                }
                written = &mut writing => match written {
                    // The write queue was closed, so the conductor is about to end.
                    Ok(()) => conducting.await,
                    Err(error) => tracing::debug!(%error, "a connection cannot be written to"),
                },
            }
        }
        self.write_queue.abandon();
    }

    /// Reads until the connection ends, or the listener stops and everything is answered.
    async fn serve_frames<R: AsyncRead + Unpin>(
        self: &Arc<Self>,
        reader: &mut FrameReader<R>,
        stop: &CancellationToken,
    ) {
        let leaving = async {
            stop.cancelled().await;
            self.is_leaving.store(true, Ordering::Relaxed);
            self.write_queue.push(Frame::Bye);
            self.answered().await;
            // What the other side sent before it got word of it is answered too.
            tokio::time::sleep(LINGER).await;
            Ok(())
        };
        let ended = tokio::select! {
            ended = self.read(reader) => ended,
            ended = leaving => ended,
        };
        if let Err(WelcomeError::Rejected(refused)) = ended {
            tracing::warn!(
                peer = self.peer_name(), reason = %refused.code, why = refused.why,
                "a connection is ended",
            );
            rejected(refused.code.as_str(), 1);
            self.write_queue.push(Frame::Rejected(refused));
            self.write_queue.close();
            let _ended = tokio::time::timeout(LINGER, reader.drain()).await;
        } else {
            // Who has ended its half may still read.
            let _late = tokio::time::timeout(LINGER, self.answered()).await;
            self.write_queue.close();
        }
    }

    /// Returns when nothing is left to be answered.
    pub(super) async fn answered(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn read<R: AsyncRead + Unpin>(
        self: &Arc<Self>,
        reader: &mut FrameReader<R>,
    ) -> Result<(), WelcomeError> {
        let Limits { frame: limit, idle, frame_time: frame, .. } = self.limits;
        let patience = ReadLimits { limit, idle, frame };
        while let Some(raw) = reader.next(patience, &self.allowance).await? {
            self.take(raw).await?;
        }
        Ok(())
    }

    async fn take(self: &Arc<Self>, raw: RawFrame) -> Result<(), WelcomeError> {
        let size = raw.size();
        let RawFrame { kind, body, mut hold } = raw;
        let envelopes = Frame::claimed_envelopes(kind, &body);
        self.allowance.grow(&mut hold, envelopes * ENVELOPE).await;
        match Frame::decode(kind, body).map_err(ReadError::from)? {
            Frame::Batch { number, guarantee, envelopes } => {
                let entry = self.open(WindowEntry::Batch, size)?;
                let entry = SessionEntry { number, entry, hold };
                self.start(self.clone().receive(entry, guarantee, envelopes).boxed()).await;
            }
            Frame::Request { number, timeout_ms, envelope } => {
                let entry = self.open(WindowEntry::Request, size)?;
                let entry = SessionEntry { number, entry, hold };
                let timeout = Duration::from_millis(timeout_ms.into());
                self.start(self.clone().answer(entry, timeout, envelope).boxed()).await;
            }
            Frame::Ping => self.write_queue.pong(),
            Frame::Pong | Frame::Bye => {}
            _ => return Err(refusal("it sent a frame out of place")),
        }
        Ok(())
    }

    fn open(&self, counts: WindowEntry, size: usize) -> Result<Unanswered, WelcomeError> {
        let entry = self.window.open(counts, size);
        entry.ok_or_else(|| refusal("it sent more than it was told that it may"))
    }

    /// Begins to serve something before the next frame is read, so that it begins in order, and
    /// goes on beside what comes after it.
    async fn start(&self, mut serving: BoxFuture<'static, ()>) {
        if futures_util::poll!(&mut serving).is_pending() {
            self.tasks.spawn(serving);
        }
    }

    async fn receive(
        self: Arc<Self>,
        entry: SessionEntry,
        guarantee: Guarantee,
        batch: Vec<Bytes>,
    ) {
        let receipts = if self.is_leaving.load(Ordering::Relaxed) {
            vec![Receipt::deferred(STOPPING); batch.len()]
        } else {
            let (envelopes, fixed) =
                screen(self.peer.as_deref(), batch, entry.entry.size()).parts();
            let given = self.given(guarantee, envelopes).await;
            FilteredBatch::receipts(fixed, given)
        };
        self.finish(entry, |number| frame::receipts(number, &receipts, self.frame));
    }

    /// What the receiver says of these.
    async fn given(
        &self,
        guarantee: Guarantee,
        envelopes: Vec<Result<Envelope, Unreadable>>,
    ) -> Vec<Receipt> {
        let count = envelopes.len();
        if count == 0 {
            return Vec::new();
        }
        let received = Received { peer: self.peer_name_owned(), guarantee, envelopes };
        let receiving = AssertUnwindSafe(async { self.receiver.receive(received).await });
        receiving.catch_unwind().await.unwrap_or_else(|_panic| {
            tracing::error!("a receiver has panicked");
            vec![Receipt::deferred(FAILED); count]
        })
    }

    async fn answer(self: Arc<Self>, mut entry: SessionEntry, timeout: Duration, envelope: Bytes) {
        let answer = if self.is_leaving.load(Ordering::Relaxed) {
            Err(RemoteFailure::new(FailureKind::Unavailable, STOPPING))
        } else {
            self.answer_of(&mut entry.hold, timeout, &envelope).await
        };
        self.finish(entry, |number| frame::answer(number, &answer, self.frame));
    }

    async fn answer_of(
        &self,
        hold: &mut HeldMemory,
        timeout: Duration,
        envelope: &Bytes,
    ) -> Answer {
        let envelope = screen_request(self.peer.as_deref(), envelope)?;
        let asked = envelope.message_type.clone();
        let started = Instant::now();
        // Taken before there is a reply: one that exists is in memory, counted or not.
        let reserving = self.reply_sizes.reserve(&asked, &self.allowance, hold);
        tokio::time::timeout(timeout, reserving)
            .await
            .map_err(|_elapsed| RemoteFailure::new(FailureKind::Unavailable, NO_MEMORY))?;
        let timeout = timeout.saturating_sub(started.elapsed());
        let request = ReceivedRequest { peer: self.peer_name_owned(), envelope, timeout };
        let answering = AssertUnwindSafe(async { self.receiver.answer(request).await });
        let answer = answering.catch_unwind().await.unwrap_or_else(|_panic| {
            tracing::error!("a receiver has panicked");
            Err(RemoteFailure::new(FailureKind::Failed, FAILED))
        });
        if let Ok(reply) = &answer {
            let more = self.reply_sizes.note(&asked, reply.payload.len());
            self.allowance.grow(hold, more).await;
        }
        answer
    }

    fn finish(&self, entry: SessionEntry, encode: impl FnOnce(u64) -> frame::Encoded) {
        let SessionEntry { number, entry, hold } = entry;
        let gate = move || {
            drop(entry);
            true
        };
        self.write_queue.push(QueuedFrame::new(encode(number), Box::new(gate), hold));
    }

    fn peer_name(&self) -> &str {
        self.peer.as_ref().map_or("", |peer| peer.name())
    }

    fn peer_name_owned(&self) -> Option<Arc<str>> {
        self.peer.as_ref().map(|peer| Arc::clone(peer.name()))
    }
}

/// What is to be answered, and what it takes up until it is.
#[derive(Debug)]
struct SessionEntry {
    number: u64,
    entry: Unanswered,
    hold: HeldMemory,
}

fn refusal(why: &str) -> WelcomeError {
    WelcomeError::Rejected(Rejected { code: RejectCode::Protocol, why: why.to_owned() })
}
