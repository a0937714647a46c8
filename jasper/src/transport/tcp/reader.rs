//! Reading frames from a stream: never more memory than what has come, and never for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::budget::Allowance;
use super::frame::{self, FrameError, HEAD};
use super::held_memory::HeldMemory;
use super::vitals::Vitals;

/// What is read at once while frames are small.
const BUFFER: usize = 4 << 10;
/// What the buffer of a frame has at first: a length alone costs the other side nothing. It doubles
/// when it is full, so that few bytes are moved again.
const FIRST_STEP: usize = 4 << 10;

/// A frame whose kind has not been looked at.
#[derive(Debug)]
pub(super) struct RawFrame {
    pub(super) kind: u8,
    pub(super) body: Bytes,
    pub(super) hold: HeldMemory,
}

impl RawFrame {
    /// How many bytes it took on the way.
    pub(super) fn size(&self) -> usize {
        HEAD + self.body.len()
    }
}

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the other side sent {0}")]
    Frame(#[from] FrameError),
    #[error("it ended within a frame")]
    CutOff,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("nothing was received for {0:?}")]
    Idle(Duration),
    #[error("a frame took longer than {0:?}")]
    Slow(Duration),
}

/// How long to wait, and for how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadLimits {
    /// The largest frame, as its length counts.
    pub(super) limit: usize,
    /// For the first byte of a frame.
    pub(super) idle: Duration,
    /// From the first byte of a frame to its last.
    pub(super) frame: Duration,
}

/// The reading half of a connection.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    vitals: Arc<Vitals>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R, vitals: Arc<Vitals>) -> Self {
        Self { stream, buffer: BytesMut::new(), vitals }
    }

    /// The next frame, or `None` where the other side has ended the connection between two.
    ///
    /// # Cancel safety
    /// None: dropped before it returns, what it has read of a frame is lost.
    pub(super) async fn next(
        &mut self,
        patience: ReadLimits,
        allowance: &Allowance,
    ) -> Result<Option<RawFrame>, ReadError> {
        if self.buffer.is_empty() {
            let deadline = Instant::now() + patience.idle;
            let idle = || ReadError::Idle(patience.idle);
            let read = timeout_at(deadline, self.fill()).await.map_err(|_late| idle())??;
            if read == 0 {
                return Ok(None);
            }
        }
        let mut deadline = Instant::now() + patience.frame;
        let slow = |_late| ReadError::Slow(patience.frame);
        while self.buffer.len() < HEAD {
            if timeout_at(deadline, self.fill()).await.map_err(slow)?? == 0 {
                return Err(ReadError::CutOff);
            }
        }
        let mut first = [0; HEAD];
        first.copy_from_slice(&self.buffer[..HEAD]);
        let (length, kind) = frame::head(first, patience.limit)?;
        self.buffer.advance(HEAD);
        let mut hold = HeldMemory::default();
        let mut body = Vec::new();
        while body.len() < length {
            if body.len() == body.capacity() {
                let step = body.len().max(FIRST_STEP).min(length - body.len());
                let asked = Instant::now();
                allowance.grow(&mut hold, step).await;
                // The other side is not to blame for the time that this one has no memory.
                deadline += asked.elapsed();
                body.reserve_exact(step);
            }
            if !self.buffer.is_empty() {
                let here = self.buffer.len().min(length - body.len());
                body.extend_from_slice(&self.buffer[..here]);
                self.buffer.advance(here);
                continue;
            }
            // Room that the allocator gave in addition belongs to no budget, and bytes of the
            // next frame do not belong here.
            let room = (length - body.len()).min(body.capacity() - body.len());
            let mut target = (&mut body).limit(room);
            let read = timeout_at(deadline, self.stream.read_buf(&mut target));
            if read.await.map_err(slow)?? == 0 {
                return Err(ReadError::CutOff);
            }
            self.vitals.received();
        }
        Ok(Some(RawFrame { kind, body: body.into(), hold }))
    }

    /// Reads what is there, up to the size of the buffer.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(BUFFER - self.buffer.len());
        let room = BUFFER - self.buffer.len();
        let read = self.stream.read_buf(&mut (&mut self.buffer).limit(room)).await?;
        if read > 0 {
            self.vitals.received();
        }
        Ok(read)
    }

    /// Reads until the other side has ended the connection, and throws it all away.
    pub(super) async fn drain(&mut self) {
        self.buffer.clear();
        while matches!(self.fill().await, Ok(1..)) {
            self.buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::super::budget::ReceiveBudget;
    use super::super::limits::Limits;
    use super::super::write_queue::WriteQueue;
    use super::*;

    const PATIENCE: ReadLimits = ReadLimits {
        limit: 1 << 20,
        idle: Duration::from_secs(60),
        frame: Duration::from_secs(30),
    };

    fn connection() -> (DuplexStream, FrameReader<DuplexStream>) {
        let (here, there) = tokio::io::duplex(1 << 16);
        (here, FrameReader::new(there, Arc::new(Vitals::new())))
    }

    fn frame(length: u32, body: usize) -> Vec<u8> {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.resize(bytes.len() + body, 7);
        bytes
    }

    #[tokio::test]
    async fn frames_of_all_sizes_are_read_one_after_the_other() {
        let (mut here, mut reader) = connection();
        let sizes = [1, 5, 4_091, 4_092, 4_096, 65_536, 65_537, 300_000, 1];
        let writing = async {
            for size in sizes {
                here.write_all(&frame(size, size as usize)).await.unwrap();
            }
            here.shutdown().await.unwrap();
        };
        let reading = async {
            for size in sizes {
                let raw = reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap().unwrap();
                assert_eq!((raw.kind, raw.body.len()), (7, size as usize - 1));
                assert_eq!(raw.body, vec![7; raw.body.len()]);
            }
            assert!(reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap().is_none());
        };
        tokio::join!(writing, reading);
    }

    #[tokio::test]
    async fn a_length_costs_only_what_has_come() {
        let (mut here, mut reader) = connection();
        let budget = ReceiveBudget::new(&Limits::default());
        let before = budget.left();
        let allowance = Allowance::of(&budget, [], &WriteQueue::new(), PATIENCE.frame);
        here.write_all(&frame(1 << 20, 10)).await.unwrap();
        let mut reading = Box::pin(reader.next(PATIENCE, &allowance));
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(before, budget.left(), "a connection has that much for nothing");
        let mut come = 10;
        for more in [10_000, 100_000, 300_000] {
            let bytes = vec![7; more];
            let writing = here.write_all(&bytes);
            tokio::select! {
                written = writing => written.unwrap(),
                _ = &mut reading => panic!("the frame has not come yet"),
            }
            come += more;
            assert!(futures_util::poll!(&mut reading).is_pending());
            let held = before - budget.left();
            assert!(held > come / 2 && held < come * 2, "{held} bytes for {come}");
        }
        drop(reading);
        assert_eq!(before, budget.left());
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused_at_once() {
        let (mut here, mut reader) = connection();
        here.write_all(&frame((1 << 20) + 1, 1)).await.unwrap();
        let error = reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap_err();
        assert!(matches!(error, ReadError::Frame(FrameError::TooLarge { .. })), "{error}");
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error() {
        for sent in [3, 4, 5, 50, 5_000] {
            let (mut here, mut reader) = connection();
            here.write_all(&frame(100_000, 100_000)[..sent]).await.unwrap();
            drop(here);
            let error = reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap_err();
            assert!(matches!(error, ReadError::CutOff), "{sent}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_slowness_have_an_end() {
        let (mut here, mut reader) = connection();
        let error = reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap_err();
        assert!(matches!(error, ReadError::Idle(_)), "{error}");
        for sent in [1, 5, 50] {
            let start = Instant::now();
            here.write_all(&frame(100_000, 100_000)[..sent]).await.unwrap();
            let error = reader.next(PATIENCE, &Allowance::unbounded()).await.unwrap_err();
            assert!(matches!(error, ReadError::Slow(_)), "{error}");
            assert_eq!(start.elapsed().as_secs(), 30);
            (here, reader) = connection();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_not_blamed_for_memory_that_this_side_lacks() {
        let (mut here, mut reader) = connection();
        let budget = ReceiveBudget::new(&Limits::default().memory(100_000));
        let allowance = Allowance::of(&budget, [], &WriteQueue::new(), PATIENCE.frame);
        let (mut rest, mut beyond) = (HeldMemory::default(), HeldMemory::default());
        allowance.grow(&mut rest, 100_000).await;
        allowance.grow(&mut beyond, 100_000).await;
        here.write_all(&frame(10_000, 10_000)).await.unwrap();
        let mut reading = Box::pin(reader.next(PATIENCE, &allowance));
        let late = tokio::time::timeout(Duration::from_secs(300), &mut reading).await;
        assert!(late.is_err(), "it waits for memory");
        drop(rest);
        assert_eq!(reading.await.unwrap().unwrap().body.len(), 9_999);
    }
}
