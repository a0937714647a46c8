//! What can go wrong in a store, by what the caller can do about it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::FutureExt;

use crate::caught::Panic;
use crate::source_error::SourceError;

/// This error of a driver as the source of another.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(super) fn caused_by(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Option<SourceError> {
    Some(error.into())
}

/// An error of a message store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file or server is there but is not a database that this store reads.
    #[error("`{place}` is not a database: {detail}; name another file, or move this one away")]
    NotADatabase {
        /// The file or server.
        place: String,
        /// What the database driver said.
        detail: String,
        /// The driver's error, where there is one.
        source: Option<SourceError>,
    },
    /// The database cannot be opened or reached.
    #[error("`{place}` cannot be opened: {detail}")]
    Unreachable {
        /// The file or server.
        place: String,
        /// What the database driver said.
        detail: String,
        /// The driver's error, where there is one.
        source: Option<SourceError>,
    },
    /// The database can be read but not written.
    #[error(
        "`{place}` is read-only: a file needs the right to write it and its directory, and a \
         server is a standby or is set so"
    )]
    ReadOnly {
        /// The file or server.
        place: String,
    },
    /// The address is none of a database, or the database cannot hold what this store writes:
    /// waiting does not help.
    #[error("`{place}` cannot be used: {detail}")]
    Unsuitable {
        /// The file or server.
        place: String,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// The tables were made by a newer jasper.
    #[error(
        "`{place}` has schema version {found}, and this build knows up to {known}; \
         run a build at least as new as the one that upgraded it"
    )]
    NewerSchema {
        /// The file or server.
        place: String,
        /// The version found.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The tables are not there, or were made by an older jasper, and this process is not to make
    /// or upgrade them.
    #[error(
        "`{place}` has {}, and this build needs version {needed}: apply the migrations that \
         `StoreAdmin::migrations` prints, or start once with `StorageProvisioning::Migrate`",
        found_version(*.found)
    )]
    OutdatedSchema {
        /// The file or server.
        place: String,
        /// The version found, 0 for none.
        found: i64,
        /// The version that this build needs.
        needed: i64,
    },
    /// The role of this process may not do what was asked for.
    #[error(
        "the role of this process may not {what} in `{place}`: {detail}; give it the right, or let \
         a role do it that has the right"
    )]
    Forbidden {
        /// The file or server.
        place: String,
        /// What was asked for.
        what: &'static str,
        /// What the database driver said.
        detail: String,
        /// The driver's error, where there is one.
        source: Option<SourceError>,
    },
    /// The disk or the quota is full. Nothing that was accepted before is lost.
    #[error(
        "`{place}` has no room left on its disk; what was accepted before is safe, free some space"
    )]
    Full {
        /// The file or server.
        place: String,
    },
    /// The database is locked or overloaded for now.
    #[error("`{place}` is busy: {detail}")]
    Busy {
        /// The file or server.
        place: String,
        /// What the database driver said.
        detail: String,
        /// The driver's error, where there is one.
        source: Option<SourceError>,
    },
    /// A call took longer than it may.
    #[error("the store did not answer within {limit:?}")]
    Deadline {
        /// How long the caller waited.
        limit: Duration,
    },
    /// A pooler gives the statements of one connection to several sessions of the server.
    #[error(
        "`{place}` is a pooler that gives one connection several sessions, such as PgBouncer with \
         `pool_mode = transaction`; name the database itself, or a pool with `pool_mode = session`"
    )]
    Pooler {
        /// The pooler.
        place: String,
    },
    /// The connection given to the store is not of its type.
    #[error("the {store} store cannot write through a `{given}`")]
    WrongConnection {
        /// The store's name.
        store: &'static str,
        /// What was given.
        given: &'static str,
    },
    /// The handler's transaction was ended by one of its own statements.
    #[error(
        "the handler ended its transaction itself, by `commit`, `rollback` or a statement that \
         rolls back; what it did is undone"
    )]
    TransactionEnded,
    /// The database refuses to commit what the handler did.
    #[error("the database does not commit what the handler did: {detail}; it is undone")]
    CommitRefused {
        /// What the database said.
        detail: String,
        /// The driver's error, where there is one.
        source: Option<SourceError>,
    },
    /// A call that is done in pages has failed after some of them, which stay done.
    #[error("{error}; {done} were done before that, and the same call again does the rest")]
    Partial {
        /// How many letters were there and are done.
        done: u64,
        /// What became of the next page.
        #[source]
        error: Box<StoreError>,
    },
    /// A name for tables or schema is not one that every database takes.
    #[error("`{name}` cannot be a name here: use letters, digits and `_`, at most 48 of them")]
    BadName {
        /// The name given.
        name: String,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the database said.
    #[error("the database refused: {0}")]
    Database(#[source] SourceError),
}

/// What was found, in words.
fn found_version(found: i64) -> String {
    match found {
        0 => "no tables of jasper".to_owned(),
        found => format!("schema version {found}"),
    }
}

impl StoreError {
    /// Whether the handler of the transaction is to blame, not the store.
    pub const fn blames_handler(&self) -> bool {
        matches!(self, Self::TransactionEnded | Self::CommitRefused { .. })
    }

    /// Whether the same call may succeed later without a change of the program.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Full { .. }
            | Self::Busy { .. }
            | Self::Deadline { .. } => true,
            Self::Partial { error, .. } => error.is_transient(),
            _ => false,
        }
    }

    /// The refusal of a commit, from what the driver's error means elsewhere.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
    pub(super) fn into_refusal(self, detail: String) -> Self {
        let source = match self {
            Self::Database(source) => Some(source),
            Self::NotADatabase { source, .. }
            | Self::Unreachable { source, .. }
            | Self::Busy { source, .. }
            | Self::CommitRefused { source, .. } => source,
            _ => None,
        };
        Self::CommitRefused { detail, source }
    }

    /// The error of a call in pages, of which so much is done.
    pub(super) fn after(self, done: u64) -> Self {
        match done {
            0 => self,
            done => Self::Partial { done, error: Box::new(self) },
        }
    }
}
/// What a call of a store gives. A panic of a driver, or of a store that the application brings, is
/// an error like another.
pub(crate) async fn unless_it_panics<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let ended = AssertUnwindSafe(call).catch_unwind().await;
    ended.unwrap_or_else(|payload| Err(StoreError::Database(Panic::of(payload).into())))
}
