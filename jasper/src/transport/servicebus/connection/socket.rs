//! A connection, in the clear or under TLS, that is looked at while it is read.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::frames::Frames;
use super::outcomes::Outcomes;

/// Bytes in both directions.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// A connection whose frames are seen, and whose end is.
pub(super) struct Socket {
    bytes: Box<dyn Bytes>,
    frames: Frames,
    outcomes: Arc<Outcomes>,
    ended: CancellationToken,
}

impl Socket {
    pub(super) fn new(
        bytes: impl Bytes + 'static,
        outcomes: Arc<Outcomes>,
        ended: CancellationToken,
    ) -> Self {
        Self { bytes: Box::new(bytes), frames: Frames::default(), outcomes, ended }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.bytes).poll_read(cx, buffer);
        let this = &mut *self;
        let new = &buffer.filled()[before..];
        match &read {
            Poll::Ready(Ok(())) if new.is_empty() && buffer.remaining() > 0 => this.ended.cancel(),
            Poll::Ready(Ok(())) => {
                let outcomes = &this.outcomes;
                this.frames.feed(new, |channel, body| outcomes.note(channel, body));
            }
            Poll::Ready(Err(_error)) => this.ended.cancel(),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.bytes).poll_write(cx, buffer);
        if matches!(written, Poll::Ready(Err(_))) {
            self.ended.cancel();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }
}
