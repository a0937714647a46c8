//! What is read from files, and read again where one of them has changed.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use zeroize::Zeroizing;

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
    /// Whether a later change could have left the stamps as they are.
    is_recent: bool,
    /// Of what the files held then, to see such a change.
    digest: Option<u64>,
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
        let (stamps, is_recent) = looked_at(&files);
        let digest = digest(&files);
        let value = Arc::new(read()?);
        let current = Mutex::new(Current { value, stamps, is_recent, digest });
        Ok(Self { files, read: Box::new(read), current })
    }

    /// The value of now. Where the files have changed and cannot be used, the one before stays.
    pub(super) fn now(&self) -> Arc<T> {
        let mut current = self.current.lock();
        let (stamps, is_recent) = looked_at(&self.files);
        let has_changed = stamps != current.stamps;
        if stamps.is_some() && (has_changed || current.is_recent) {
            current.stamps = stamps;
            current.is_recent = is_recent;
            let digest = digest(&self.files);
            if has_changed || digest != current.digest {
                current.digest = digest;
                self.read_again(&mut current);
            }
        }
        Arc::clone(&current.value)
    }

    fn read_again(&self, current: &mut Current<T>) {
        match (self.read)() {
            Ok(value) => current.value = Arc::new(value),
            Err(error) => tracing::warn!(
                files = ?self.files, %error,
                "a file for TLS that has changed cannot be used; what it held before stays",
            ),
        }
    }
}

/// `None` where one of them cannot be read. Taken before they are, so that it is never of later.
fn digest(files: &[PathBuf]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        Zeroizing::new(std::fs::read(file).ok()?).hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// The stamps, `None` where a file is not there at the moment, and whether one of them is recent.
fn looked_at(files: &[PathBuf]) -> (Option<Vec<Stamp>>, bool) {
    let now = SystemTime::now();
    let stamps: Option<Vec<_>> = files.iter().map(|file| Stamp::of(file)).collect();
    let is_recent = stamps.iter().flatten().any(|stamp| stamp.is_recent(now));
    (stamps, is_recent)
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn write(path: &Path, content: &str, time: SystemTime) {
        fs::write(path, content).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// The content of the file, of which "bad" is an error, and how often it was read.
    fn content(path: &Path) -> (Reloaded<String>, Arc<AtomicUsize>) {
        let (file, count) = (path.to_owned(), Arc::new(AtomicUsize::new(0)));
        let reads = Arc::clone(&count);
        let reloaded = Reloaded::new(vec![path.to_owned()], move || {
            reads.fetch_add(1, Ordering::Relaxed);
            let text = fs::read_to_string(&file).unwrap();
            if text.starts_with("bad") { Err(TlsError::Pem { what: "key" }) } else { Ok(text) }
        });
        (reloaded.unwrap(), count)
    }

    #[test]
    fn what_is_written_within_one_tick_of_the_clock_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, time) = (folder.path().join("key.pem"), SystemTime::now());
        write(&path, "first", time);
        let (reloaded, _count) = content(&path);
        assert_eq!(*reloaded.now(), "first");
        write(&path, "other", time);
        assert_eq!(*reloaded.now(), "other");
        write(&path, "third", time);
        assert_eq!(*reloaded.now(), "third");
    }

    #[test]
    fn a_file_that_takes_the_place_of_one_of_the_same_tick_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("key.pem"), folder.path().join("new"));
        let time = SystemTime::now();
        write(&path, "first", time);
        let (reloaded, _count) = content(&path);
        write(&new, "other", time);
        fs::rename(&new, &path).unwrap();
        assert_eq!(*reloaded.now(), "other");
    }

    #[cfg(unix)]
    #[test]
    fn another_file_of_the_same_old_time_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [path, old, new] = ["key.pem", "old", "new"].map(|name| folder.path().join(name));
        write(&old, "first", SystemTime::UNIX_EPOCH);
        write(&new, "other", SystemTime::UNIX_EPOCH);
        std::os::unix::fs::symlink(&old, &path).unwrap();
        let (reloaded, _count) = content(&path);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&new, &path).unwrap();
        assert_eq!(*reloaded.now(), "other");
        write(&new, "third", SystemTime::UNIX_EPOCH);
        assert_eq!(*reloaded.now(), "third");
    }

    #[test]
    fn a_file_that_comes_back_from_an_earlier_time_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, time) = (folder.path().join("key.pem"), SystemTime::now());
        write(&path, "first", time);
        let (reloaded, _count) = content(&path);
        write(&path, "other", time - Duration::from_secs(24 * 60 * 60));
        assert_eq!(*reloaded.now(), "other");
    }

    #[test]
    fn a_file_that_stays_as_it_is_is_read_once() {
        // This one is older than the program.
        let (reloaded, count) =
            content(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        for _ in 0..3 {
            let _content = reloaded.now();
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_file_of_the_same_tick_that_cannot_be_used_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, time) = (folder.path().join("key.pem"), SystemTime::now());
        write(&path, "first", time);
        let (reloaded, count) = content(&path);
        write(&path, "bad 1", time);
        for _ in 0..3 {
            assert_eq!(*reloaded.now(), "first");
        }
        // As often as it is warned of, and once before.
        assert_eq!(count.load(Ordering::Relaxed), 2);
        write(&path, "other", time);
        assert_eq!(*reloaded.now(), "other");
    }
}
