//! Schema and housekeeping in MySQL.

use std::time::Duration;

use sqlx::MySqlConnection;
use sqlx::mysql::MySqlConnectOptions;

use super::internal_pool::Work;
use super::migrate::{self, Target};
use super::server::LONGEST;
use super::sql::{Sql, statements, unprepared};
use super::store::MysqlStore;
use super::sweep::Sweep;
use crate::store::sql::columns;
use crate::store::sql::ports::admin::SqlAdmin;
use crate::store::{Counts, MigrationScript, StoreError};

/// Each count walks an index that holds no bodies.
const COUNTS: &str = "\
select
    (select count(*) from {incoming} where owner = 0 and status = 'incoming')
        + (select count(*) from {incoming} where owner > 0)
        + (select count(*) from {incoming}
            where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = ''
                and turn <= {now}),
    (select count(*) from {incoming}
        where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = ''
            and turn > {now}),
    (select count(*) from {incoming} where owner = 0 and status = 'handled'),
    (select count(*) from {outgoing}),
    (select count(*) from {dead_letters})";

/// Handled rows whose time of keeping is over.
const FIND_OVER: &str = "\
select id, destination from {incoming} force index (turns)
where owner = 0 and status = 'handled' and waits_at = '' and waits_as = '' and turn <= {now}
order by turn limit ? for update skip locked";

const CLEAR_INCOMING: &str = "delete from {incoming}";
const CLEAR_OUTGOING: &str = "delete from {outgoing}";
const CLEAR_DEAD_LETTERS: &str = "delete from {dead_letters}";

statements!(AdminSql {
    counts: COUNTS,
    find_over: FIND_OVER,
    clear_incoming: CLEAR_INCOMING,
    clear_outgoing: CLEAR_OUTGOING,
    clear_dead_letters: CLEAR_DEAD_LETTERS,
});

impl SqlAdmin for MysqlStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        let options = self.internal_pool().pool.server().credentials.current();
        migrate::upgrade(self.target(&options)).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.internal_pool().give(Count).await
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        self.internal_pool().give(Sweep::purge(limit)).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let sql = &self.sql().admin;
        let deletes = [&sql.clear_incoming, &sql.clear_outgoing, &sql.clear_dead_letters];
        let options = self.internal_pool().pool.server().credentials.current();
        migrate::empty(self.target(&options), &deletes).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let options = self.internal_pool().pool.server().credentials.current();
        migrate::check(self.target(&options)).await
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        let options = self.internal_pool().pool.server().credentials.current();
        migrate::rebuild(self.target(&options)).await
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        migrate::scripts(&self.shared.connections.names)
    }
}

impl MysqlStore {
    fn target<'s>(&'s self, options: &'s MySqlConnectOptions) -> Target<'s> {
        Target { options, names: &self.shared.connections.names, place: self.place() }
    }
}

struct Count;

impl Work for Count {
    type Output = Counts;
    const REPEATS: bool = true;

    fn limit(&self, _usual: Duration) -> Duration {
        LONGEST
    }

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Counts> {
        let row = unprepared(&sql.admin.counts).fetch_one(connection).await?;
        columns::counts(&row)
    }
}
