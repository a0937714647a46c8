//! Nodes and their leases in SQLite.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::time::timeout;

use super::leases::{Leases, lease_until, renew};
use super::presence::{Others, Presence};
use super::sql::{SQL, statements};
use super::statement_batch::StatementBatch;
use super::store::SqliteStore;
use super::writer::Write;
use crate::envelope::time::{now, to_micros};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::ports::nodes::{JoiningNode, SqlNodes};
use crate::store::{Gone, LiveNode, NodeLease, Owner, StoreError, Subscription};

// SQLite has no clock of its own: the database's time is that of the machine on which it runs,
// which is ours.

const JOIN: &str =
    "insert into jasper_nodes (name, lease_until, takes) values (?, ?, ?) returning node";

const END_LEASES: &str = "update jasper_nodes set lease_until = 0 where lease_until > 0";

const RENEW: &str = "update jasper_nodes set lease_until = ? where node = ? and lease_until > 0";

const ALIVE: &str = "\
select node, takes, coalesce(earlier, '') from jasper_nodes where lease_until > ? order by node";

const NOTE_EARLIER: &str = "update jasper_nodes set earlier = ? where node = ?";

const LEAVE: &str = "update jasper_nodes set lease_until = 0 where node = ?";

const FORGET: &str = "\
delete from jasper_nodes where node = ? and lease_until = 0
    and not exists (select 1 from jasper_incoming where owner = node and owner > 0)
    and not exists (select 1 from jasper_outgoing where owner = node and owner > 0)";

const HAS_RUN_OUT: &str = "\
select exists (select 1 from jasper_nodes where lease_until between 1 and ? and node <> ?)";

const END_RUN_OUT: &str =
    "update jasper_nodes set lease_until = 0 where lease_until between 1 and ? and node <> ?";

/// Also owners that were forgotten and wrote a row after that; found by stepping from one owner to
/// the next. The last row is when the next lease ends.
const EXPIRED: &str = "\
with recursive
receiving (owner) as (
    select min(owner) from jasper_incoming where owner > 0
    union all
    select (select min(owner) from jasper_incoming where owner > 0 and owner > receiving.owner)
    from receiving where receiving.owner is not null
),
sending (owner) as (
    select min(owner) from jasper_outgoing where owner > 0
    union all
    select (select min(owner) from jasper_outgoing where owner > 0 and owner > sending.owner)
    from sending where sending.owner is not null
)
select node, null from jasper_nodes where lease_until = 0
union
select owner, null from (select owner from receiving union select owner from sending)
where owner is not null and not exists (select 1 from jasper_nodes where node = owner)
union all
select null, min(lease_until) from jasper_nodes where lease_until > ? and node <> ?";

statements!(NodesSql {
    join: JOIN,
    end_leases: END_LEASES,
    renew: RENEW,
    alive: ALIVE,
    note_earlier: NOTE_EARLIER,
    leave: LEAVE,
    forget: FORGET,
    has_run_out: HAS_RUN_OUT,
    end_run_out: END_RUN_OUT,
    expired: EXPIRED,
});

/// A wait for the lock in which a lease may have run out that its node was about to renew.
const LONG_WAIT: Duration = Duration::from_millis(100);

/// For how long renewals then come first. SQLite looks every 100 ms whether a lock is free.
const RENEWALS_FIRST: Duration = Duration::from_millis(300);

impl SqlNodes for SqliteStore {
    async fn join(&self, node: JoiningNode) -> Result<NodeLease, StoreError> {
        let (asked, lease) = (Instant::now(), node.lease);
        let join = Join { node, presence: self.presence(), others: OnceLock::new() };
        let joined = self.writer().write(join).await?;
        self.leases().join(joined.owner, lease, asked);
        Ok(joined)
    }

    async fn renew(&self, owner: Owner, lease: Duration) -> Result<bool, StoreError> {
        let asked = Instant::now();
        self.leases().ask(owner, lease);
        let renewal = self.writer().write(Renew(owner, lease));
        let renewed = match timeout(Leases::patience(lease), renewal).await {
            Ok(renewed) => renewed?,
            Err(_elapsed) => self.renew_aside(owner, lease).await?,
        };
        if renewed {
            self.leases().renewed(owner, asked);
        } else {
            self.leases().end(owner);
        }
        Ok(renewed)
    }

    async fn expired(&self, asks: Option<Owner>) -> Result<Gone, StoreError> {
        let except = asks.map_or(0, Owner::number);
        let has_run_out =
            sqlx::query_scalar(SQL.nodes.has_run_out).bind(to_micros(now())).bind(except);
        let has_run_out = has_run_out.fetch_one(self.pool()).await;
        if has_run_out.map_err(|error| self.error(error))? {
            self.end_run_out(except).await?;
        }
        let now = to_micros(now());
        let rows =
            sqlx::query(SQL.nodes.expired).bind(now).bind(except).fetch_all(self.pool()).await;
        rows.and_then(|rows| gone(&rows, now)).map_err(|error| self.error(error))
    }

    async fn alive(&self) -> Result<Vec<LiveNode>, StoreError> {
        let rows = sqlx::query(SQL.nodes.alive).bind(to_micros(now())).fetch_all(self.pool()).await;
        let nodes = rows.and_then(|rows| columns::all(&rows, columns::live_node));
        nodes.map_err(|error| self.error(error))
    }

    async fn note_earlier(&self, owner: Owner, earlier: String) -> Result<(), StoreError> {
        self.writer().write(NoteEarlier(owner, earlier)).await
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        self.leases().end(owner);
        self.writer().write(Leave(owner)).await
    }

    async fn forget(&self, owner: Owner) -> Result<(), StoreError> {
        self.writer().write(Forget(owner)).await
    }
}

impl SqliteStore {
    /// Ends the leases that have run out, except that of one node.
    ///
    /// While the file is locked for long no node can renew its lease. After such a wait the others
    /// come first: their renewals wait for the same lock.
    async fn end_run_out(&self, except: i64) -> Result<(), StoreError> {
        let until = Some(Instant::now() + LONG_WAIT);
        let end = EndRunOut { except, until };
        if !self.writer().write(end).await? {
            tokio::time::sleep(RENEWALS_FIRST).await;
            self.writer().write(EndRunOut { until: None, ..end }).await?;
        }
        Ok(())
    }

    /// Renews a lease although the writer does not answer: its runtime may be blocked.
    ///
    /// It works from any runtime. Where a handler holds the writing connection the file is locked,
    /// for other processes too; the writer then renews the lease with its commit.
    async fn renew_aside(&self, owner: Owner, lease: Duration) -> Result<bool, StoreError> {
        let options = self.shared.options.clone().busy_timeout(Leases::patience(lease) / 2);
        let mut connection = options.connect().await.map_err(|error| self.error(error))?;
        let renewed = renew(owner, lease, &mut connection).await;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "a connection for a renewal was not closed cleanly");
        }
        renewed.map_err(|error| self.error(error))
    }
}

fn gone(rows: &[SqliteRow], now: i64) -> sqlx::Result<Gone> {
    let mut gone = Gone::default();
    for row in rows {
        match (row.maybe_number(0)?, row.maybe_number(1)?) {
            (Some(owner), _) => gone.owners.push(Owner::new(owner)),
            (None, next_end) => {
                let left = next_end.map(|end| u64::try_from(end - now).unwrap_or_default());
                gone.next_end = left.map(Duration::from_micros);
            }
        }
    }
    Ok(gone)
}

struct Join {
    node: JoiningNode,
    presence: Arc<Presence>,
    /// What the lock file said: it says it once.
    others: OnceLock<Others>,
}

impl Write for Join {
    type Output = NodeLease;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<NodeLease> {
        let others = match self.others.get() {
            Some(others) => *others,
            None => {
                let others = others(Arc::clone(&self.presence)).await;
                *self.others.get_or_init(|| others)
            }
        };
        if others == Others::None {
            StatementBatch::of(SQL.nodes.end_leases).run(connection).await?;
        }
        let mut join = StatementBatch::of(SQL.nodes.join);
        join.bind(self.node.name.clone())?;
        join.bind(lease_until(self.node.lease))?;
        join.bind(Subscription::to_lines(&self.node.takes))?;
        let results = join.run(connection).await?;
        let node = results
            .iter()
            .flat_map(|results| &results.rows)
            .next()
            .ok_or(sqlx::Error::RowNotFound)?
            .number(0)?;
        Ok(NodeLease { owner: Owner::new(node), lease: self.node.lease })
    }
}

/// Where the file system has no locks, leases alone decide who is alive.
async fn others(presence: Arc<Presence>) -> Others {
    let announced = tokio::task::spawn_blocking(move || presence.announce()).await;
    match announced {
        Ok(Ok(others)) => others,
        Ok(Err(error)) => {
            tracing::warn!(%error, "no lock beside the database; leases tell who is alive");
            Others::Possible
        }
        Err(error) => {
            tracing::warn!(%error, "the lock beside the database was not tried");
            Others::Possible
        }
    }
}

struct Renew(Owner, Duration);

impl Write for Renew {
    type Output = bool;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        renew(self.0, self.1, connection).await
    }
}

/// Ends the leases that have run out, except that of this node.
#[derive(Clone, Copy)]
struct EndRunOut {
    except: i64,
    /// Where the turn comes later than this, nothing is done.
    until: Option<Instant>,
}

impl Write for EndRunOut {
    /// Whether it was done.
    type Output = bool;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        if self.until.is_some_and(|until| Instant::now() > until) {
            return Ok(false);
        }
        let mut batch = StatementBatch::of(SQL.nodes.end_run_out);
        batch.bind(to_micros(now()))?;
        batch.bind(self.except)?;
        batch.run(connection).await.map(|_ran| true)
    }
}

struct NoteEarlier(Owner, String);

impl Write for NoteEarlier {
    type Output = ();

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut batch = StatementBatch::of(SQL.nodes.note_earlier);
        batch.bind(self.1.clone())?;
        batch.bind(self.0.number())?;
        batch.run(connection).await.map(|_ran| ())
    }
}

struct Leave(Owner);

impl Write for Leave {
    type Output = ();

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut batch = StatementBatch::of(SQL.nodes.leave);
        batch.bind(self.0.number())?;
        batch.run(connection).await.map(|_ran| ())
    }
}

struct Forget(Owner);

impl Write for Forget {
    type Output = ();

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let mut batch = StatementBatch::of(SQL.nodes.forget);
        batch.bind(self.0.number())?;
        batch.run(connection).await.map(|_ran| ())
    }
}
