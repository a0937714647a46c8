//! Nodes and their leases in PostgreSQL, in the database's time.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::runtime::Handle;

use super::PostgresStore;
use super::rows::{self, micros, storable};
use super::sql::statements;
use crate::store::{LiveNode, NodeLease, Nodes, Owner, StoreError, Subscription};

const JOIN: &str = "\
insert into {nodes} (name, lease_until, takes, sessions) values ($1, {now} + $2, $3, $4)
returning node";

const RENEW: &str = "\
update {nodes} set lease_until = {now} + $2 where node = $1 and lease_until > 0";

const ALIVE: &str = "select node, takes from {nodes} where lease_until > {now} order by node";

/// A node that stops in order ends its sessions itself.
const LEAVE: &str = "update {nodes} set lease_until = 0, sessions = null where node = $1";

const FORGET: &str = "\
delete from {nodes} where node = $1 and lease_until = 0
    and not exists (select from {incoming} where owner = $1 and owner > 0)
    and not exists (select from {outgoing} where owner = $1 and owner > 0)";

/// Where `$2`, also owners that were forgotten and wrote a row after that; found by stepping from
/// one owner to the next, so that the number of their rows does not matter.
const EXPIRED: &str = "\
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
), ended as (
    update {nodes} set lease_until = 0
    where lease_until > 0 and lease_until <= {now} and node <> $1
    returning node
)
select node from ended
union
select node from {nodes} where lease_until = 0
union
select owner from (select owner from receiving union select owner from sending) owners
where owner is not null and not exists (select from {nodes} where node = owner)";

statements!(NodesSql {
    join: JOIN,
    renew: RENEW,
    alive: ALIVE,
    leave: LEAVE,
    forget: FORGET,
    expired: EXPIRED,
});

impl Nodes for PostgresStore {
    fn join(
        &self,
        name: &str,
        lease: Duration,
        takes: &[Subscription],
    ) -> BoxFuture<'_, Result<NodeLease, StoreError>> {
        self.desk().frontier.takes(takes);
        let query = sqlx::query(self.sql().nodes.join.clone())
            .bind(storable(name).into_owned())
            .bind(micros(lease))
            .bind(Subscription::to_lines(takes))
            .bind(self.desk().mark.word().to_owned());
        Box::pin(async move {
            let node = self.node_desk().row(query).await;
            let node = node.and_then(|row| row.try_get(0)).map_err(|error| self.error(error))?;
            self.desk().limits.follow(lease);
            Ok(NodeLease { owner: Owner::new(node), lease })
        })
    }

    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.renew.clone())
                .bind(owner.number())
                .bind(micros(lease));
            let desk = self.node_desk();
            // A connection is served by the runtime in which it was opened, which may be blocked.
            let renewed = match Handle::current().id() == self.shared.home {
                true => desk.run(query).await,
                false => desk.run_elsewhere(query).await,
            };
            renewed.map(|renewed| renewed > 0).map_err(|error| self.error(error))
        })
    }

    fn expired(&self, asks: Option<Owner>) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>> {
        Box::pin(async move {
            // Each number that was in use here may have left dead entries to walk over.
            let with_forgotten = self.shared.forgotten.is_due();
            let query = sqlx::query(self.sql().nodes.expired.clone())
                .bind(asks.map_or(0, Owner::number))
                .bind(with_forgotten);
            let began = Instant::now();
            let rows = self.desk().rows(query).await;
            if with_forgotten {
                self.shared.forgotten.took(began.elapsed());
            }
            let gone = rows::read(rows, self.place(), |row| row.try_get(0).map(Owner::new))?;
            if !gone.is_empty() {
                self.end_sessions_of_gone().await;
            }
            Ok(gone)
        })
    }

    fn alive(&self) -> BoxFuture<'_, Result<Vec<LiveNode>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.alive.clone());
            rows::read(self.desk().rows(query).await, self.place(), live_node)
        })
    }

    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.leave.clone()).bind(owner.number());
            let left = self.desk().run(query).await;
            left.map(|_done| ()).map_err(|error| self.error(error))
        })
    }

    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.forget.clone()).bind(owner.number());
            let forgotten = self.desk().run(query).await;
            forgotten.map(|_done| ()).map_err(|error| self.error(error))
        })
    }

    fn heard(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.shared.listener.heard().await;
            Ok(())
        })
    }
}

fn live_node(row: &PgRow) -> sqlx::Result<LiveNode> {
    let takes: &str = row.try_get(1)?;
    Ok(LiveNode { owner: Owner::new(row.try_get(0)?), takes: Subscription::from_lines(takes) })
}
