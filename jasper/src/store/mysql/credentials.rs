//! What connections are opened with, which the application may renew while the store works.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::MySqlPool;
use sqlx::mysql::MySqlConnectOptions;

/// Statements that a connection keeps prepared: the store's, some for several numbers of rows, and
/// the handlers'. The server keeps 16,382 for all connections together.
const STATEMENTS: usize = 200;

/// The options of the pool that the user sees are those of all connections of the store: who calls
/// its `set_connect_options` gives new ones to every connection that is opened from then on.
#[derive(Debug)]
pub(super) struct Credentials {
    users: MySqlPool,
    seen: Mutex<Arc<MySqlConnectOptions>>,
}

impl Credentials {
    /// Those of a pool whose options are [`prepared`].
    pub(super) fn of(users: MySqlPool) -> Self {
        let seen = Mutex::new(users.connect_options());
        Self { users, seen }
    }

    /// What a connection is opened with now.
    pub(super) fn current(&self) -> Arc<MySqlConnectOptions> {
        let mut seen = self.seen.lock();
        let given = self.users.connect_options();
        if !Arc::ptr_eq(&given, &seen) {
            self.users.set_connect_options(prepared((*given).clone()));
            *seen = self.users.connect_options();
        }
        Arc::clone(&seen)
    }
}

/// The user's options with what the store relies on.
pub(super) fn prepared(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options
        .charset("utf8mb4")
        .timezone(Some("+00:00".to_owned()))
        .statement_cache_capacity(STATEMENTS)
}
