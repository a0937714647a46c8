//! What SQLite calls while it executes on the writing connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::SqliteConnection;

/// The hooks of one connection.
///
/// A commit that is not ours is a handler that executed `commit`, or a statement after SQLite undid
/// the whole transaction: either would commit half of what belongs together, so it is turned into a
/// rollback. Each rollback of a whole transaction is noted.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    /// Whether a commit is ours.
    may_commit: AtomicBool,
    /// Whether SQLite has asked that.
    was_asked: AtomicBool,
    /// Whether the outer transaction was rolled back.
    has_ended: AtomicBool,
}

impl Hooks {
    pub(super) async fn set(connection: &mut SqliteConnection) -> sqlx::Result<Arc<Self>> {
        let hooks = Arc::new(Self::default());
        let mut handle = connection.lock_handle().await?;
        let asked = Arc::clone(&hooks);
        handle.set_commit_hook(move || {
            asked.was_asked.store(true, Ordering::Release);
            asked.may_commit.load(Ordering::Acquire)
        });
        let noted = Arc::clone(&hooks);
        handle.set_rollback_hook(move || noted.has_ended.store(true, Ordering::Release));
        Ok(hooks)
    }

    /// A transaction starts now.
    pub(super) fn note_start(&self) {
        self.has_ended.store(false, Ordering::Release);
    }

    /// Whether the transaction that began last was rolled back.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// From here on a commit is ours.
    pub(super) fn allow_commit(&self) {
        self.was_asked.store(false, Ordering::Release);
        self.may_commit.store(true, Ordering::Release);
    }

    /// From here on a commit is not ours. Says whether SQLite has asked before that: a handler may
    /// have put another hook in the place of this one.
    pub(super) fn forbid_commit(&self) -> bool {
        self.may_commit.store(false, Ordering::Release);
        self.was_asked.load(Ordering::Acquire)
    }
}
