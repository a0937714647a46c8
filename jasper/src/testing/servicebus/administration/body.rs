//! The body of an answer: all of it, or its first half.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The body of an answer.
#[derive(Debug, Default)]
pub(super) struct AnswerBody {
    text: Option<Bytes>,
    /// Whether the connection ends behind the text.
    is_cut: bool,
}

impl AnswerBody {
    pub(super) fn whole(text: String) -> Self {
        Self { text: Some(Bytes::from(text)), is_cut: false }
    }

    /// The first half of it.
    pub(super) fn cut(self) -> Self {
        let half = |text: Bytes| text.slice(..text.len() / 2);
        Self { text: self.text.map(half), is_cut: true }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let text = self.text.take().filter(|text| !text.is_empty());
        Poll::Ready(match text {
            Some(text) => Some(Ok(Frame::data(text))),
            None if self.is_cut => Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        !self.is_cut && self.text.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.text.as_ref().map_or(0, Bytes::len) as u64;
        if self.is_cut { SizeHint::default() } else { SizeHint::with_exact(left) }
    }
}
