//! Nodes and their leases in PostgreSQL, in the database's time.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::PostgresStore;
use super::rows::{self, micros, storable};
use super::sql::statements;
use crate::store::{LiveNode, NodeLease, Nodes, Owner, StoreError, Subscription};

const JOIN: &str = "\
insert into {nodes} (name, lease_until, takes) values ($1, {now} + $2, $3) returning node";

const RENEW: &str = "\
update {nodes} set lease_until = {now} + $2 where node = $1 and lease_until > 0";

const ALIVE: &str = "select node, takes from {nodes} where lease_until > {now} order by node";

const LEAVE: &str = "update {nodes} set lease_until = 0 where node = $1";

const FORGET: &str = "\
delete from {nodes} where node = $1 and lease_until = 0
    and not exists (select from {incoming} where owner = $1 and owner > 0)
    and not exists (select from {outgoing} where owner = $1 and owner > 0)";

/// Also owners that were forgotten and wrote a row after that; found by stepping from one owner to
/// the next, so that the number of their rows does not matter.
const EXPIRED: &str = "\
with recursive
receiving (owner) as (
    (select owner from {incoming} where owner > 0 order by owner limit 1)
    union all
    select (
        select owner from {incoming} where owner > 0 and owner > receiving.owner
        order by owner limit 1
    )
    from receiving where receiving.owner is not null
),
sending (owner) as (
    (select owner from {outgoing} where owner > 0 order by owner limit 1)
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
        let query = sqlx::query_scalar(self.sql().nodes.join.clone())
            .bind(storable(name).into_owned())
            .bind(micros(lease))
            .bind(Subscription::to_lines(takes));
        Box::pin(async move {
            let node = query.fetch_one(&self.shared.nodes).await;
            let node = node.map_err(|error| self.error(error))?;
            Ok(NodeLease { owner: Owner::new(node), lease })
        })
    }

    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.renew.clone())
                .bind(owner.number())
                .bind(micros(lease));
            let renewed = query.execute(&self.shared.nodes).await;
            renewed.map(|done| done.rows_affected() > 0).map_err(|error| self.error(error))
        })
    }

    fn expired(&self, asks: Option<Owner>) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query_scalar(self.sql().nodes.expired.clone())
                .bind(asks.map_or(0, Owner::number));
            let gone = query.fetch_all(&self.desk().pool).await;
            gone.map(|gone| gone.into_iter().map(Owner::new).collect())
                .map_err(|error| self.error(error))
        })
    }

    fn alive(&self) -> BoxFuture<'_, Result<Vec<LiveNode>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.alive.clone());
            rows::read(query.fetch_all(&self.desk().pool).await, self.place(), live_node)
        })
    }

    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.leave.clone()).bind(owner.number());
            let left = query.execute(&self.desk().pool).await;
            left.map(|_done| ()).map_err(|error| self.error(error))
        })
    }

    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().nodes.forget.clone()).bind(owner.number());
            let forgotten = query.execute(&self.desk().pool).await;
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
