//! The types that a listener takes in although this application has no handler for them.

use std::collections::HashMap;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The most different ones at one time: each is a burden for every node that shares the store.
pub(super) const MOST: usize = 1_000;

/// Those that were taken in, each with the time when it was last.
#[derive(Debug, Default)]
pub(super) struct UnknownTypes(Mutex<HashMap<String, Instant>>);

impl UnknownTypes {
    /// Whether a message of this type may be stored. A type of which no message has arrived for
    /// `timeout` is forgotten: its messages are no longer in the store, or a node knows it.
    pub(super) fn admits(&self, message_type: &str, timeout: Duration) -> bool {
        let mut types = self.0.lock();
        if types.len() >= MOST && !types.contains_key(message_type) {
            types.retain(|_message_type, last| last.elapsed() < timeout);
            if types.len() >= MOST {
                return false;
            }
        }
        types.insert(message_type.to_owned(), Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_types_are_taken_in_than_the_bound_until_their_time_is_over() {
        let (types, timeout) = (UnknownTypes::default(), Duration::from_secs(60));
        for number in 0..MOST {
            assert!(types.admits(&format!("type{number}@1"), timeout));
        }
        assert!(!types.admits("another@1", timeout));
        assert!(types.admits("type0@1", timeout), "it is one of them");
        tokio::time::advance(timeout).await;
        assert!(types.admits("another@1", timeout));
    }
}
