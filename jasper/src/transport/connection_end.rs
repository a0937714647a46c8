//! The end of a connection, for calls of a library that do not return when it comes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Returns 50 ms after the connection has ended, so that the call that knows the reason can give it
/// first.
pub(super) async fn a_moment_after(ended: &CancellationToken) {
    ended.cancelled().await;
    // Real time: for what is on its way within this process.
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// What this gives; or, where the connection ends first, this error.
pub(super) async fn unless_ended<T, E>(
    ended: &CancellationToken,
    answer: impl Future<Output = Result<T, E>>,
    at_the_end: impl FnOnce() -> E,
) -> Result<T, E> {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = a_moment_after(ended) => Err(at_the_end()),
    }
}
