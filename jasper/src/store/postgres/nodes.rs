//! Nodes and their leases in PostgreSQL, in the database's time.

use std::time::{Duration, Instant, SystemTime};

use sqlx::postgres::PgRow;
use tokio::runtime::Handle;

use super::internal_pool::{InternalPool, Statement};
use super::rows::storable;
use super::sql::statements;
use super::store::PostgresStore;
use crate::envelope::time::from_micros;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::micros;
use crate::store::sql::ports::nodes::{JoiningNode, SqlNodes};
use crate::store::{Gone, LiveNode, NodeLease, Owner, Pulse, StoreError, Subscription};

const NOW: &str = "select {now}";

const JOIN: &str = "\
insert into {nodes} (name, lease_until, takes, sessions) values ($1, {now} + $2, $3, $4)
returning node";

const RENEW: &str = "\
update {nodes} set lease_until = {now} + $2 where node = $1 and lease_until > 0";

const ALIVE: &str = "\
select node, takes, coalesce(earlier, '') from {nodes} where lease_until > {now} order by node";

const NOTE_EARLIER: &str = "update {nodes} set earlier = $2 where node = $1";

/// A node that stops in order ends its sessions itself, those of its earlier numbers too.
const LEAVE: &str = "\
update {nodes} set lease_until = 0, sessions = null
where node = $1 or lease_until = 0 and sessions = $2";

const FORGET: &str = "\
delete from {nodes} where node = $1 and lease_until = 0
    and not exists (select from {incoming} where owner = $1 and owner > 0)
    and not exists (select from {outgoing} where owner = $1 and owner > 0)";

/// Where `$2`, also owners that were forgotten and wrote a row after that; found by stepping from
/// one owner to the next, so that the number of their rows does not matter.
const OWNERS: &str = "\
with recursive
receiving (owner) as (
    (select owner from {incoming} where owner > 0 and $2 order by owner limit 1)
    union all
    select (
        select owner from {incoming} where owner > 0 and owner > receiving.owner
        order by owner limit 1
    )
    from receiving where receiving.owner is not null
),
sending (owner) as (
    (select owner from {outgoing} where owner > 0 and $2 order by owner limit 1)
    union all
    select (
        select owner from {outgoing} where owner > 0 and owner > sending.owner
        order by owner limit 1
    )
    from sending where sending.owner is not null
), ";

/// Whose leases have run out, given what has to be done before. Rows that another node has locked
/// are left to it: nodes that resume together end each other's leases.
const ENDED: &str = "\
ended as (
    update {nodes} set lease_until = 0
    where node = any (array(
        select node from {nodes}
        where lease_until > 0 and lease_until <= {now} and node <> $1";

const OF_OTHERS: &str = "
        for no key update skip locked
    ))
    returning node
)
";

const GONE: &str = "\
select node from ended
union
select node from {nodes} where lease_until = 0
union
select owner from (select owner from receiving union select owner from sending) owners
where owner is not null and not exists (select from {nodes} where node = owner)";

/// The renewal ($3). It comes before the leases of others are ended, so that it never waits while
/// it has their rows locked.
const RENEWED: &str = "\
renewed as materialized (
    update {nodes} set lease_until = {now} + $3 where node = $1 and lease_until > 0
    returning node
), ";

const AFTER_RENEWAL: &str = "
            and (select count(*) from renewed) >= 0";

const FOUND: &str = "\
select 'gone' as what, node from (";

/// How long it is until the next lease ends, beside the owners that are gone; less than 0 where one
/// is over that was not ended here, as it ended just now or its row is locked.
const NEXT_END: &str = ") gone
union all
select 'next', min(lease_until) - {now} from {nodes} node
where lease_until > 0 and node.node <> $1
    and not exists (select from ended where ended.node = node.node)";

/// Whether the node has renewed its lease and owns rows, beside that.
const PULSE: &str = "
union all
select 'renewed', node from renewed
union all
select 'owns', owner from (select owner from receiving union select owner from sending) owners
where owner = $1";

statements!(NodesSql {
    now: NOW,
    join: JOIN,
    renew: RENEW,
    alive: ALIVE,
    note_earlier: NOTE_EARLIER,
    leave: LEAVE,
    forget: FORGET,
    expired: [OWNERS, ENDED, OF_OTHERS, FOUND, GONE, NEXT_END].concat(),
    pulse: [OWNERS, RENEWED, ENDED, AFTER_RENEWAL, OF_OTHERS, FOUND, GONE, NEXT_END, PULSE,]
        .concat(),
});

impl SqlNodes for PostgresStore {
    async fn now(&self) -> Result<Option<SystemTime>, StoreError> {
        let now = self
            .node_pool()
            .row(sqlx::query(self.sql().nodes.now.clone()))
            .await
            .and_then(|row| row.number(0))
            .map_err(|error| self.error(error))?;
        Ok(Some(from_micros(now)))
    }

    async fn join(&self, node: JoiningNode) -> Result<NodeLease, StoreError> {
        let JoiningNode { name, lease, takes } = node;
        self.internal_pool().frontier.takes(&takes);
        let query = sqlx::query(self.sql().nodes.join.clone())
            .bind(storable(&name).into_owned())
            .bind(micros(lease))
            .bind(Subscription::to_lines(&takes))
            .bind(self.internal_pool().mark.word().to_owned());
        let node = self
            .node_pool()
            .row(query)
            .await
            .and_then(|row| row.number(0))
            .map_err(|error| self.error(error))?;
        self.internal_pool().limits.follow(lease);
        Ok(NodeLease { owner: Owner::new(node), lease })
    }

    async fn renew(&self, owner: Owner, lease: Duration) -> Result<bool, StoreError> {
        let query =
            sqlx::query(self.sql().nodes.renew.clone()).bind(owner.number()).bind(micros(lease));
        let internal = self.node_pool();
        // A connection is served by the runtime in which it was opened, which may be blocked.
        let renewed = if Handle::current().id() == self.shared.home {
            internal.run(query).await
        } else {
            internal.run_elsewhere(query).await
        };
        renewed.map(|renewed| renewed > 0).map_err(|error| self.error(error))
    }

    async fn pulse(&self, owner: Owner, lease: Duration) -> Result<Pulse, StoreError> {
        if Handle::current().id() != self.shared.home {
            let is_renewed = SqlNodes::renew(self, owner, lease).await?;
            return Ok(Pulse { is_renewed, gone: None, may_own: true });
        }
        let query = |with_forgotten| {
            sqlx::query(self.sql().nodes.pulse.clone())
                .bind(owner.number())
                .bind(with_forgotten)
                .bind(micros(lease))
        };
        let (rows, with_forgotten) = self.over_owners(self.node_pool(), query).await;
        let mut pulse = rows.and_then(|rows| pulse(&rows)).map_err(|error| self.error(error))?;
        pulse.may_own |= !with_forgotten;
        if pulse.gone.as_ref().is_some_and(|gone| !gone.owners.is_empty()) {
            self.end_sessions_of_gone().await;
        }
        Ok(pulse)
    }

    async fn expired(&self, asks: Option<Owner>) -> Result<Gone, StoreError> {
        let query = |with_forgotten| {
            sqlx::query(self.sql().nodes.expired.clone())
                .bind(asks.map_or(0, Owner::number))
                .bind(with_forgotten)
        };
        let (rows, _with_forgotten) = self.over_owners(self.internal_pool(), query).await;
        let pulse = rows.and_then(|rows| pulse(&rows)).map_err(|error| self.error(error))?;
        let gone = pulse.gone.unwrap_or_default();
        if !gone.owners.is_empty() {
            self.end_sessions_of_gone().await;
        }
        Ok(gone)
    }

    async fn alive(&self) -> Result<Vec<LiveNode>, StoreError> {
        let rows = self.internal_pool().rows(sqlx::query(self.sql().nodes.alive.clone())).await;
        let nodes = rows.and_then(|rows| columns::all(&rows, columns::live_node));
        nodes.map_err(|error| self.error(error))
    }

    async fn note_earlier(&self, owner: Owner, earlier: String) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql().nodes.note_earlier.clone());
        let noted = self.node_pool().run(query.bind(owner.number()).bind(earlier)).await;
        noted.map(|_done| ()).map_err(|error| self.error(error))
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql().nodes.leave.clone())
            .bind(owner.number())
            .bind(self.internal_pool().mark.word().to_owned());
        let left = self.internal_pool().run(query).await;
        left.map(|_done| ()).map_err(|error| self.error(error))
    }

    async fn forget(&self, owner: Owner) -> Result<(), StoreError> {
        if self.shared.sessions_left.check().is_err() {
            self.end_sessions_of_gone().await;
            self.shared.sessions_left.check()?;
        }
        let query = sqlx::query(self.sql().nodes.forget.clone()).bind(owner.number());
        let forgotten = self.internal_pool().run(query).await;
        forgotten.map(|_done| ()).map_err(|error| self.error(error))
    }

    async fn wait_for_notification(&self) -> Result<(), StoreError> {
        self.shared.listener.wait_for_notification().await;
        Ok(())
    }

    fn is_notified(&self) -> bool {
        self.shared.listener.is_notified()
    }
}

impl PostgresStore {
    /// The answer to a query over the owners of rows, and whether it was asked for the forgotten
    /// ones too: each number that was in use may have left dead entries to walk over, so that they
    /// are looked for rarely where that takes long.
    async fn over_owners<'q>(
        &self,
        internal: &InternalPool,
        query: impl FnOnce(bool) -> Statement<'q>,
    ) -> (sqlx::Result<Vec<PgRow>>, bool) {
        let with_forgotten = self.shared.forgotten.is_due();
        let began = Instant::now();
        let rows = internal.rows(query(with_forgotten)).await;
        if with_forgotten {
            self.shared.forgotten.took(began.elapsed());
        }
        (rows, with_forgotten)
    }
}

fn pulse(answer: &[PgRow]) -> sqlx::Result<Pulse> {
    let (mut is_renewed, mut may_own, mut gone) = (false, false, Gone::default());
    for row in answer {
        match &*row.text(0)? {
            "renewed" => is_renewed = true,
            "owns" => may_own = true,
            "next" => gone.next_end = columns::span(row, 1)?,
            _gone => gone.owners.push(Owner::new(row.number(1)?)),
        }
    }
    Ok(Pulse { is_renewed, gone: Some(gone), may_own })
}
