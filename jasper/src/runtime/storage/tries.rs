//! Calls of the store at a start and at a stop, which nothing would repeat later.

use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::backoff::Backoff;
use crate::store::StoreError;

/// How often the store is asked at most. One that refuses connections has then cost less than a
/// second.
const TRIES: usize = 5;

/// After so long no further try begins: what took longer was no moment. An upgrade of tables that
/// meets locks is one such, as the store itself has tried it for longer.
const MOMENT: Duration = Duration::from_secs(8);

/// Asks a store again that is busy or slow for a moment.
///
/// # Errors
/// The error of the last try, or the first one that will come again.
pub(crate) async fn in_some_tries<T, F>(mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let (mut backoff, began) = (Backoff::new(), Instant::now());
    for _ in 1..TRIES {
        match call().await {
            Err(error) if error.is_transient() && began.elapsed() < MOMENT => {
                tracing::debug!(%error, "the store did not do what was asked yet; trying again");
                tokio::time::sleep(backoff.next()).await;
            }
            outcome => return outcome,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LATE: StoreError = StoreError::Deadline { limit: Duration::from_secs(1) };

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_moment_is_asked_again() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            std::future::ready(if calls.get() < TRIES { Err(LATE) } else { Ok(calls.get()) })
        };
        assert_eq!(in_some_tries(call).await.unwrap(), TRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_failing_is_the_error() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(LATE))
        };
        assert!(matches!(in_some_tries(call).await, Err(StoreError::Deadline { .. })));
        assert_eq!(calls.get(), TRIES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_fail_again_is_asked_once() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(StoreError::Closed))
        };
        assert!(matches!(in_some_tries(call).await, Err(StoreError::Closed)));
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_been_tried_for_long_is_not_tried_again() {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            async {
                tokio::time::advance(MOMENT).await;
                Err::<(), _>(LATE)
            }
        };
        assert!(matches!(in_some_tries(call).await, Err(StoreError::Deadline { .. })));
        assert_eq!(calls.get(), 1);
    }
}
