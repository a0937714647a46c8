//! The store's own pools, which connect as the application's pool does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use super::mark::Mark;
use super::pooled_connection::PooledConnection;

/// How long a connection may take to show that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// A pool that takes its options from another one: an application that gives that one a new
/// password, by `set_connect_options`, gives it to this one too.
#[derive(Debug, Clone)]
pub(super) struct OwnPool {
    pool: PgPool,
    of: PgPool,
    mark: Mark,
    seen: Arc<Mutex<Arc<PgConnectOptions>>>,
}

impl OwnPool {
    /// A pool of these options, which connects as `of` does.
    pub(super) fn new(options: PgPoolOptions, of: &PgPool, mark: &Mark) -> Self {
        let seen = of.connect_options();
        let pool = options.connect_lazy_with(marked(&seen, mark));
        let seen = Arc::new(Mutex::new(seen));
        Self { pool, of: of.clone(), mark: mark.clone(), seen }
    }

    /// A connection of it.
    pub(super) async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        self.current().acquire().await.map(PooledConnection::new)
    }

    /// The pool, with the options that the application's pool has now.
    pub(super) fn current(&self) -> &PgPool {
        let now = self.of.connect_options();
        let mut seen = self.seen.lock();
        if !Arc::ptr_eq(&seen, &now) {
            self.pool.set_connect_options(marked(&now, &self.mark));
            *seen = now;
        }
        drop(seen);
        &self.pool
    }
}

fn marked(options: &PgConnectOptions, mark: &Mark) -> PgConnectOptions {
    options.clone().application_name(&mark.own())
}

/// When a connection of the store last gave no answer. Clones share it.
///
/// What has silenced one has probably silenced others that are idle: each that was not used since
/// shows that it is alive before it is used again, so that not every message waits for one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Silence(Arc<Mutex<Option<Instant>>>);

impl Silence {
    /// A connection gave no answer.
    pub(super) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether a connection that was idle for so long is good to use.
    pub(super) async fn allows(
        &self,
        connection: &mut PgConnection,
        idle_for: Duration,
    ) -> sqlx::Result<bool> {
        let noted = *self.0.lock();
        match noted {
            Some(noted) if idle_for >= noted.elapsed() => Ok(is_alive(connection).await),
            _ => Ok(true),
        }
    }
}

/// Whether it answers. The pool would wait for one that broke without a sign, and would have one
/// less.
pub(super) async fn is_alive(connection: &mut PgConnection) -> bool {
    let answer = tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}
