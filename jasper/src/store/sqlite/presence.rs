//! Whether this process is the only one that uses the database file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// A lock file beside the database, held for as long as the store lives; the system frees it with
/// the process.
///
/// It is a file of its own, since SQLite's locks on the database file would be lost with any handle
/// on that file that is closed.
#[derive(Debug)]
pub(super) struct Presence {
    path: PathBuf,
    held: Mutex<Option<File>>,
}

/// What the lock file says of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// No other store has joined, in this process or another.
    None,
    /// There may be some.
    Possible,
}

impl Presence {
    pub(super) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-jasper-lock");
        Self { path: path.into(), held: Mutex::new(None) }
    }

    /// Takes the lock, alone if it is free, and then keeps it together with others.
    ///
    /// To be called within a write transaction of the database: between the two steps the lock is
    /// free for a moment, in which another process that joins would think itself alone.
    pub(super) fn announce(&self) -> io::Result<Others> {
        let mut held = self.held.lock();
        if held.is_some() {
            // What this store has joined as before must not be taken for dead.
            return Ok(Others::Possible);
        }
        let file = File::options().create(true).truncate(false).write(true).open(&self.path)?;
        let others = match file.try_lock() {
            Ok(()) => Others::None,
            Err(TryLockError::WouldBlock) => Others::Possible,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        file.lock_shared()?;
        *held = Some(file);
        Ok(others)
    }
}
