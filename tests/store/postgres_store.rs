//! What is only PostgreSQL's: schemas, word of new rows, and connections that are lost.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::postgres::PostgresStore;
use jasper::store::{
    ClaimRequest, Counts, DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, Incoming,
    Inserted, MessageStore, Owner, Placement, Pulse, StoreError,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::proxy::Proxy;
use tests::servers::postgres_url;

use postgres_schema::Schema;

/// Long enough for a server that has much to do, short enough to fail.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_schema_that_is_no_name_is_refused() {
    for schema in ["", "1", "a b", "a\"; drop schema public; --", &"a".repeat(49)] {
        let refused = PostgresStore::builder().schema(schema).connect(&postgres_url()).await;
        assert!(matches!(refused, Err(StoreError::BadName { .. })), "{schema}");
    }
}

#[tokio::test]
async fn a_password_is_never_shown() {
    let url = "postgres://me:secret@127.0.0.1:1/shop";
    let error = PostgresStore::connect(url).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreachable { place, .. } if place == "127.0.0.1:1/shop"));
    let refused = PostgresStore::connect("postgres://me:secret@host:port/shop").await.unwrap_err();
    assert!(matches!(refused, StoreError::Unsuitable { .. }), "{refused:?}");
    let (store, _schema) = Schema::open().await;
    for shown in [format!("{error} {error:?}"), format!("{refused}"), format!("{store:?}")] {
        assert!(!shown.contains("secret") && !shown.contains("postgres@"), "{shown}");
    }
}

#[tokio::test]
async fn two_schemas_in_one_database_do_not_meet() {
    let (first, _schema) = Schema::open().await;
    let (second, _schema) = Schema::open().await;
    assert_eq!(first.inbox().store(vec![unowned()]).await.unwrap(), [Inserted::New]);
    assert_eq!(first.admin().counts().await.unwrap().incoming, 1);
    assert_eq!(second.admin().counts().await.unwrap(), Counts::default());
}

#[tokio::test]
async fn several_processes_prepare_at_once() {
    let schema = Schema::new();
    let stores = join_all((0..8).map(|_| schema.connect())).await;
    let prepared = join_all(stores.iter().map(|store| store.admin().prepare())).await;
    for prepared in prepared {
        prepared.unwrap();
    }
    assert_eq!(stores[0].inbox().store(vec![unowned()]).await.unwrap(), [Inserted::New]);
}

#[tokio::test]
async fn a_newer_schema_that_breaks_older_builds_is_refused() {
    let (store, _schema) = Schema::open().await;
    let newer = "update jasper_migrations set version = 9999 where version = 2;
        update jasper_schema set usable_from = 9999";
    sqlx::raw_sql(newer).execute(store.pool()).await.unwrap();
    let refused = store.admin().prepare().await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 9999, .. })), "{refused:?}");
}

#[tokio::test]
async fn handlers_may_run_on_a_pool_that_is_there_already() {
    let pool = PgPoolOptions::new().max_connections(1).connect(&postgres_url()).await.unwrap();
    let schema = Schema::new();
    let store = PostgresStore::builder().schema(&schema.name).of_pool(pool.clone()).await.unwrap();
    store.admin().prepare().await.unwrap();
    // The store has connections of its own for what it does beside handlers.
    let _held = pool.acquire().await.unwrap();
    assert_eq!(store.inbox().store(vec![unowned()]).await.unwrap(), [Inserted::New]);
    let node = store.nodes().join("node", PATIENCE, &[]).await.unwrap();
    assert!(store.nodes().renew(node.owner, PATIENCE).await.unwrap());
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_stored_all_the_same() {
    let (store, _schema) = Schema::open().await;
    let mut row = unowned();
    row.envelope.correlation_id = Some("a\0b".to_owned());
    let sent = row.envelope.clone();
    assert_eq!(store.inbox().store(vec![row]).await.unwrap(), [Inserted::New]);
    let found = store.inbox().claimable(Default::default()).await.unwrap();
    let request = jasper::store::ClaimRequest {
        owner: Owner::new(1),
        subscriptions: found.now,
        limit: 1,
        count_attempt: true,
    };
    let claimed = store.inbox().claim(request).await.unwrap().remove(0);
    assert_eq!(claimed.envelope.unwrap().correlation_id, sent.correlation_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_comes_when_a_transaction_of_the_users_own_commits() {
    let (store, _schema) = Schema::open().await;
    hear_the_first(&store).await;
    let mut transaction = store.pool().begin().await.unwrap();
    let connection: &mut sqlx::PgConnection = &mut transaction;
    store.inbox().store_within(connection, vec![unowned()]).await.unwrap();
    assert!(!is_notified_soon(&store).await, "nothing is committed");
    transaction.commit().await.unwrap();
    wait_for_notification(&store).await;
    assert!(!is_notified_soon(&store).await, "word is given once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_is_given_of_what_others_may_claim_and_of_nothing_else() {
    let (store, schema) = Schema::open().await;
    let other = schema.connect().await;
    hear_the_first(&store).await;
    let owned = |owner| Incoming { placement: Placement::Owned(owner), ..unowned() };
    let owner = other.nodes().join("other", PATIENCE, &[]).await.unwrap().owner;
    other.inbox().store(vec![owned(owner)]).await.unwrap();
    assert!(!is_notified_soon(&store).await, "an owned row is nobody else's");
    other.inbox().store(vec![unowned()]).await.unwrap();
    wait_for_notification(&store).await;
    assert_eq!(other.inbox().release(owner, 10).await.unwrap(), 1);
    wait_for_notification(&store).await;
    assert_eq!(other.inbox().release(owner, 10).await.unwrap(), 0);
    assert!(!is_notified_soon(&store).await, "nothing was released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_comes_once_a_connection_that_was_lost_is_back() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (_direct, schema) = Schema::open().await;
    let store = schema.connect_to(&proxy.url(&postgres_url())).await;
    hear_the_first(&store).await;
    proxy.cut_all();
    wait_for_notification(&store).await;
    while is_notified_soon(&store).await {}
    store_at_last(&store).await;
    wait_for_notification(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_connections_are_cut_goes_on() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (direct, schema) = Schema::open().await;
    let store = schema.connect_to(&proxy.url(&postgres_url())).await;
    for round in 1..4 {
        store_at_last(&store).await;
        proxy.cut_all();
        assert!(direct.admin().counts().await.unwrap().incoming >= round);
    }
    store_at_last(&store).await;
    let node = store.nodes().join("node", PATIENCE, &[]).await;
    if let Err(error) = node {
        assert!(error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn a_claim_that_is_never_answered_is_given_up() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (_direct, schema) = Schema::open().await;
    let store = schema.connect_to(&proxy.url(&postgres_url())).await;
    let claim = || {
        let owner = Owner::new(1);
        store.inbox().claim(ClaimRequest {
            owner,
            subscriptions: Vec::new(),
            limit: 1,
            count_attempt: true,
        })
    };
    claim().await.unwrap();
    // Real time: the connection goes back to its pool in a task that cannot be waited for.
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.pause();
    tokio::time::pause();
    let given_up = tokio::time::timeout(Duration::from_secs(600), claim()).await;
    assert!(given_up.unwrap().unwrap_err().is_transient());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_store_the_same_in_opposite_order_wait_for_one_another_and_go_on() {
    let (one, schema) = Schema::open().await;
    let other = schema.connect().await;
    for _ in 0..5 {
        let rows: Vec<_> = (0..1000).map(|_| unowned()).collect();
        let backwards = rows.iter().rev().cloned().collect();
        let both = tokio::join!(one.inbox().store(rows), other.inbox().store(backwards));
        let stored = [both.0.unwrap(), both.1.unwrap()].concat();
        assert_eq!(stored.iter().filter(|stored| **stored == Inserted::New).count(), 1000);
    }
}

/// Stores a row, again where the store says that this may help.
async fn store_at_last(store: &PostgresStore) {
    loop {
        match store.inbox().store(vec![unowned()]).await {
            Ok(stored) => return assert_eq!(stored, [Inserted::New]),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

/// The first notification says that the listener is there.
async fn hear_the_first(store: &PostgresStore) {
    wait_for_notification(store).await;
}

async fn wait_for_notification(store: &PostgresStore) {
    let heard = tokio::time::timeout(PATIENCE, store.nodes().wait_for_notification()).await;
    heard.expect("word comes").unwrap();
}

async fn is_notified_soon(store: &PostgresStore) -> bool {
    // Real time: that nothing comes can only be seen by waiting.
    tokio::time::timeout(Duration::from_millis(200), store.nodes().wait_for_notification())
        .await
        .is_ok()
}

fn unowned() -> Incoming {
    Incoming {
        envelope: Envelope::new(
            MessageType::new("store.message", 1),
            "application/json",
            Bytes::from_static(b"{}"),
            Address::local("store", "handler"),
        ),
        placement: Placement::Unowned,
        retention: None,
    }
}

/// Each may end the lease of the other before that is renewed, and then ends its sessions too.
#[tokio::test]
async fn nodes_that_resume_together_do_not_wait_for_each_other() {
    let (_store, schema) = Schema::open().await;
    let mut other = PgConnection::connect(&postgres_url()).await.unwrap();
    for _ in 0..10 {
        let stores = [schema.connect().await, schema.connect().await];
        let mut owners = Vec::new();
        for store in &stores {
            let lease = store.nodes().join("test", Duration::from_micros(1), &[]).await.unwrap();
            owners.push(lease.owner);
        }
        let mut transaction = other.begin().await.unwrap();
        let lock = format!("select from {}.jasper_nodes for update", schema.name);
        sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.unwrap();
        let pulse = |at: usize| stores[at].nodes().pulse(owners[at], PATIENCE);
        let together = async {
            wait_for_waiting(&schema.name, 2).await;
            transaction.commit().await.unwrap();
        };
        let (first, second, ()) = futures_util::join!(pulse(0), pulse(1), together);
        let pulses = [first, second];
        assert!(!format!("{pulses:?}").contains("deadlock"), "{pulses:?}");
        let is_renewed = |pulse: &Result<Pulse, _>| pulse.as_ref().is_ok_and(|p| p.is_renewed);
        assert!(pulses.iter().any(is_renewed), "{pulses:?}");
        let end = format!("update {}.jasper_nodes set lease_until = 0", schema.name);
        sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut other).await.unwrap();
    }
}

#[tokio::test]
async fn a_row_that_is_locked_does_not_keep_the_leases_of_others_from_ending() {
    let (store, schema) = Schema::open().await;
    let mut gone = Vec::new();
    for _ in 0..3 {
        let node = schema.connect().await;
        let lease = node.nodes().join("gone", Duration::from_micros(1), &[]).await.unwrap();
        gone.push(lease.owner);
    }
    let own = store.nodes().join("own", PATIENCE, &[]).await.unwrap().owner;
    let mut other = PgConnection::connect(&postgres_url()).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    let lock = format!("select from {}.jasper_nodes where node = $1 for update", schema.name);
    let lock = sqlx::query(AssertSqlSafe(lock)).bind(gone[1].number());
    lock.execute(&mut *transaction).await.unwrap();
    let sorted = |mut owners: Vec<Owner>| {
        owners.sort_unstable();
        owners
    };
    let look = || async { store.nodes().expired(Some(own)).await.unwrap() };
    let found = look().await;
    assert_eq!(sorted(found.owners), [gone[0], gone[2]]);
    assert_eq!(found.next_end, Some(Duration::ZERO), "the lease that is over is not forgotten");
    let pulse = store.nodes().pulse(own, PATIENCE).await.unwrap();
    assert!(pulse.is_renewed);
    assert_eq!(pulse.gone.map(|gone| sorted(gone.owners)), Some(vec![gone[0], gone[2]]));
    transaction.rollback().await.unwrap();
    let found = look().await;
    assert_eq!((sorted(found.owners), found.next_end), (gone, None));
}

/// Stores `count` letters, each with a payload of `bytes` bytes.
async fn store_letters(store: &PostgresStore, count: usize, bytes: usize) -> Vec<DeadLetterId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let Incoming { mut envelope, .. } = unowned();
        envelope.payload = vec![b' '; bytes].into();
        let id = DeadLetterId { id: envelope.id, destination: envelope.destination.clone() };
        ids.push(id.clone());
        let letter = DeadLetter {
            id,
            reason: DeadLetterReason::Terminal,
            message_type: envelope.message_type.to_string(),
            error_type: String::new(),
            error_message: String::new(),
            attempts: 1,
            body: envelope.to_bytes(),
            dead_lettered_at: SystemTime::UNIX_EPOCH,
        };
        store.dead_letters().store(letter).await.unwrap();
    }
    ids
}

/// Each letter takes some time, so that calls meet each other in the middle.
const SLOW: &str = "\
create function linger() returns trigger language plpgsql as $$ begin
    perform pg_sleep(0.005);
    return old;
end $$;
create trigger linger before delete on jasper_dead_letters
    for each row execute function linger();
analyze jasper_dead_letters;";

#[tokio::test]
async fn calls_for_the_same_letters_in_different_orders_wait_for_each_other_in_no_circle() {
    let (store, _schema) = Schema::open().await;
    let ids = store_letters(&store, 600, 10).await;
    sqlx::raw_sql(SLOW).execute(store.pool()).await.unwrap();
    let some: Vec<_> = ids.into_iter().step_by(30).collect();
    let turned: Vec<_> = some.iter().rev().cloned().collect();
    let letters = store.dead_letters();
    let (one, other, third) = tokio::join!(
        letters.replay(some.clone()),
        letters.discard(turned.clone()),
        letters.replay(turned),
    );
    assert_eq!(one.unwrap() + other.unwrap() + third.unwrap(), some.len() as u64);
}

/// Notes how many bytes of letters each statement takes away.
const NOTE_BYTES: &str = "\
create table moved (bytes bigint);
create function note_moved() returns trigger language plpgsql as $$ begin
    insert into moved select sum(octet_length(body)) from gone having count(*) > 0;
    return null;
end $$;
create trigger note_moved after delete on jasper_dead_letters
    referencing old table as gone for each statement execute function note_moved();";

#[tokio::test]
async fn letters_are_replayed_in_portions_of_bytes() {
    const LARGE: usize = 3 << 20;
    let (store, _schema) = Schema::open().await;
    sqlx::raw_sql(NOTE_BYTES).execute(store.pool()).await.unwrap();
    store_letters(&store, 7, LARGE).await;
    let mut ids = Vec::new();
    loop {
        let after = ids.last().cloned();
        let query = DeadLetterQuery { after, ..DeadLetterQuery::default() };
        let page = store.dead_letters().list(query).await.unwrap();
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(DeadLetter::place));
    }
    let ids = ids.into_iter().map(|place| place.id).collect();
    assert_eq!(store.dead_letters().replay(ids).await.unwrap(), 7);
    let moved: Vec<i64> =
        sqlx::query_scalar("select bytes from moved").fetch_all(store.pool()).await.unwrap();
    assert_eq!(moved.len(), 3, "{moved:?}");
    assert!(moved.iter().all(|bytes| *bytes <= 12 << 20), "{moved:?}");
}

/// Waits until that number of sessions is blocked by a lock on the nodes of a schema.
async fn wait_for_waiting(schema: &str, sessions: i64) {
    let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
    let waiting = "select count(*) from pg_stat_activity \
                   where wait_event_type = 'Lock' and query like '%' || $1 || '%jasper_nodes%'";
    loop {
        let waiting = sqlx::query_scalar::<_, i64>(waiting).bind(schema);
        if waiting.fetch_one(&mut connection).await.unwrap() >= sessions {
            return;
        }
        tokio::task::yield_now().await;
    }
}
