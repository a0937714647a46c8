//! What only the MySQL store has: prefixes, sessions, what its tables cannot hold, and the answers
//! of statements that many callers share.

#[path = "../mariadb_database.rs"]
mod mariadb_database;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use jasper::envelope::{Address, Envelope, MessageId};
use jasper::message::MessageType;
use jasper::store::mysql::MysqlStore;
use jasper::store::{
    ClaimRequest, Completion, Incoming, Inserted, MessageStore, Outgoing, Owner, Ownership,
    Placement, Settled, Settlement, StoreError, StoreTransaction, Subscription, TransactionOptions,
};
use mariadb_database::Database;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};
use tests::Seed;
use tests::servers::mariadb_url;

const LONG: Duration = Duration::from_secs(3600);

/// Nothing listens there.
const NOWHERE: &str = "mysql://me:secret@127.0.0.1:1/shop";

async fn prepared(database: &Database) -> MysqlStore {
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    store
}

fn envelope() -> Envelope {
    to(Address::local("queue", "handler"))
}

fn to(destination: Address) -> Envelope {
    Envelope::new(MessageType::new("mysql.message", 1), "text/plain", "hello".into(), destination)
}

fn holding(bytes: usize) -> Envelope {
    let mut envelope = envelope();
    envelope.payload = vec![7; bytes].into();
    envelope
}

fn tried_once() -> Envelope {
    let mut envelope = envelope();
    envelope.attempts = 1;
    envelope
}

fn unowned(envelope: Envelope) -> Incoming {
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

fn owned(envelope: Envelope, owner: Owner) -> Incoming {
    Incoming { envelope, placement: Placement::Owned(owner), retention: None }
}

async fn execute(pool: &MySqlPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

async fn count(pool: &MySqlPool, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// The connection of a handler.
fn connection(transaction: &mut Box<dyn StoreTransaction>) -> &mut MySqlConnection {
    transaction.connection().unwrap().downcast_mut().unwrap()
}

// ---- Where it is, and what it is called ------------------------------------------------------

#[tokio::test]
async fn a_prefix_that_is_no_name_is_refused() {
    let long = "a".repeat(44);
    for prefix in ["1shop_", "shop-", "shop ", "shop`", "shöp_", &long] {
        let refused = MysqlStore::builder().prefix(prefix).connect(NOWHERE).await.unwrap_err();
        assert!(matches!(refused, StoreError::BadName { .. }), "{prefix}: {refused:?}");
    }
}

#[tokio::test]
async fn the_longest_prefix_makes_names_that_the_server_takes() {
    let database = Database::create().await;
    let prefix = "a".repeat(43);
    let store = MysqlStore::builder().prefix(prefix).connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    assert_eq!(store.inbox().store(vec![unowned(envelope())]).await.unwrap(), [Inserted::New]);
}

#[tokio::test]
async fn a_password_is_never_shown() {
    let error = MysqlStore::connect(NOWHERE).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1/shop"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");

    let wrong = mariadb_url().replace("root@", "root:secret@");
    let error = MysqlStore::connect(&format!("{wrong}mysql")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");

    let error = MysqlStore::connect("mysql://me:secret@host:port/shop").await.unwrap_err();
    assert!(matches!(error, StoreError::Unsuitable { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");

    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("127.0.0.1") && !shown.contains("root"), "{shown}");
}

#[tokio::test]
async fn a_database_has_to_be_named() {
    let error = MysqlStore::connect(&mariadb_url()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    let error = MysqlStore::connect(&format!("{}nowhere", mariadb_url())).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn two_prefixes_in_one_database_do_not_meet() {
    let database = Database::create().await;
    let mut stores = Vec::new();
    for prefix in ["", "shop_", "Shop_2_"] {
        let store = MysqlStore::builder().prefix(prefix).connect(database.url()).await.unwrap();
        store.admin().prepare().await.unwrap();
        stores.push(store);
    }
    let row = unowned(envelope());
    for store in &stores {
        assert_eq!(store.inbox().store(vec![row.clone()]).await.unwrap(), [Inserted::New]);
        let claimed = claim(store, Owner::new(7), 10).await;
        assert_eq!(claimed.len(), 1);
        let settled = store.inbox().settle(vec![Settlement::Handled(claimed[0].clone())]).await;
        assert_eq!(settled.unwrap(), [Settled::Done]);
    }
    assert_eq!(stores[1].nodes().join("a", LONG, &[]).await.unwrap().owner, Owner::new(1));
    assert!(stores[2].nodes().alive().await.unwrap().is_empty());
}

async fn claim(store: &MysqlStore, owner: Owner, limit: usize) -> Vec<Ownership> {
    let subscription = Subscription {
        destination: envelope().destination,
        message_type: envelope().message_type.to_string(),
    };
    let request =
        ClaimRequest { owner, subscriptions: vec![subscription], limit, count_attempt: true };
    let claimed = store.inbox().claim(request).await.unwrap();
    claimed.into_iter().map(|row| row.ownership).collect()
}

// ---- The schema ------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_stores_prepare_at_once() {
    let database = Database::create().await;
    let stores = (0..8).map(|_| MysqlStore::connect(database.url()));
    let stores = try_join_all(stores).await.unwrap();
    try_join_all(stores.iter().map(|store| store.admin().prepare())).await.unwrap();
    assert_eq!(count(stores[0].pool(), "jasper_migrations").await, 3);
    for store in &stores {
        let stored = store.inbox().store(vec![unowned(envelope())]).await;
        assert_eq!(stored.unwrap(), [Inserted::New]);
    }
}

#[tokio::test]
async fn an_upgrade_that_crashed_half_way_is_finished() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    store.inbox().store(vec![unowned(envelope())]).await.unwrap();
    // Its last definitions and the note that it was done are missing.
    execute(store.pool(), "delete from jasper_migrations; drop table jasper_nodes").await;
    store.admin().prepare().await.unwrap();
    store.nodes().join("a", LONG, &[]).await.unwrap();
    assert_eq!(store.admin().counts().await.unwrap().incoming, 1);
}

#[tokio::test]
async fn a_newer_schema_that_breaks_older_builds_is_refused() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let newer = "insert into jasper_migrations values (4711, 0);
        update jasper_schema set usable_from = 4711";
    execute(store.pool(), newer).await;
    let error = store.admin().prepare().await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 4711, .. }), "{error:?}");
}

#[tokio::test]
async fn a_process_without_the_right_to_change_the_schema_can_work_with_it() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let user = format!("worker_{}", std::process::id());
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    execute(store.pool(), &format!("create user {user}")).await;
    let grant = format!("grant select, insert, update, delete on {name}.* to {user}");
    execute(store.pool(), &grant).await;
    let worker =
        MysqlStore::connect(&database.url().replace("root@", &format!("{user}@"))).await.unwrap();
    worker.admin().prepare().await.unwrap();
    assert_eq!(worker.inbox().store(vec![unowned(envelope())]).await.unwrap(), [Inserted::New]);
    execute(store.pool(), &format!("drop user {user}")).await;
}

// ---- What a table cannot hold ----------------------------------------------------------------

#[tokio::test]
async fn what_a_table_cannot_hold_is_refused_in_words() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let long = to(Address::local(&"q".repeat(250), "handler"));
    let blank = to("tcp://host:1/ ".parse().unwrap());
    let large = holding(20 << 20);
    for (refused, word) in
        [(long, "255 characters"), (blank, "a space"), (large, "max_allowed_packet")]
    {
        let error = store.inbox().store(vec![unowned(refused.clone())]).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.is_transient());
        let row = Outgoing { envelope: refused.clone(), owner: None };
        let error = store.outbox().store(vec![row]).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        // A handler that sends it is to blame, and not the store.
        let transaction = store.begin(TransactionOptions::of("sender")).await.unwrap();
        let completion = Completion { incoming: vec![unowned(refused)], ..Completion::default() };
        let error = transaction.commit(completion).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.blames_handler(), "{error}");
    }
    assert_eq!(store.admin().counts().await.unwrap(), Default::default());
}

#[tokio::test]
async fn the_longest_names_come_back() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    // Characters, not bytes.
    let longest: String = format!("local://{}", "ä".repeat(247));
    let envelope = to(longest.parse().unwrap());
    store.inbox().store(vec![unowned(envelope.clone())]).await.unwrap();
    let look = store.inbox().claimable(Default::default()).await.unwrap();
    assert_eq!(look.now.len(), 1);
    assert_eq!(look.now[0].destination, envelope.destination);
}

#[tokio::test]
async fn one_row_that_is_refused_spoils_no_other() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let calls = (0..20).map(|number| {
        let envelope = match number {
            13 => to(Address::local(&"q".repeat(250), "handler")),
            _ => envelope(),
        };
        store.inbox().store(vec![unowned(envelope)])
    });
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 19);
    assert_eq!(store.admin().counts().await.unwrap().incoming, 19);
}

#[tokio::test]
async fn rows_of_more_bytes_than_one_statement_takes_are_stored_together() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let rows = (0..60).map(|_| holding(400_000));
    let rows: Vec<Incoming> = rows.map(unowned).collect();
    let calls = rows.chunks(3).map(|rows| store.inbox().store(rows.to_vec()));
    let answers = try_join_all(calls).await.unwrap().concat();
    assert_eq!(answers, vec![Inserted::New; 60]);
}

// ---- A handler's transaction -----------------------------------------------------------------

/// What ends the transaction in which it is executed.
const ENDS: [&str; 5] = [
    "commit",
    "rollback",
    "start transaction",
    "create table if not exists made_by_a_handler (id int)",
    "commit; begin; savepoint another",
];

#[tokio::test]
async fn a_handler_that_ends_its_transaction_is_found_out() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    execute(store.pool(), "create table effects (number int)").await;
    let owner = store.nodes().join("a", LONG, &[]).await.unwrap().owner;
    for end in ENDS {
        execute(store.pool(), "truncate effects").await;
        let envelope = tried_once();
        let held = Ownership::of(&envelope, owner);
        store.inbox().store(vec![owned(envelope, owner)]).await.unwrap();
        let mut transaction = store.begin(TransactionOptions::of("ender")).await.unwrap();
        for sql in [end, "insert into effects values (1)"] {
            sqlx::raw_sql(sql).execute(connection(&mut transaction)).await.unwrap();
        }
        let incoming = vec![unowned(self::envelope())];
        let completion = Completion { handled: Some(held.clone()), incoming, outgoing: vec![] };
        let error = transaction.commit(completion).await.unwrap_err();
        assert!(matches!(error, StoreError::TransactionEnded), "{end}: {error:?}");
        assert_eq!(store.admin().counts().await.unwrap().incoming, 1, "{end}");
        let settled = store.inbox().settle(vec![Settlement::Handled(held)]).await.unwrap();
        assert_eq!(settled, [Settled::Done], "{end}: its message is as it was");
        assert_eq!(count(store.pool(), "effects").await, 0, "{end}: what came after is undone");
    }
}

#[tokio::test]
async fn a_transaction_within_a_handler_is_a_savepoint() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    execute(store.pool(), "create table effects (number int)").await;
    for _ in 0..3 {
        let mut transaction = store.begin(TransactionOptions::of("nested")).await.unwrap();
        let db = connection(&mut transaction);
        sqlx::query("insert into effects values (1)").execute(&mut *db).await.unwrap();
        let mut inner = db.begin().await.unwrap();
        sqlx::query("insert into effects values (2)").execute(&mut *inner).await.unwrap();
        inner.commit().await.unwrap();
        let mut inner = db.begin().await.unwrap();
        sqlx::query("insert into effects values (3)").execute(&mut *inner).await.unwrap();
        drop(inner);
        assert_eq!(count(store.pool(), "effects").await % 2, 0, "nothing of it is committed");
        transaction.commit(Completion::default()).await.unwrap();
    }
    let numbers = "select number from effects order by number";
    let numbers: Vec<i32> = sqlx::query_scalar(numbers).fetch_all(store.pool()).await.unwrap();
    assert_eq!(numbers, [1, 1, 1, 2, 2, 2]);
}

#[tokio::test]
async fn a_handler_that_uses_another_database_commits_in_the_right_one() {
    let (database, other) = (Database::create().await, Database::create().await);
    let (store, elsewhere) = (prepared(&database).await, prepared(&other).await);
    let mut transaction = store.begin(TransactionOptions::of("user")).await.unwrap();
    let name = other.url().rsplit('/').next().unwrap().to_owned();
    let use_it = AssertSqlSafe(format!("use {name}"));
    sqlx::raw_sql(use_it).execute(connection(&mut transaction)).await.unwrap();
    let completion = Completion { incoming: vec![unowned(envelope())], ..Completion::default() };
    transaction.commit(completion).await.unwrap();
    assert_eq!(store.admin().counts().await.unwrap().incoming, 1);
    assert_eq!(elsewhere.admin().counts().await.unwrap().incoming, 0);
}

#[tokio::test]
async fn handlers_read_what_is_committed_and_users_have_autocommit() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    execute(store.pool(), "create table effects (number int)").await;
    let mut transaction = store.begin(TransactionOptions::of("reader")).await.unwrap();
    let numbers = "select count(*) from effects";
    for number in 0..3 {
        let db = connection(&mut transaction);
        let seen: i64 = sqlx::query_scalar(numbers).fetch_one(&mut *db).await.unwrap();
        assert_eq!(seen, number);
        execute(store.pool(), "insert into effects values (1)").await;
    }
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn a_lease_is_renewed_while_handlers_hold_every_connection() {
    let database = Database::create().await;
    let store = MysqlStore::builder().connections(2).connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    let owner = store.nodes().join("a", LONG, &[]).await.unwrap().owner;
    let _first = store.begin(TransactionOptions::of("first")).await.unwrap();
    let _second = store.begin(TransactionOptions::of("second")).await.unwrap();
    assert!(store.nodes().renew(owner, LONG).await.unwrap());
    let error = store.begin(TransactionOptions::of("third")).await.map(|_begun| ()).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn a_row_that_is_locked_keeps_no_other_from_being_released() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let gone = Owner::new(9);
    let envelopes: Vec<Envelope> = (0..5).map(|_| tried_once()).collect();
    let rows = envelopes.iter().map(|envelope| owned(envelope.clone(), gone)).collect();
    store.inbox().store(rows).await.unwrap();
    // A process that hangs right before its commit.
    let mut hanging = MySqlConnection::connect(database.url()).await.unwrap();
    let mut hanging = hanging.begin().await.unwrap();
    sqlx::query("delete from jasper_incoming where id = ?")
        .bind(envelopes[2].id.as_uuid())
        .execute(&mut *hanging)
        .await
        .unwrap();
    assert_eq!(store.inbox().release(gone, 10).await.unwrap(), 4);
    assert_eq!(claim(&store, Owner::new(10), 10).await.len(), 4);
    hanging.rollback().await.unwrap();
    assert_eq!(store.inbox().release(gone, 10).await.unwrap(), 1);
}

// ---- Statements that many callers share ------------------------------------------------------

/// Two processes store and handle rows of a few keys at once. Of each key every second answer is
/// one that the other side gave first: it is stored as often as it was handled, or once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_is_new_as_often_as_there_was_none() {
    let database = Database::create().await;
    let stores = [prepared(&database).await, prepared(&database).await];
    let owner = stores[0].nodes().join("a", LONG, &[]).await.unwrap().owner;
    let seed = Seed::from_env();
    println!("{seed}");
    let keys: Vec<Envelope> = (0..40).map(|_| tried_once()).collect();
    let workers = (0..12).map(|worker| {
        let (store, keys) = (stores[worker % 2].clone(), keys.clone());
        let mut seed = seed.clone();
        // Each worker goes its own way, the same for the same seed.
        (0..worker).for_each(|_| _ = seed.number());
        tokio::spawn(async move { store_and_handle(&store, owner, &keys, &mut seed).await })
    });
    let mut balance: HashMap<MessageId, i64> = HashMap::new();
    for worker in workers.collect::<Vec<_>>() {
        for (id, change) in worker.await.unwrap() {
            *balance.entry(id).or_default() += change;
        }
    }
    let left = stores[0].inbox().owned(owner, 1000).await.unwrap();
    for key in &keys {
        let there = left.iter().filter(|row| row.id == key.id).count();
        let balance = balance.get(&key.id).copied().unwrap_or_default();
        assert_eq!(i64::try_from(there).unwrap(), balance, "{seed}: {}", key.id);
    }
}

/// A row of as many bytes as one statement has, then one that another transaction holds. Held rows
/// are not known to be so: their ids look new.
async fn large_and_held(database: &Database) -> (MysqlStore, [Incoming; 2], MySqlConnection) {
    let store = prepared(database).await;
    // A short lease: what is waited for ends soon.
    store.nodes().join("a", Duration::from_secs(4), &[]).await.unwrap();
    let large = unowned(holding(1 << 20));
    let held = unowned(envelope());
    let mut other = MySqlConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql("start transaction").execute(&mut other).await.unwrap();
    let stored = store.inbox().store_within(&mut other, vec![held.clone()]).await.unwrap();
    assert_eq!(stored, [Inserted::New]);
    (store, [large, held], other)
}

#[tokio::test]
async fn a_row_that_was_stored_before_another_caller_met_a_lock_is_new() {
    let database = Database::create().await;
    let (store, [large, held], other) = large_and_held(&database).await;
    let large = store.inbox().store(vec![large]);
    let (large, held) = tokio::join!(large, store.inbox().store(vec![held]));
    assert_eq!(large.unwrap(), [Inserted::New]);
    assert!(matches!(held, Err(StoreError::Busy { .. })), "{held:?}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_call_that_fails_has_stored_none_of_its_rows() {
    let database = Database::create().await;
    let (store, rows, other) = large_and_held(&database).await;
    let failed = store.inbox().store(rows.to_vec()).await;
    assert!(matches!(failed, Err(StoreError::Busy { .. })), "{failed:?}");
    assert_eq!(count(store.pool(), "jasper_incoming").await, 0);
    other.close().await.unwrap();
    assert_eq!(store.inbox().store(rows.to_vec()).await.unwrap(), [Inserted::New, Inserted::New]);
}

#[tokio::test]
async fn a_call_of_outgoing_rows_that_fails_has_stored_none() {
    let database = Database::create().await;
    let (store, [large, held], mut other) = large_and_held(&database).await;
    let rows = [large, held].map(|row| Outgoing { envelope: row.envelope, owner: None });
    let held = vec![rows[1].clone()];
    assert_eq!(store.outbox().store_within(&mut other, held).await.unwrap(), [Inserted::New]);
    let failed = store.outbox().store(rows.to_vec()).await;
    assert!(matches!(failed, Err(StoreError::Busy { .. })), "{failed:?}");
    assert_eq!(count(store.pool(), "jasper_outgoing").await, 0);
    other.close().await.unwrap();
}

/// What one worker added to each key: rows that were new, less those that it handled.
async fn store_and_handle(
    store: &MysqlStore,
    owner: Owner,
    keys: &[Envelope],
    seed: &mut Seed,
) -> Vec<(MessageId, i64)> {
    let mut changes = Vec::new();
    for _ in 0..25 {
        let length = 1 + seed.number() % 12;
        let chosen: Vec<&Envelope> =
            (0..length).map(|_| &keys[(seed.number() % keys.len() as u64) as usize]).collect();
        let rows = chosen.iter().map(|&envelope| owned(envelope.clone(), owner)).collect();
        let stored = store.inbox().store(rows).await.unwrap();
        let mut seen = Vec::new();
        let mut handled = Vec::new();
        for (envelope, stored) in chosen.into_iter().zip(stored) {
            let is_first = !seen.contains(&envelope.id);
            seen.push(envelope.id);
            if stored == Inserted::New {
                assert!(is_first, "a key that stands twice is new once, the first time");
                changes.push((envelope.id, 1));
            }
            if seed.number().is_multiple_of(2) {
                handled.push(Ownership::of(envelope, owner));
            }
        }
        let settlements = handled.iter().cloned().map(Settlement::Handled).collect();
        let settled = store.inbox().settle(settlements).await.unwrap();
        for (row, settled) in handled.into_iter().zip(settled) {
            changes.push((row.id, -i64::from(settled == Settled::Done)));
        }
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repeat_waits_for_the_one_that_is_not_committed_yet() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    for commits in [true, false] {
        let row = unowned(envelope());
        let mut transaction = store.pool().begin().await.unwrap();
        let within = store.inbox().store_within(&mut *transaction, vec![row.clone()]).await;
        assert_eq!(within.unwrap(), [Inserted::New]);
        let others = vec![unowned(envelope()), row, unowned(envelope())];
        let (inbox, waiting) = (store.clone(), others.clone());
        let repeat = tokio::spawn(async move { inbox.inbox().store(waiting).await });
        // Real time: it is the server for which the insert waits.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!repeat.is_finished(), "nobody knows yet whether it is a repeat");
        let expected = if commits { Inserted::Duplicate } else { Inserted::New };
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        let stored = repeat.await.unwrap().unwrap();
        assert_eq!(stored, [Inserted::New, expected, Inserted::New]);
    }
}

#[tokio::test]
async fn one_settlement_after_another_of_one_row_in_one_call_is_done_in_order() {
    let database = Database::create().await;
    let store = prepared(&database).await;
    let owner = Owner::new(3);
    let envelope = tried_once();
    store.inbox().store(vec![owned(envelope.clone(), owner)]).await.unwrap();
    let held = Ownership::of(&envelope, owner);
    let counted = Ownership { attempts: 2, ..held.clone() };
    let settlements = vec![
        Settlement::Attempt(held.clone()),
        Settlement::Attempt(held.clone()),
        Settlement::Handled(held),
        Settlement::Release { ownership: counted.clone(), attempt_began: true },
        Settlement::Handled(counted),
    ];
    let settled = store.inbox().settle(settlements).await.unwrap();
    use Settled::{Done, Fenced};
    assert_eq!(settled, [Done, Done, Fenced, Done, Fenced]);
}
