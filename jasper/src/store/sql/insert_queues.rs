//! The queues of inserts: rows with fresh ids never wait behind a row whose key another open
//! transaction has inserted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::coalescer::Coalescer;
use crate::envelope::{Envelope, MessageId};
use crate::store::portions::Weigh;
use crate::store::{Incoming, Inserted, Outgoing, StoreError};

/// Connections for inserts that may meet the key of an open transaction, and how many of them may
/// wait for one.
pub(crate) const KEYED_CONNECTIONS: u32 = 6;
pub(crate) const KEYED_WAITING: usize = 4;

/// For how long a row waits behind others of this process that have its key, and then for a place
/// among those that wait for locks.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an insert waits for a transaction that holds its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Hardly: others wait for this insert. It answers [`StoreError::Busy`] then.
    Short,
    /// As long as any statement of the store.
    Usual,
}

/// In which queue an insert goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InsertPath {
    /// Its ids are new.
    Fresh,
    /// It may meet a key that a transaction holds.
    Keyed(Wait),
}

/// What became of rows, once all of them are inserted or none is.
type InsertFuture = BoxFuture<'static, Result<Vec<Inserted>, StoreError>>;

type InsertFn<T> = Arc<dyn Fn(Vec<T>, InsertPath) -> InsertFuture + Send + Sync>;

/// The two queues of a table. Clones share them.
///
/// Rows with new ids go in one. Those whose keys others may store too go in the other, which hardly
/// waits for locks: what meets one is inserted alone, beside the queues.
pub(crate) struct InsertQueues<T> {
    fresh: Coalescer<T, Inserted>,
    keyed: Coalescer<T, Inserted>,
    insert: InsertFn<T>,
    /// How many inserts may wait for locks at once.
    waiting: Arc<Semaphore>,
    held: Arc<KeysInFlight>,
    place: String,
}

impl<T: Keyed + Weigh + Clone + Send + 'static> InsertQueues<T> {
    /// `most`: rows of one flush. `waiting`: the places of inserts that wait for a lock. What is
    /// inserted goes over the connections of its queue.
    pub(crate) fn new<D: Clone + Send + Sync + 'static>(
        most: usize,
        waiting: &Arc<Semaphore>,
        place: String,
        (fresh, keyed): (D, D),
        insert: impl Fn(D, Vec<T>, Wait) -> InsertFuture + Send + Sync + 'static,
    ) -> Self {
        let insert: InsertFn<T> = Arc::new(move |rows, path| match path {
            InsertPath::Fresh => insert(fresh.clone(), rows, Wait::Usual),
            InsertPath::Keyed(wait) => insert(keyed.clone(), rows, wait),
        });
        let coalescer = |path| {
            let insert = Arc::clone(&insert);
            Coalescer::new(most, 1, move |rows| insert(rows, path))
        };
        let (fresh, keyed) =
            (coalescer(InsertPath::Fresh), coalescer(InsertPath::Keyed(Wait::Short)));
        let (waiting, held) = (Arc::clone(waiting), Arc::default());
        Self { fresh, keyed, insert, waiting, held, place }
    }

    /// Stores these rows, and says of each whether it was new.
    ///
    /// # Cancel safety
    /// Dropped, the rows may or may not be stored.
    pub(crate) async fn submit(&self, rows: Vec<T>) -> Result<Vec<Inserted>, StoreError> {
        if !rows.iter().any(Keyed::may_repeat) {
            return self.fresh.submit(rows).await;
        }
        let ids = rows.iter().map(Keyed::id).collect();
        let hold = timeout(PATIENCE, KeysInFlight::hold(&self.held, ids))
            .await
            .map_err(|_elapsed| self.locked())?;
        match self.keyed.submit(rows.clone()).await {
            Err(StoreError::Busy { .. }) => self.wait(rows, hold).await,
            stored => stored,
        }
    }

    /// Inserts rows of which one has met a lock, in a task of its own: what has begun is finished.
    async fn wait(&self, rows: Vec<T>, hold: KeyGuard) -> Result<Vec<Inserted>, StoreError> {
        let waiting = Arc::clone(&self.waiting).acquire_owned();
        let place = timeout(PATIENCE, waiting).await.map_err(|_elapsed| self.locked())?;
        let insert = (self.insert)(rows, InsertPath::Keyed(Wait::Usual));
        let inserted = tokio::spawn(async move {
            let stored = insert.await;
            drop((hold, place));
            stored
        });
        inserted.await.unwrap_or(Err(StoreError::Closed))
    }

    fn locked(&self) -> StoreError {
        let detail = "a transaction that is still open has stored a message with this key".into();
        StoreError::Busy { place: self.place.clone(), detail, source: None }
    }
}

/// A row whose key a transaction may hold that is still open.
pub(crate) trait Keyed {
    /// The message of the row.
    fn id(&self) -> MessageId;

    /// Whether others may store a row with this key, too: of a deduplication key, of what another
    /// process sends again, or of what follows from a message that runs again.
    ///
    /// Any other id was made for its message just now.
    fn may_repeat(&self) -> bool;
}

impl Keyed for Incoming {
    fn id(&self) -> MessageId {
        self.envelope.id
    }

    fn may_repeat(&self) -> bool {
        self.retention.is_some() || may_repeat(&self.envelope)
    }
}

impl Keyed for Outgoing {
    fn id(&self) -> MessageId {
        self.envelope.id
    }

    fn may_repeat(&self) -> bool {
        may_repeat(&self.envelope)
    }
}

fn may_repeat(envelope: &Envelope) -> bool {
    envelope.deduplication_id.is_some() || !envelope.id.is_first()
}

/// The ids of keyed rows on their way, each with what is cancelled at its end. So of those with one
/// key, one at a time can meet a lock, and the others wait for it and not in the queue.
#[derive(Debug, Default)]
struct KeysInFlight(Mutex<HashMap<MessageId, CancellationToken>>);

/// Ends the wait of others for its ids when it is dropped.
struct KeyGuard {
    held: Arc<KeysInFlight>,
    ids: Vec<MessageId>,
    ended: CancellationToken,
}

impl KeysInFlight {
    fn ids(&self) -> MutexGuard<'_, HashMap<MessageId, CancellationToken>> {
        self.0.lock()
    }

    /// Waits until nothing on its way has one of these ids.
    async fn hold(held: &Arc<Self>, ids: Vec<MessageId>) -> KeyGuard {
        let ended = CancellationToken::new();
        while let Some(other) = held.try_hold(&ids, &ended) {
            other.cancelled().await;
        }
        KeyGuard { held: Arc::clone(held), ids, ended }
    }

    /// Takes all of these ids, or gives the end of what has one of them.
    fn try_hold(&self, ids: &[MessageId], ended: &CancellationToken) -> Option<CancellationToken> {
        let mut all = self.ids();
        let other = ids.iter().find_map(|id| all.get(id));
        if other.is_none() {
            all.extend(ids.iter().map(|id| (*id, ended.clone())));
            return None;
        }
        other.cloned()
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut all = self.held.ids();
        for id in &self.ids {
            all.remove(id);
        }
        drop(all);
        self.ended.cancel();
    }
}

impl<T> fmt::Debug for InsertQueues<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertQueues").finish_non_exhaustive()
    }
}
