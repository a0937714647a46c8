//! Frames on their way out: a queue that many tasks fill and one empties into the socket.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::frame::{Encoded, Frame};
use super::held_memory::HeldMemory;
use super::vitals::Vitals;

/// What is written in one go, unless a single frame has more.
const GO: usize = 256 << 10;
/// Segments that the system gathers in one call.
const SEGMENTS: usize = 64;

/// Decides right before the first byte of a frame is written whether it is still to be sent.
type Gate = Box<dyn FnOnce() -> bool + Send>;

/// A frame with what happens before and after it is written.
pub(super) struct QueuedFrame {
    frame: Encoded,
    gate: Option<Gate>,
    hold: HeldMemory,
}

impl QueuedFrame {
    /// The frame is written only if `gate` says so, and `hold` is free when it is written.
    pub(super) fn new(frame: Encoded, gate: Gate, hold: HeldMemory) -> Self {
        Self { frame, gate: Some(gate), hold }
    }
}

impl From<Frame> for QueuedFrame {
    fn from(frame: Frame) -> Self {
        Self { frame: frame.encode(), gate: None, hold: HeldMemory::default() }
    }
}

impl fmt::Debug for QueuedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedFrame").field("bytes", &self.frame.len()).finish_non_exhaustive()
    }
}

/// The queue. What it may hold is bounded by the windows of the connection.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    queue: Mutex<FrameQueue>,
    changed: Notify,
    has_pong: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct FrameQueue {
    frames: VecDeque<QueuedFrame>,
    is_closed: bool,
}

impl WriteQueue {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Queues a frame; after [`close`](Self::close) it is dropped.
    pub(super) fn push(&self, frame: impl Into<QueuedFrame>) {
        self.with(|queue| {
            if !queue.is_closed {
                queue.frames.push_back(frame.into());
            }
        });
    }

    /// Queues a sign of life, unless one is waiting: pings must not be able to fill the queue.
    pub(super) fn pong(&self) {
        if self.has_pong.swap(true, Ordering::Relaxed) {
            return;
        }
        let has_pong = Arc::clone(&self.has_pong);
        let gate: Gate = Box::new(move || has_pong.swap(false, Ordering::Relaxed));
        self.push(QueuedFrame::new(Frame::Pong.encode(), gate, HeldMemory::default()));
    }

    /// Takes no more frames. What is queued is still written.
    pub(super) fn close(&self) {
        self.with(|queue| queue.is_closed = true);
    }

    /// Takes no more frames and forgets those that are queued.
    pub(super) fn abandon(&self) {
        let dropped = self.with(|queue| {
            queue.is_closed = true;
            std::mem::take(&mut queue.frames)
        });
        drop(dropped);
    }

    /// Writes frames until the write queue is closed and empty, and then ends the stream.
    ///
    /// # Errors
    /// The stream failed, or what is written in one go took longer than `limit`.
    pub(super) async fn write_to(
        &self,
        mut stream: impl AsyncWrite + Unpin,
        vitals: &Vitals,
        limit: Duration,
    ) -> io::Result<()> {
        while let Some(frames) = self.take().await {
            let (mut segments, mut holds) = (VecDeque::new(), Vec::new());
            for QueuedFrame { frame, gate, hold } in frames {
                if gate.is_none_or(|gate| gate()) {
                    segments.extend(frame.into_segments());
                    holds.push(hold);
                }
            }
            let writing = write_all(&mut stream, &mut segments);
            let late = |_late| io::Error::new(io::ErrorKind::TimedOut, "it reads too slowly");
            tokio::time::timeout(limit, writing).await.map_err(late)??;
            vitals.sent();
        }
        let _ended = tokio::time::timeout(limit, stream.shutdown()).await;
        Ok(())
    }

    /// What is written in the next go; `None` where nothing will come.
    async fn take(&self) -> Option<Vec<QueuedFrame>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queue = self.queue.lock();
                if !queue.frames.is_empty() {
                    return Some(queue.next_go());
                }
                if queue.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut FrameQueue) -> T) -> T {
        let result = change(&mut self.queue.lock());
        self.changed.notify_one();
        result
    }
}

impl FrameQueue {
    fn next_go(&mut self) -> Vec<QueuedFrame> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.frames.front()
            && (frames.is_empty() || bytes + next.frame.len() <= GO)
        {
            bytes += next.frame.len();
            frames.extend(self.frames.pop_front());
        }
        frames
    }
}

async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    segments: &mut VecDeque<Bytes>,
) -> io::Result<()> {
    while !segments.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            segments.iter().take(SEGMENTS).map(|segment| IoSlice::new(segment)).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = segments.front_mut() {
            let here = written.min(first.len());
            first.advance(here);
            written -= here;
            if !first.is_empty() {
                break;
            }
            segments.pop_front();
        }
    }
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn written(write_queue: &WriteQueue) -> Vec<u8> {
        let (here, mut there) = tokio::io::duplex(100);
        let mut read = Vec::new();
        let vitals = Vitals::new();
        let writing = write_queue.write_to(here, &vitals, LIMIT);
        let (written, _read) = tokio::join!(writing, there.read_to_end(&mut read));
        written.unwrap();
        read
    }

    #[tokio::test]
    async fn what_is_queued_is_written_in_order_and_what_is_not_wanted_is_not() {
        let write_queue = WriteQueue::new();
        let payload = Bytes::from(vec![b'x'; 10_000]);
        let request = Frame::Request { number: 1, timeout_ms: 2, envelope: payload };
        write_queue.push(request.clone());
        let unwanted = Frame::Bye.encode();
        write_queue.push(QueuedFrame::new(unwanted, Box::new(|| false), HeldMemory::default()));
        write_queue.push(Frame::Ping);
        write_queue.close();
        write_queue.push(Frame::Bye);
        let mut expected = request.encode().into_segments().concat();
        expected.extend(Frame::Ping.encode().into_segments().concat());
        assert_eq!(written(&write_queue).await, expected);
    }

    #[tokio::test]
    async fn signs_of_life_do_not_pile_up() {
        let write_queue = WriteQueue::new();
        (0..1_000).for_each(|_| write_queue.pong());
        write_queue.close();
        assert_eq!(written(&write_queue).await, Frame::Pong.encode().into_segments().concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let write_queue = WriteQueue::new();
        let envelope = Bytes::from(vec![0; 10_000]);
        write_queue.push(Frame::Request { number: 1, timeout_ms: 2, envelope });
        let (here, _there) = tokio::io::duplex(100);
        let error = write_queue.write_to(here, &Vitals::new(), LIMIT).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
