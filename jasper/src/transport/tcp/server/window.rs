//! How much one peer has sent that is not answered yet. It has been given the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::limits::Limits;

/// The open batches, requests and bytes of one connection.
#[derive(Debug)]
pub(super) struct Window {
    bytes: AtomicUsize,
    batches: AtomicUsize,
    requests: AtomicUsize,
    limits: Limits,
}

/// What an entry of the window counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowEntry {
    Batch,
    Request,
}

/// Something that is not answered yet; dropped right before the answer is written, so that the peer
/// never sends into room before there is some.
#[derive(Debug)]
pub(super) struct Unanswered {
    window: Arc<Window>,
    counts: WindowEntry,
    size: usize,
}

impl Window {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            limits: *limits,
        })
    }

    /// Takes up room; `None` where the peer had no room left.
    pub(super) fn open(self: &Arc<Self>, counts: WindowEntry, size: usize) -> Option<Unanswered> {
        let entry = Unanswered { window: Arc::clone(self), counts, size };
        let bytes = self.bytes.fetch_add(size, Ordering::AcqRel) + size;
        let (counter, most) = self.counter(counts);
        let number = counter.fetch_add(1, Ordering::AcqRel) + 1;
        (bytes <= self.limits.open_window() && number <= most).then_some(entry)
    }

    fn counter(&self, counts: WindowEntry) -> (&AtomicUsize, usize) {
        match counts {
            WindowEntry::Batch => (&self.batches, self.limits.batches),
            WindowEntry::Request => (&self.requests, self.limits.requests),
        }
    }
}

impl Unanswered {
    /// The bytes of its frame.
    pub(super) const fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.window.bytes.fetch_sub(self.size, Ordering::AcqRel);
        self.window.counter(self.counts).0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_room_for_so_many_and_so_much() {
        let limits = Limits::default().frame(16 << 10).window(20_000).batches(2).requests(1);
        let window = Window::new(&limits);
        let one = window.open(WindowEntry::Batch, 10_000).unwrap();
        assert!(window.open(WindowEntry::Batch, 10_001).is_none(), "too many bytes");
        let other = window.open(WindowEntry::Batch, 1).unwrap();
        assert!(window.open(WindowEntry::Batch, 1).is_none(), "too many batches");
        let request = window.open(WindowEntry::Request, 1).unwrap();
        assert!(window.open(WindowEntry::Request, 1).is_none(), "too many requests");
        drop((one, other, request));
        assert!(window.open(WindowEntry::Batch, 20_000).is_some());
    }

    #[test]
    fn the_largest_frame_always_fits() {
        let limits = Limits::default().window(0);
        assert!(Window::new(&limits).open(WindowEntry::Batch, limits.frame + 4).is_some());
    }
}
