//! Calls of code that is not this crate's: a panic ends there, and becomes words.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::error_text;

/// What a panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panic(String);

impl Panic {
    /// Of what a panic has thrown.
    pub(crate) fn of(payload: Box<dyn Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = error_text::cut(text.unwrap_or("a value that is not text")).into_owned();
        // Its drop is code of the user's, too.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // And what that has thrown would be the next: it is left where it is.
            std::mem::forget(second);
        }
        Self(text)
    }
}

/// Calls this, and gives a panic of it as an error.
///
/// Only what the code itself shares can be seen half-done afterwards.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::of)
}

/// Drops a value whose drop may panic.
pub(crate) fn discard<T>(value: T) {
    if let Err(panic) = caught(|| drop(value)) {
        note_drop(&panic);
    }
}

fn note_drop(panic: &Panic) {
    tracing::warn!(%panic, "code of the application panicked while a value was dropped");
}

/// A future of code that is not this crate's. Neither its creation nor its run nor its drop panics.
pub(crate) struct Caught<'a, T> {
    /// `None` once it has ended.
    running: Option<Result<BoxFuture<'a, T>, Panic>>,
}

impl<'a, T> Caught<'a, T> {
    pub(crate) fn of(make: impl FnOnce() -> BoxFuture<'a, T>) -> Self {
        Self { running: Some(caught(make)) }
    }

    /// Drops what runs.
    fn end(&mut self) -> Result<(), Panic> {
        let running = self.running.take();
        caught(|| drop(running))
    }
}

impl<T> Future for Caught<'_, T> {
    type Output = Result<T, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.running {
            Some(Ok(running)) => caught(|| running.as_mut().poll(cx)),
            Some(Err(panic)) => Err(panic.clone()),
            // Polled after its end, which no caller does; there is nothing to be had any more.
            None => return Poll::Pending,
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(match self.end() {
                Ok(()) => Ok(output),
                Err(panic) => {
                    discard(output);
                    Err(panic)
                }
            }),
            Err(panic) => {
                if let Err(second) = self.end() {
                    note_drop(&second);
                }
                Poll::Ready(Err(panic))
            }
        }
    }
}

impl<T> Drop for Caught<'_, T> {
    fn drop(&mut self) {
        if let Err(panic) = self.end() {
            note_drop(&panic);
        }
    }
}

impl<T> fmt::Debug for Caught<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caught").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Panics when it is dropped, and so does what it throws.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Self(self.0 - 1));
            }
        }
    }

    fn text(panic: &Panic) -> String {
        panic.to_string()
    }

    #[test]
    fn what_a_panic_throws_may_panic_itself() {
        let panic = caught(|| std::panic::panic_any(Bomb(3))).unwrap_err();
        assert_eq!(text(&panic), "a value that is not text");
        discard(Bomb(2));
    }

    #[test]
    fn a_long_panic_is_cut() {
        let long = "x".repeat(100_000);
        let panic = caught(|| panic!("{long}")).unwrap_err();
        assert!(text(&panic).len() <= error_text::LONGEST, "{}", text(&panic).len());
    }

    #[tokio::test]
    async fn a_future_that_panics_is_an_error_wherever_it_does() {
        let made = Caught::<()>::of(|| panic!("made"));
        assert_eq!(text(&made.await.unwrap_err()), "made");
        let polled = Caught::<()>::of(|| async { panic!("polled") }.boxed());
        assert_eq!(text(&polled.await.unwrap_err()), "polled");
        let output = Caught::of(|| async { Bomb(0) }.boxed()).await;
        assert_eq!(output.unwrap().0, 0);
    }

    #[tokio::test]
    async fn a_future_may_panic_when_it_is_dropped() {
        let mut dropped = Caught::of(|| {
            async {
                let _bomb = Bomb(1);
                std::future::pending::<()>().await;
            }
            .boxed()
        });
        assert!(futures_util::poll!(&mut dropped).is_pending());
        drop(dropped);
    }
}
