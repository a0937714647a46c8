//! What is read from files, and read again where one of them has changed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pem::Stamp;
use super::tls_error::TlsError;

type Read<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value that is made of the content of files.
pub(super) struct Reloaded<T> {
    files: Vec<PathBuf>,
    read: Read<T>,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    value: Arc<T>,
    /// Of the files when they were last read, whether they could be used or not.
    stamps: Option<Vec<Stamp>>,
}

impl<T> Reloaded<T> {
    /// One that `read` makes of these files; of none, it stays as it is.
    ///
    /// # Errors
    /// As `read` has.
    pub(super) fn new(
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let current = Mutex::new(Current { value: Arc::new(read()?), stamps });
        Ok(Self { files, read: Box::new(read), current })
    }

    /// The value of now. Where the files have changed and cannot be used, the one before stays.
    pub(super) fn now(&self) -> Arc<T> {
        let mut current = self.current.lock();
        let stamps = stamps(&self.files);
        if stamps.is_some() && stamps != current.stamps {
            current.stamps = stamps;
            match (self.read)() {
                Ok(value) => current.value = Arc::new(value),
                Err(error) => tracing::warn!(
                    files = ?self.files, %error,
                    "a file for TLS that has changed cannot be used; what it held before stays",
                ),
            }
        }
        Arc::clone(&current.value)
    }
}

/// `None` where one of them is not there at the moment.
fn stamps(files: &[PathBuf]) -> Option<Vec<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded").field("files", &self.files).finish_non_exhaustive()
    }
}
