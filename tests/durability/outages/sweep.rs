//! Recovery that sweeps all the time, beside a node that receives.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jasper::SendError;
use jasper::prelude::*;
use jasper::store::MessageStore;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, query, query_as, query_scalar, raw_sql};
use tests::servers::Server;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::from_env;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.receive")]
struct Receive {
    id: i64,
}

#[handler(concurrency = 16)]
#[durable]
async fn receive(cmd: Receive, db: &mut PgConnection) -> sqlx::Result<()> {
    query("insert into received values ($1)").bind(cmd.id).execute(db).await.map(drop)
}

/// A store that is busy may be too slow for so short a lease. The key makes it one message in any
/// case.
async fn send(bus: &Bus, id: i64) {
    while let Err(error) = bus.send(Receive { id }).deduplicate(format!("swept {id}")).await {
        assert!(matches!(&error, SendError::Store(error) if error.is_transient()), "{error}");
    }
}

/// What a node does to recover the work of others, with no pause to speak of. Says how often.
async fn sweep(store: PostgresStore) -> u64 {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweeps = 0;
    loop {
        ticks.tick().await;
        let gone = store.nodes().expired(None).await.unwrap().owners;
        for owner in gone {
            store.inbox().release(owner, 1_000).await.unwrap();
            store.nodes().forget(owner).await.unwrap();
        }
        sweeps += 1;
        if store.pool().is_closed() {
            return sweeps;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweeping_every_millisecond_takes_nothing_from_a_node_that_lives() {
    let server = Server::postgres().await;
    let store = PostgresStore::connect(server.url()).await.unwrap();
    raw_sql("create table received (id bigint not null)").execute(store.pool()).await.unwrap();
    let app = Jasper::builder()
        .store(store.clone())
        .lease(Duration::from_secs(1))
        .handler(receive)
        .start()
        .await
        .unwrap();
    let sweeper = PostgresStore::connect(server.url()).await.unwrap();
    let sweeping = tokio::spawn(sweep(sweeper.clone()));
    let messages: i64 = from_env("JASPER_SWEPT", 10_000);
    let started = Instant::now();
    for page in 0..messages / 100 {
        let ids = page * 100..(page + 1) * 100;
        join_all(ids.map(|id| send(app.bus(), id))).await;
    }
    let idle = timeout(Duration::from_secs(600), app.until_idle()).await;
    idle.expect("it becomes idle").unwrap();
    let took = started.elapsed();
    sweeper.pool().close().await;
    let sweeps = sweeping.await.unwrap();
    let double = "select id, count(*) from received group by id having count(*) > 1";
    let double: Vec<(i64, i64)> = query_as(double).fetch_all(store.pool()).await.unwrap();
    let all: i64 = query_scalar("select count(distinct id) from received")
        .fetch_one(store.pool())
        .await
        .unwrap();
    println!("{messages} messages in {took:?}, {sweeps} sweeps, {} double", double.len());
    assert_eq!(double, []);
    assert_eq!(all, messages);
    assert!(sweeps > 0);
    app.stop().await.unwrap();
}
