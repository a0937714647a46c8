//! Nodes and their leases in SQL Server, in the time of the database.

use std::time::{Duration, SystemTime};

use tiberius::{Row, ToSql};

use super::connection::SqlServerConnection;
use super::error::{Error, Result};
use super::internal_pool::{InternalPool, Work};
use super::parameters::storable;
use super::sessions;
use super::sql::{Sql, statements};
use super::store::SqlServerStore;
use crate::envelope::time::from_micros;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::micros;
use crate::store::sql::ports::nodes::{JoiningNode, SqlNodes};
use crate::store::{Gone, LiveNode, NodeLease, Owner, Pulse, StoreError, Subscription};

const NOW: &str = "select {now}";

const JOIN: &str = "\
insert into {nodes} (name, lease_until, takes, sessions)
output inserted.node
values (@P1, {now} + @P2, @P3, @P4)";

const RENEW: &str = "\
update {nodes} set lease_until = {now} + @P2 where node = @P1 and lease_until > 0";

const ALIVE: &str = "\
select node, takes, coalesce(earlier, '') from {nodes} where lease_until > {now} order by node";

const NOTE_EARLIER: &str = "update {nodes} set earlier = @P2 where node = @P1";

/// A node that stops in order ends its sessions itself, those of its earlier numbers too.
const LEAVE: &str = "\
update {nodes} set lease_until = 0, sessions = null
where node = @P1 or lease_until = 0 and sessions = @P2";

/// A row that is written in between is found all the same, as one of an owner that is unknown.
const FORGET: &str = "\
delete from {nodes} where node = @P1 and lease_until = 0
    and not exists (
        select 1 from {incoming} with (readcommittedlock) where owner > 0 and owner = @P1
    )
    and not exists (
        select 1 from {outgoing} with (readcommittedlock) where owner > 0 and owner = @P1
    )";

/// All owners of rows, also those that were forgotten and wrote a row after that. Of each owner one
/// entry of the index is read, however many rows it has.
const OWNERS: &str = "\
declare @owners table (owner bigint not null);
declare @owner bigint = 0, @next bigint;
while 1 = 1
begin
    set @next = null;
    select top (1) @next = owner from {incoming} with (readcommittedlock, readpast)
    where owner > 0 and owner > @owner order by owner;
    if @next is null break;
    set @owner = @next;
    insert into @owners (owner) values (@owner);
end;
set @owner = 0;
while 1 = 1
begin
    set @next = null;
    select top (1) @next = owner from {outgoing} with (readcommittedlock, readpast)
    where owner > 0 and owner > @owner order by owner;
    if @next is null break;
    set @owner = @next;
    insert into @owners (owner) values (@owner);
end;
";

/// Rows that another node has locked are left to it: nodes that resume together end each other's
/// leases.
const END: &str = "\
update {nodes} with (updlock, readpast, rowlock) set lease_until = 0
where lease_until > 0 and lease_until <= {now} and node <> @P1;
";

/// Who is gone (1), and how long it is until the next lease of another ends (2), less than 0 where
/// one is over that was not ended before.
const FOUND: &str = "\
select 1 as what, node as number from {nodes} where lease_until = 0
union
select 1, owner from @owners owners
where not exists (select 1 from {nodes} where node = owners.owner)
union
select 2, min(lease_until) - {now} from {nodes} where lease_until > 0 and node <> @P1";

/// The renewal (3), and whether the node owns rows (4), beside that.
const RENEWED: &str = "\
update {nodes} set lease_until = {now} + @P2 where node = @P1 and lease_until > 0;
declare @renewed bigint = @@rowcount;
";

const PULSE: &str = "
union
select 3, @renewed
union
select 4, owner from @owners where owner = @P1";

/// A process that goes on as another node has sessions that work, and so has the one that asks.
const OF_GONE: &str = "\
select cast(session.session_id as bigint)
from sys.dm_exec_sessions session join {nodes} gone
    on charindex(concat('jasper/', gone.sessions, '/'), session.program_name) > 0
where gone.lease_until = 0 and gone.sessions <> @P1 and session.session_id <> @@spid
    and not exists (
        select 1 from {nodes} other where other.sessions = gone.sessions and other.lease_until > 0
    )";

statements!(NodesSql {
    now: NOW,
    join: JOIN,
    renew: RENEW,
    alive: ALIVE,
    note_earlier: NOTE_EARLIER,
    leave: LEAVE,
    forget: FORGET,
    sessions_of_gone: OF_GONE,
    expired: [END, OWNERS, FOUND].concat(),
    pulse: [RENEWED, END, OWNERS, FOUND, PULSE].concat(),
});

impl SqlNodes for SqlServerStore {
    async fn now(&self) -> Result<Option<SystemTime>, StoreError> {
        self.node_pool().give(Now).await
    }

    async fn join(&self, node: JoiningNode) -> Result<NodeLease, StoreError> {
        let server = self.node_pool().pool.server();
        server.limits.follow(node.lease);
        let sessions = server.mark.word().to_owned();
        self.node_pool().give(Join { node, sessions }).await
    }

    async fn renew(&self, owner: Owner, lease: Duration) -> Result<bool, StoreError> {
        self.node_pool_here().give(Renew(owner, lease)).await
    }

    async fn pulse(&self, owner: Owner, lease: Duration) -> Result<Pulse, StoreError> {
        let pulse = self.node_pool_here().give(Pulses(owner, lease)).await?;
        if pulse.gone.as_ref().is_some_and(|gone| !gone.owners.is_empty()) {
            self.internal_pool().end_sessions_of_gone().await;
        }
        Ok(pulse)
    }

    async fn expired(&self, asks: Option<Owner>) -> Result<Gone, StoreError> {
        let gone = self.internal_pool().give(Expired(asks)).await?;
        if !gone.owners.is_empty() {
            self.internal_pool().end_sessions_of_gone().await;
        }
        Ok(gone)
    }

    async fn alive(&self) -> Result<Vec<LiveNode>, StoreError> {
        self.internal_pool().give(Alive).await
    }

    async fn note_earlier(&self, owner: Owner, earlier: String) -> Result<(), StoreError> {
        self.node_pool().give(NoteEarlier(owner, earlier)).await
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        let sessions = self.node_pool().pool.server().mark.word().to_owned();
        self.node_pool().give(Leave(owner, sessions)).await
    }

    async fn forget(&self, owner: Owner) -> Result<(), StoreError> {
        let server = self.internal_pool().pool.server();
        if server.sessions_left.check().is_err() {
            self.internal_pool().end_sessions_of_gone().await;
            server.sessions_left.check()?;
        }
        self.internal_pool().give(Forget(owner)).await
    }
}

impl SqlServerStore {
    /// The pool of nodes in whatever runtime asks: that of the store may be blocked.
    fn node_pool_here(&self) -> InternalPool {
        InternalPool { pool: self.node_pool().pool.here(), ..self.node_pool().clone() }
    }
}

impl InternalPool {
    /// Ends the sessions of nodes that are gone: what a frozen process has locked would keep others
    /// waiting that take its work over.
    ///
    /// A login without `VIEW SERVER STATE` sees only the sessions of its own. Where that fails at
    /// present, `sessions_left` says so.
    pub(super) async fn end_sessions_of_gone(&self) {
        let server = self.pool.server();
        let end = async {
            let (mut connection, _name) = server.connect().await?;
            let of_gone = &self.sql.nodes.sessions_of_gone;
            for session in connection.rows(of_gone, &[&server.mark.word()]).await? {
                let session = session.number(0)?;
                sessions::kill(&mut connection, session).await?;
                tracing::info!(session, "ended a session of a node that is gone");
            }
            Ok::<_, Error>(())
        };
        let limit = server.limit();
        let ended = tokio::time::timeout(limit, end).await;
        server.note_sessions_left(ended.unwrap_or(Err(Error::Silent(limit))));
    }
}

struct Now;

impl Work for Now {
    type Output = Option<SystemTime>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut SqlServerConnection,
        sql: &Sql,
    ) -> Result<Option<SystemTime>> {
        let rows = connection.rows(&sql.nodes.now, &[]).await?;
        rows.first().map(|row| row.number(0).map(from_micros)).transpose()
    }
}

struct Join {
    node: JoiningNode,
    sessions: String,
}

impl Work for Join {
    type Output = NodeLease;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<NodeLease> {
        let Self { node: JoiningNode { name, lease, takes }, sessions } = self;
        let parameters: [&dyn ToSql; 4] =
            [&storable(name), &micros(*lease), &Subscription::to_lines(takes), sessions];
        let joined = connection.rows(&sql.nodes.join, &parameters).await?;
        let node = joined.first().map_or(Ok(0), |row| row.number(0))?;
        Ok(NodeLease { owner: Owner::new(node), lease: *lease })
    }
}

struct Renew(Owner, Duration);

impl Work for Renew {
    type Output = bool;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<bool> {
        let parameters: [&dyn ToSql; 2] = [&self.0.number(), &micros(self.1)];
        Ok(connection.write(&sql.nodes.renew, &parameters).await? > 0)
    }
}

struct Pulses(Owner, Duration);

impl Work for Pulses {
    type Output = Pulse;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Pulse> {
        let parameters: [&dyn ToSql; 2] = [&self.0.number(), &micros(self.1)];
        found(&connection.rows(&sql.nodes.pulse, &parameters).await?)
    }
}

struct Expired(Option<Owner>);

impl Work for Expired {
    type Output = Gone;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Gone> {
        let asks = self.0.map_or(0, Owner::number);
        let pulse = found(&connection.rows(&sql.nodes.expired, &[&asks]).await?)?;
        Ok(pulse.gone.unwrap_or_default())
    }
}

/// What stands in the rows of a look at all nodes.
fn found(answer: &[Row]) -> Result<Pulse> {
    let (mut is_renewed, mut may_own, mut gone) = (false, false, Gone::default());
    for row in answer {
        match row.try_get::<i32, _>(0)? {
            Some(2) => gone.next_end = columns::span(row, 1)?,
            Some(3) => is_renewed = row.number(1)? > 0,
            Some(4) => may_own = true,
            _gone => gone.owners.push(Owner::new(row.number(1)?)),
        }
    }
    Ok(Pulse { is_renewed, gone: Some(gone), may_own })
}

struct Alive;

impl Work for Alive {
    type Output = Vec<LiveNode>;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Vec<LiveNode>> {
        let rows = connection.rows(&sql.nodes.alive, &[]).await?;
        columns::all(&rows, columns::live_node)
    }
}

struct NoteEarlier(Owner, String);

impl Work for NoteEarlier {
    type Output = ();
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<()> {
        connection.write(&sql.nodes.note_earlier, &[&self.0.number(), &self.1]).await?;
        Ok(())
    }
}

struct Leave(Owner, String);

impl Work for Leave {
    type Output = ();
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<()> {
        connection.write(&sql.nodes.leave, &[&self.0.number(), &self.1]).await?;
        Ok(())
    }
}

struct Forget(Owner);

impl Work for Forget {
    type Output = ();
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<()> {
        connection.write(&sql.nodes.forget, &[&self.0.number()]).await?;
        Ok(())
    }
}
