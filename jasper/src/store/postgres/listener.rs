//! Notifications by the database of rows that any node may claim.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::internal_pool::InternalPool;

/// How long a quiet connection is believed to be alive.
const QUIET: Duration = Duration::from_secs(30);

/// How long a connection may take to show that it is alive.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after a failure the database is called again.
const PAUSE: Duration = Duration::from_secs(1);

const SHOW_LIFE: &str = "select 1";

/// One connection that listens for all callers, from the first call on.
#[derive(Debug)]
pub(super) struct NotificationListener {
    internal: InternalPool,
    /// How many notifications have arrived.
    notifications: watch::Sender<u64>,
    /// Up to which notification callers have returned.
    delivered: AtomicU64,
    is_open: Arc<AtomicBool>,
    task: OnceLock<AbortHandle>,
}

impl NotificationListener {
    pub(super) fn of(internal: &InternalPool) -> Self {
        let (notifications, delivered) = (watch::Sender::new(0), AtomicU64::new(0));
        Self {
            internal: internal.clone(),
            notifications,
            delivered,
            is_open: Arc::default(),
            task: OnceLock::new(),
        }
    }

    /// Waits for a notification for which no caller has returned yet, from the time of the last
    /// call on. After the connection was lost there is one once it is back, as some may have been
    /// missed; and so there is one where a look came before this store had noted the row.
    ///
    /// # Cancel safety
    /// Dropped, no notification is lost.
    pub(super) async fn wait_for_notification(&self) {
        self.task.get_or_init(|| self.start());
        let delivered = self.delivered.load(Ordering::Acquire);
        let mut notifications = self.notifications.subscribe();
        tokio::select! {
            count = notifications.wait_for(|count| *count > delivered) => if let Ok(count) = count {
                self.delivered.fetch_max(*count, Ordering::AcqRel);
            },
            () = self.internal.frontier.missed() => {}
            () = self.internal.outgoing_frontier.missed() => {}
        }
    }

    /// Whether the connection is there, as far as it is known.
    pub(super) fn is_notified(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    fn start(&self) -> AbortHandle {
        let (internal, notifications) = (self.internal.clone(), self.notifications.clone());
        let is_open = Arc::clone(&self.is_open);
        let task = tokio::spawn(async move {
            loop {
                let Err(error) = listen(&internal, &notifications, &is_open).await;
                is_open.store(false, Ordering::Release);
                let error = internal.error(error);
                tracing::debug!(%error, "the connection that listens is lost; opening another");
                tokio::time::sleep(PAUSE).await;
            }
        });
        task.abort_handle()
    }
}

impl Drop for NotificationListener {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Listens until the connection is lost for good.
async fn listen(
    internal: &InternalPool,
    notifications: &watch::Sender<u64>,
    is_open: &AtomicBool,
) -> sqlx::Result<std::convert::Infallible> {
    let mut listener = PgListener::connect_with(internal.pool.current()).await?;
    listener.listen(&internal.names.channel()).await?;
    is_open.store(true, Ordering::Release);
    loop {
        // At first, and after a connection was lost, for what may have been missed.
        notifications.send_modify(|notifications| *notifications += 1);
        next_notification(&mut listener).await?;
    }
}

/// Waits for notification.
async fn next_notification(listener: &mut PgListener) -> sqlx::Result<()> {
    loop {
        if let Ok(notification) = tokio::time::timeout(QUIET, listener.try_recv()).await {
            // Without it the connection was lost; the next one is opened in sight of the callers.
            notification?.ok_or(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()))?;
            // One answer does for all that came together.
            while listener.next_buffered().is_some() {}
            return Ok(());
        }
        // A connection that broke without a sign stays quiet for ever.
        let alive = tokio::time::timeout(PATIENCE, listener.execute(SHOW_LIFE)).await;
        alive.map_err(|_elapsed| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
    }
}
