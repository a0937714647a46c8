//! Nodes and their leases in MySQL, in the time of the database.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, MySqlConnection, SqlSafeStr, SqlStr};

use super::internal_pool::{InternalPool, Work};
use super::server::Server;
use super::sql::{Sql, statements, unprepared};
use super::store::MysqlStore;
use super::{error, marks};
use crate::envelope::time::from_micros;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::micros;
use crate::store::sql::ports::nodes::{JoiningNode, SqlNodes};
use crate::store::{Gone, LiveNode, NodeLease, Owner, Pulse, StoreError, Subscription};

const NOW: &str = "select {now}";

const JOIN: &str = "\
insert into {nodes} (name, lease_until, takes, sessions) values (?, {now} + ?, ?, ?)";

const RENEW: &str = "\
update {nodes} set lease_until = {now} + ? where node = ? and lease_until > 0";

const ALIVE: &str = "\
select node, takes, coalesce(earlier, '') from {nodes} where lease_until > {now} order by node";

const NOTE_EARLIER: &str = "update {nodes} set earlier = ? where node = ?";

/// One that leaves has ended its work, also that of its earlier numbers, and may use its sessions
/// for other things.
const LEAVE: &str = "\
update {nodes} set lease_until = 0, sessions = null
where node = ? or lease_until = 0 and sessions = ?";

const OWNS: &str = "\
select exists (select 1 from {incoming} where owner = ?)
    or exists (select 1 from {outgoing} where owner = ?)";

const FORGET: &str = "delete from {nodes} where node = ? and lease_until = 0";

const RUN_OUT: &str = "select node from {nodes} where lease_until between 1 and {now}";

const END_RUN_OUT: &str = "\
update {nodes} set lease_until = 0 where node = ? and lease_until between 1 and {now}";

/// The sessions of processes that are gone. Not of one that has joined again, nor of this one.
const LEFT_SESSIONS: &str = "\
select distinct sessions from {nodes} gone
where lease_until = 0 and sessions <> ? and not exists (
    select 1 from {nodes} alive where alive.sessions = gone.sessions and alive.lease_until > {now}
)";

/// Also owners that were forgotten and wrote a row after that. Of each owner one entry of the index
/// is read, however many rows it has. The last row is how long it is until the next lease ends.
const EXPIRED: &str = "\
select 'gone' as what, node from {nodes} where lease_until = 0
union
select 'gone', owner from (
    select owner from {incoming} where owner > 0 group by owner
    union
    select owner from {outgoing} where owner > 0 group by owner
) owners
where not exists (select 1 from {nodes} where node = owners.owner)
union
select 'next', min(lease_until) - {now} from {nodes} where lease_until > 0 and node <> {node}";

/// What a node with nothing to do asks with its renewal: whether others may be gone, whether it
/// owns rows, and how long it is until the next lease of another ends.
const PULSE: &str = "\
select 'gone' as what, null as remains from {nodes}
where node <> {node} and lease_until between 0 and {now}
union
select 'gone', null from (
    select owner from {incoming} where owner > 0 group by owner
    union
    select owner from {outgoing} where owner > 0 group by owner
) owners
where not exists (select 1 from {nodes} where node = owners.owner)
union
select 'owns', null from dual where exists (select 1 from {incoming} where owner = {node})
    or exists (select 1 from {outgoing} where owner = {node})
union
select 'next', min(lease_until) - {now} from {nodes} where lease_until > 0 and node <> {node}";

statements!(NodesSql {
    now: NOW,
    join: JOIN,
    renew: RENEW,
    alive: ALIVE,
    note_earlier: NOTE_EARLIER,
    leave: LEAVE,
    owns: OWNS,
    forget: FORGET,
    run_out: RUN_OUT,
    end_run_out: END_RUN_OUT,
    left_sessions: LEFT_SESSIONS,
    expired: EXPIRED,
    pulse: PULSE,
});

impl SqlNodes for MysqlStore {
    async fn now(&self) -> Result<Option<SystemTime>, StoreError> {
        self.node_pool().give(Now).await
    }

    async fn join(&self, node: JoiningNode) -> Result<NodeLease, StoreError> {
        let server = self.node_pool().pool.server();
        server.limits.follow(node.lease);
        let sessions = server.marks.text();
        self.node_pool().give(Join { node, sessions }).await
    }

    async fn renew(&self, owner: Owner, lease: Duration) -> Result<bool, StoreError> {
        self.node_pool_here().give(Renew(owner, lease)).await
    }

    async fn pulse(&self, owner: Owner, lease: Duration) -> Result<Pulse, StoreError> {
        self.node_pool_here().give(Pulses(owner, lease)).await
    }

    async fn expired(&self, asks: Option<Owner>) -> Result<Gone, StoreError> {
        let server = Arc::clone(self.internal_pool().pool.server());
        self.internal_pool().give(Expired { asks, server }).await
    }

    async fn alive(&self) -> Result<Vec<LiveNode>, StoreError> {
        self.internal_pool().give(Alive).await
    }

    async fn note_earlier(&self, owner: Owner, earlier: String) -> Result<(), StoreError> {
        self.node_pool().give(NoteEarlier(owner, earlier)).await
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        let sessions = self.node_pool().pool.server().marks.text();
        self.node_pool().give(Leave(owner, sessions)).await
    }

    async fn forget(&self, owner: Owner) -> Result<(), StoreError> {
        self.internal_pool().give(Forget(owner)).await
    }
}

impl MysqlStore {
    /// The pool of nodes in whatever runtime asks: that of the store may be blocked.
    fn node_pool_here(&self) -> InternalPool {
        InternalPool { pool: self.node_pool().pool.here(), ..self.node_pool().clone() }
    }
}

struct Now;

impl Work for Now {
    type Output = Option<SystemTime>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Option<SystemTime>> {
        let now = unprepared(&sql.nodes.now).fetch_one(connection).await?;
        Ok(Some(from_micros(now.number(0)?)))
    }
}

struct Join {
    node: JoiningNode,
    sessions: String,
}

impl Work for Join {
    type Output = NodeLease;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<NodeLease> {
        let Self { node: JoiningNode { name, lease, takes }, sessions } = self;
        let query = sqlx::query(sql.nodes.join.clone())
            .bind(name)
            .bind(micros(*lease))
            .bind(Subscription::to_lines(takes))
            .bind(sessions);
        let joined = query.execute(connection).await?;
        let node = i64::try_from(joined.last_insert_id()).unwrap_or(i64::MAX);
        Ok(NodeLease { owner: Owner::new(node), lease: *lease })
    }
}

struct Renew(Owner, Duration);

impl Work for Renew {
    type Output = bool;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<bool> {
        let query = sqlx::query(sql.nodes.renew.clone()).bind(micros(self.1)).bind(self.0.number());
        // The driver asks for rows that are met, whether or not they change.
        Ok(query.execute(connection).await?.rows_affected() > 0)
    }
}

struct Pulses(Owner, Duration);

impl Work for Pulses {
    type Output = Pulse;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Pulse> {
        let is_renewed = Renew(self.0, self.1).run(connection, sql).await?;
        let found = sqlx::raw_sql(asked_by(&sql.nodes.pulse, self.0.number()));
        let (mut may_own, mut are_gone, mut next_end) = (false, false, None);
        for row in found.fetch_all(connection).await? {
            match &*row.text(0)? {
                "owns" => may_own = true,
                "next" => next_end = columns::span(&row, 1)?,
                _gone => are_gone = true,
            }
        }
        // Of those who are gone leases and sessions are to be ended, too.
        let gone = (!are_gone).then(|| Gone { owners: Vec::new(), next_end });
        Ok(Pulse { is_renewed, gone, may_own })
    }
}

/// What this node asks.
pub(super) fn asked_by(statement: &SqlStr, node: i64) -> SqlStr {
    // Constants of this store, and a number.
    AssertSqlSafe(statement.as_str().replace("{node}", &node.to_string())).into_sql_str()
}

/// Found first, so that a look that finds none locks no row.
struct Expired {
    asks: Option<Owner>,
    server: Arc<Server>,
}

impl Expired {
    /// Ends the sessions that processes have left which are gone: one that is frozen or cut off
    /// would keep what it has locked.
    async fn end_sessions(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let left: Vec<String> = sqlx::query_scalar(sql.nodes.left_sessions.clone())
            .bind(self.server.marks.text())
            .fetch_all(&mut *connection)
            .await?;
        for sessions in left {
            for session in marks::sessions(connection, &sessions).await? {
                match self.server.kill(connection, session).await {
                    // Where it may not, the rows that are locked are left for another time.
                    Err(error) if error::is_of_statement(&error) => {}
                    Err(error) => return Err(error),
                    Ok(()) => tracing::info!(session, "ended a session of a process that is gone"),
                }
            }
        }
        Ok(())
    }
}

impl Work for Expired {
    type Output = Gone;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Gone> {
        for row in unprepared(&sql.nodes.run_out).fetch_all(&mut *connection).await? {
            let owner = row.number(0)?;
            if Some(Owner::new(owner)) != self.asks {
                let end = sqlx::query(sql.nodes.end_run_out.clone()).bind(owner);
                end.execute(&mut *connection).await?;
            }
        }
        self.end_sessions(connection, sql).await?;
        let expired = asked_by(&sql.nodes.expired, self.asks.map_or(0, Owner::number));
        let mut gone = Gone::default();
        for row in unprepared(&expired).fetch_all(connection).await? {
            match &*row.text(0)? {
                "next" => gone.next_end = columns::span(&row, 1)?,
                _gone => gone.owners.push(Owner::new(row.number(1)?)),
            }
        }
        Ok(gone)
    }
}

struct Alive;

impl Work for Alive {
    type Output = Vec<LiveNode>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<LiveNode>> {
        let rows = unprepared(&sql.nodes.alive).fetch_all(connection).await?;
        columns::all(&rows, columns::live_node)
    }
}

struct NoteEarlier(Owner, String);

impl Work for NoteEarlier {
    type Output = ();
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let query = sqlx::query(sql.nodes.note_earlier.clone()).bind(&self.1).bind(self.0.number());
        query.execute(connection).await.map(|_done| ())
    }
}

struct Leave(Owner, String);

impl Work for Leave {
    type Output = ();
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let query = sqlx::query(sql.nodes.leave.clone()).bind(self.0.number()).bind(&self.1);
        query.execute(connection).await.map(|_done| ())
    }
}

struct Forget(Owner);

impl Work for Forget {
    type Output = ();
    const REPEATS: bool = true;

    /// A row that is written in between is found all the same, as one of an owner that is unknown.
    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let owner = self.0.number();
        let query = sqlx::query_scalar(sql.nodes.owns.clone()).bind(owner).bind(owner);
        let owns: i64 = query.fetch_one(&mut *connection).await?;
        if owns == 0 {
            sqlx::query(sql.nodes.forget.clone()).bind(owner).execute(connection).await?;
        }
        Ok(())
    }
}
