//! A call that takes options until it is first polled.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

/// How far a call is.
pub(crate) enum LazyCall<'a, O, T> {
    /// Options may still be set. Neither this lock nor the next is ever taken, as options and polls
    /// are exclusive: they make the call `Sync`, so that what holds a reference to it may move to
    /// another thread.
    Configuring(Box<Mutex<O>>),
    /// It has begun.
    Running(Mutex<BoxFuture<'a, T>>),
    /// It has ended.
    Done,
}

/// What a call does when it is first polled.
pub(crate) enum Begun<'a, T> {
    /// It has ended already.
    Ended(T),
    Running(BoxFuture<'a, T>),
}

impl<'a, O, T> LazyCall<'a, O, T> {
    pub(crate) fn new(options: O) -> Self {
        Self::Configuring(Box::new(Mutex::new(options)))
    }

    /// The options, until the call begins.
    pub(crate) fn options(&mut self) -> Option<&mut O> {
        match self {
            Self::Configuring(options) => Some(options.get_mut()),
            Self::Running(_) | Self::Done => None,
        }
    }

    /// Begins the call with the first poll. Polled again after it was ready, it stays pending.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        begin: impl FnOnce(O) -> Begun<'a, T>,
    ) -> Poll<T> {
        let mut running = match std::mem::replace(self, Self::Done) {
            Self::Configuring(options) => match begin(options.into_inner()) {
                Begun::Ended(ended) => return Poll::Ready(ended),
                Begun::Running(running) => Mutex::new(running),
            },
            Self::Running(running) => running,
            Self::Done => return Poll::Pending,
        };
        let future = running.get_mut();
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            *self = Self::Running(running);
        }
        polled
    }
}
