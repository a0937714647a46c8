//! What is logged, kept for a test to look at.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::{Level, Subscriber};

/// All that was logged. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// A subscriber that writes to this log what is as grave as the level or graver.
    pub fn subscriber(&self, level: Level) -> impl Subscriber + Send + Sync + use<> {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone());
        subscriber.with_max_level(level).with_ansi(false).finish()
    }

    /// What was logged so far.
    ///
    /// # Panics
    /// It is not UTF-8, or a thread has panicked while it logged.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().expect("no thread panics while it logs").clone();
        String::from_utf8(bytes).expect("what is logged is text")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no thread panics while it logs").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
