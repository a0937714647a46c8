//! The metrics of one handler.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, with_recorder};

use crate::telemetry::{CONSUMED, DESTINATION, ERROR_TYPE, PROCESS_DURATION, SENT};

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The metrics that every message of a handler counts in. Their keys are made once. What the
/// recorder gives for a key is asked for each time: one that drops idle metrics would not see what
/// an old one counts.
#[derive(Debug)]
pub(crate) struct HandlerMetrics {
    queue: &'static str,
    sent: Key,
    consumed: Key,
    processed: Key,
}

impl HandlerMetrics {
    pub(crate) fn of(queue: &'static str) -> Self {
        Self {
            queue,
            sent: Key::from_parts(SENT, vec![Label::new(DESTINATION, queue)]),
            consumed: Key::from_parts(CONSUMED, vec![Label::new(DESTINATION, queue)]),
            processed: processed(queue, ""),
        }
    }

    /// A message was accepted for it.
    pub(crate) fn note_sent(&self) {
        count(&self.sent);
    }

    /// A message is given to it.
    pub(crate) fn note_consumed(&self) {
        count(&self.consumed);
    }

    /// A run took this long. The type of its error is empty where it has succeeded.
    pub(crate) fn note_run(&self, error_type: &'static str, took: Duration) {
        let record = |key| {
            with_recorder(|recorder| recorder.register_histogram(key, &METADATA)).record(took);
        };
        if error_type.is_empty() {
            record(&self.processed);
        } else {
            record(&processed(self.queue, error_type));
        }
    }
}

fn processed(queue: &'static str, error_type: &'static str) -> Key {
    let labels = vec![Label::new(DESTINATION, queue), Label::new(ERROR_TYPE, error_type)];
    Key::from_parts(PROCESS_DURATION, labels)
}

fn count(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(1);
}
