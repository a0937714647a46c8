//! From SQLite's result codes to what the caller can do about them.

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::source_error::SourceError;
use crate::store::StoreError;
use crate::store::error::caused_by;
use crate::store::sql::conflict;

/// Primary result codes, as <https://sqlite.org/rescode.html> numbers them.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const IO: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOT_A_DATABASE: i32 = 26;

    /// The extended code for a shared-memory file that cannot grow, which is how a full disk may
    /// show.
    pub(super) const IO_SHARED_MEMORY_SIZE: i32 = 4874;

    /// The low byte of an extended code is its primary code.
    pub(super) const PRIMARY_MASK: i32 = 0xff;
}

/// Whether SQLite refuses this for a constraint.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|said| said.code());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & code::PRIMARY_MASK == code::CONSTRAINT)
}

/// Whether a handler has met another transaction, over a connection of its own.
pub(super) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    conflict::is_any(error, |said| {
        let code = said.code().and_then(|code| code.parse::<i32>().ok());
        code.is_some_and(|code| matches!(code & code::PRIMARY_MASK, code::BUSY | code::LOCKED))
    })
}

/// The database file, as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Path>);

/// What to do about a file that SQLite cannot open, for which it gives no reason.
const LOOK: &str = "look whether its directory exists, and whether this process may write there";

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What a database error means at this place.
    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
        let (place, detail) = (self.name(), error.to_string());
        match &error {
            sqlx::Error::Database(said) => {
                let code = said.code().and_then(|code| code.parse::<i32>().ok());
                self.by_code(code, detail, error.into())
            }
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
                StoreError::Unreachable { place, detail, source: caused_by(error) }
            }
            sqlx::Error::PoolTimedOut => {
                StoreError::Busy { place, detail, source: caused_by(error) }
            }
            sqlx::Error::PoolClosed => StoreError::Closed,
            _ => StoreError::Database(error.into()),
        }
    }

    fn by_code(&self, code: Option<i32>, detail: String, error: SourceError) -> StoreError {
        let place = self.name();
        let Some(code) = code else {
            return StoreError::Database(error);
        };
        match code & code::PRIMARY_MASK {
            _ if code == code::IO_SHARED_MEMORY_SIZE => StoreError::Full { place },
            code::BUSY | code::LOCKED => StoreError::Busy { place, detail, source: Some(error) },
            code::READ_ONLY => StoreError::ReadOnly { place },
            code::FULL => StoreError::Full { place },
            code::CANNOT_OPEN if self.is_read_only() => StoreError::ReadOnly { place },
            code::CANNOT_OPEN => {
                let detail = format!("{detail}; {LOOK}");
                StoreError::Unreachable { place, detail, source: Some(error) }
            }
            code::IO => StoreError::Unreachable { place, detail, source: Some(error) },
            code::NOT_A_DATABASE => StoreError::NotADatabase { place, detail, source: Some(error) },
            _ => StoreError::Database(error),
        }
    }

    /// What it means that the file cannot be opened for the first time: what is wrong with its path
    /// does not change by itself. Later a file that is out of reach may come back.
    pub(super) fn error_at_start(&self, error: StoreError) -> StoreError {
        match (&error, self.wrong_path()) {
            (StoreError::Unreachable { .. }, Some(detail)) => {
                StoreError::Unsuitable { place: self.name(), detail: detail.to_owned() }
            }
            _ => error,
        }
    }

    /// What is wrong with the path, and what to do.
    fn wrong_path(&self) -> Option<&'static str> {
        let is_missing = |path: &Path| {
            std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        match self.0.parent() {
            Some(parent) if parent.as_os_str().is_empty() => {}
            Some(parent) if is_missing(parent) => {
                return Some("its directory is not there; make it, or name another file");
            }
            Some(parent) if !parent.is_dir() => {
                return Some("it is named as if in a directory that is a file; name another file");
            }
            _ => {}
        }
        if self.0.is_dir() {
            return Some("it is a directory; name a file");
        }
        is_missing(&self.0).then_some(
            "it is not there, and is not made: set `create_if_missing(true)`, and let this process \
             write in its directory",
        )
    }

    /// The error of a caller whose work was undone because the transaction that it shared failed.
    pub(super) fn spoiled_by(&self, cause: &StoreError) -> StoreError {
        let place = self.name();
        match cause {
            StoreError::Full { .. } => StoreError::Full { place },
            StoreError::ReadOnly { .. } => StoreError::ReadOnly { place },
            // They name this place.
            StoreError::NotADatabase { .. }
            | StoreError::Unreachable { .. }
            | StoreError::Busy { .. } => cause.clone(),
            cause => StoreError::Busy {
                place,
                detail: format!("a transaction shared by several messages was undone: {cause}"),
                source: caused_by(cause.clone()),
            },
        }
    }

    /// The error of a caller that has waited long for a handler.
    pub(super) fn held_by(&self, handler: &str) -> StoreError {
        let detail = format!(
            "the durable handler `{handler}` holds the only writing connection; do slow work \
             before or after it, and in a task that it waits for send with a `Bus` that was cloned \
             in the handler"
        );
        StoreError::Busy { place: self.name(), detail, source: None }
    }

    pub(super) fn name(&self) -> String {
        self.0.display().to_string()
    }

    /// SQLite says "cannot open" of a file that it may not create, so the file system is asked why.
    fn is_read_only(&self) -> bool {
        let directory = match self.0.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return false,
        };
        [directory, &self.0].into_iter().any(|path| {
            std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly())
        })
    }
}
