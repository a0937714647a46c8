//! Connections to a SQL Server that fail, against a small server that speaks its protocol.

#[path = "sqlserver_faults/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::sqlserver::tiberius::{self, AuthMethod, Config, EncryptionLevel};
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore};
use jasper::store::{
    ClaimRequest, Incoming, MessageStore, Owner, Ownership, Placement, Settlement, StoreError,
    StoreTransaction, Subscription, TransactionOptions,
};

use server::{GONE, Plan, Seen, start};
use tokio::sync::mpsc::UnboundedReceiver;

type DriverError = tiberius::error::Error;

/// Without TLS, as the server has none.
const PLAIN: &str = "Encrypt=DANGER_PLAINTEXT";

/// What becomes of a store that is opened there.
async fn refusal(plan: Plan, options: &str) -> StoreError {
    let (port, _seen) = start(plan).await;
    let refused = SqlServerStore::connect(&address(port, options)).await.unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!shown.contains("hidden-one"), "{shown}");
    refused
}

fn address(port: u16, options: &str) -> String {
    format!("Server=tcp:127.0.0.1,{port};Database=shop;User Id=app;Password=hidden-one;{options}")
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_the_server_said() {
    let refused = refusal(Plan::RefuseLogin(18456), PLAIN).await;
    assert!(
        matches!(&refused, StoreError::Unreachable { detail, .. } if detail.contains("'app'")),
        "{refused:?}"
    );
    assert!(refused.is_transient());
}

#[tokio::test]
async fn a_server_that_is_full_is_busy() {
    let refused = refusal(Plan::RefuseLogin(10928), PLAIN).await;
    assert!(matches!(refused, StoreError::Busy { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_it_is_told_otherwise() {
    let refused = refusal(Plan::NoTls, "").await;
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_of_the_connection() {
    let refused = refusal(Plan::CutReply, PLAIN).await;
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let refused = refusal(Plan::Silence, PLAIN).await;
    assert!(
        matches!(&refused, StoreError::Unreachable { detail, .. } if detail.contains("no answer")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_schema_that_needs_care_is_refused_before_any_connection() {
    let refused = SqlServerStore::builder().schema("a]b").connect("Server=tcp:127.0.0.1,1").await;
    assert!(matches!(refused, Err(StoreError::BadName { name }) if name == "a]b"));
}

/// The first things that clients do.
async fn first(number: usize, seen: &mut UnboundedReceiver<Seen>) -> Vec<Seen> {
    let mut first = Vec::new();
    while first.len() < number {
        first.push(seen.recv().await.unwrap());
    }
    first
}

fn assert_given_up(error: &StoreError) {
    let StoreError::Deadline { limit } = error else { panic!("{error:?}") };
    assert!(*limit < Duration::from_secs(10), "{limit:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn calls_that_are_not_answered_end_and_their_connections_and_sessions_with_them() {
    let (port, mut seen) = start(Plan::SilentCalls).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let nodes = store.nodes();
    let (one, other) = tokio::join!(nodes.alive(), nodes.now());
    assert_given_up(&one.unwrap_err());
    assert_given_up(&other.unwrap_err());
    let seen = first(6, &mut seen).await;
    assert_eq!(seen[..2], [Seen::Call, Seen::Call], "none waits for the other");
    let times = |what| seen.iter().filter(|seen| **seen == what).count();
    assert_eq!((times(Seen::Close), times(Seen::SearchForSession)), (2, 2), "{seen:?}");
}

#[tokio::test]
async fn what_is_asked_after_a_call_that_was_not_answered_is_asked_over_another_connection() {
    let (port, mut seen) = start(Plan::SilentCalls).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    for _ in 0..2 {
        assert_given_up(&store.nodes().now().await.unwrap_err());
    }
    // The server takes one call of a connection.
    let seen = first(5, &mut seen).await;
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Call).count(), 2, "{seen:?}");
}

/// What a statement of a handler fails with.
async fn error_of(number: u32) -> (DriverError, SqlServerStore) {
    let (port, _seen) = start(Plan::FailCalls(number)).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let mut connection = store.pool().acquire().await.unwrap();
    let refused = match connection.simple_query("update orders set shipped = 1").await {
        Ok(answer) => answer.into_results().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(refused.code(), Some(number));
    (refused, store)
}

/// A run that meets another transaction is repeated at no cost; a test cannot make a server say
/// all of these at will.
#[tokio::test]
async fn deadlocks_changed_snapshots_and_locks_are_conflicts_and_no_other_errors_are() {
    for number in [1205, 3960, 3961, 41302, 1222, 1204] {
        let (error, store) = error_of(number).await;
        let is_conflict = store.info().is_conflict;
        assert!(is_conflict(&error), "{number}");
        assert!(is_conflict(&Arc::new(error.clone())), "{number}, shared");
        assert!(is_conflict(&Box::new(error)), "{number}, boxed");
    }
    for number in [2627, 2601, 547, 208, 229, 9002, 50_000] {
        let (error, store) = error_of(number).await;
        assert!(!(store.info().is_conflict)(&error), "{number}");
    }
}

#[tokio::test]
async fn a_right_that_the_login_lacks_is_forbidden_in_words() {
    // Of an object, of a database, and where an object cannot be seen for want of rights.
    for number in [229, 262, 1088, 2760, 3701, 15247] {
        let (port, _seen) = start(Plan::FailCalls(number)).await;
        let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
        let admin = store.admin();
        for (done, what) in [
            (admin.prepare().await, "make or upgrade the tables"),
            (admin.check().await, "look at the tables"),
            (admin.rebuild().await, "drop the tables and make them anew"),
            (admin.clear().await, "delete all messages"),
        ] {
            let error = done.unwrap_err();
            assert!(matches!(error, StoreError::Forbidden { .. }), "{number}: {error:?}");
            let said = error.to_string();
            assert!(said.contains(&format!("may not {what} in `127.0.0.1:{port}/shop`")), "{said}");
            assert!(said.contains("give it the right"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_transaction_of_the_users_that_does_not_begin_is_given_up() {
    let (port, mut seen) = start(Plan::SilentCalls).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    assert_given_up(&store.pool().begin().await.map(drop).unwrap_err());
    assert_eq!(first(2, &mut seen).await, [Seen::Call, Seen::Close]);
}

#[tokio::test]
async fn a_statement_that_a_handler_leaves_is_cancelled_and_its_transaction_undone() {
    let (port, mut seen) = start(Plan::Hang).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let mut run = store.begin(TransactionOptions::of("hanging")).await.unwrap();
    let db: &mut SqlServerConnection = run.connection().unwrap().downcast_mut().unwrap();
    let hangs = db.simple_query("hang");
    tokio::time::timeout(Duration::from_millis(50), hangs).await.map(drop).unwrap_err();
    run.rollback().await.unwrap();
    // No session has to be ended for it.
    assert_eq!(first(3, &mut seen).await, [Seen::Call, Seen::Attention, Seen::Rollback]);
}

#[tokio::test]
async fn a_transaction_that_nothing_is_left_of_is_undone_at_once() {
    let (port, mut seen) = start(Plan::Hang).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let run = store.begin(TransactionOptions::of("idle")).await.unwrap();
    run.rollback().await.unwrap();
    assert_eq!(first(1, &mut seen).await, [Seen::Rollback]);
}

/// A run over whose connection nothing is answered any more.
async fn silent_run(store: &SqlServerStore) -> Box<dyn StoreTransaction> {
    let mut run = store.begin(TransactionOptions::of("silent")).await.unwrap();
    let db: &mut SqlServerConnection = run.connection().unwrap().downcast_mut().unwrap();
    let hangs = db.simple_query("hang");
    tokio::time::timeout(Duration::from_millis(50), hangs).await.map(drop).unwrap_err();
    run
}

#[tokio::test]
async fn a_session_that_is_not_listed_is_over_when_its_lock_is_free() {
    let (port, mut seen) = start(Plan::SilentSession { held: 2, silent_search: None }).await;
    let store = impatient(port).await;
    silent_run(&store).await.rollback().await.unwrap();
    let held = [Seen::SearchForSession, Seen::HeldLock];
    let free = [Seen::SearchForSession, Seen::FreeLock];
    assert_eq!(rest(&mut seen), [held.clone(), held, free].concat());
}

#[tokio::test]
async fn a_rollback_does_not_say_that_it_is_done_where_the_lock_of_a_session_is_held() {
    let plan = Plan::SilentSession { held: usize::MAX, silent_search: None };
    let (port, _seen) = start(plan).await;
    let store = impatient(port).await;
    assert_given_up(&silent_run(&store).await.rollback().await.unwrap_err());
}

#[tokio::test]
async fn the_end_of_a_session_is_tried_again_over_another_connection() {
    // After those of the start, of the node and of the run.
    let plan = Plan::SilentSession { held: 0, silent_search: Some(3) };
    let (port, mut seen) = start(plan).await;
    let store = impatient(port).await;
    assert_given_up(&silent_run(&store).await.rollback().await.unwrap_err());
    let again = [Seen::SearchForSession, Seen::SearchForSession, Seen::FreeLock];
    assert_eq!(first(3, &mut seen).await, again);
}

#[tokio::test]
async fn a_node_is_not_forgotten_until_its_sessions_could_be_looked_for() {
    let looks = [Seen::SearchForSession, Seen::SearchForSession, Seen::Forget];
    // After those of the start, of the node and of the look.
    for (silent, seen_until_forgotten) in [(None, &looks[1..]), (Some(3), &looks)] {
        let (port, mut seen) = start(Plan::SilentSession { held: 0, silent_search: silent }).await;
        let store = impatient(port).await;
        let gone = store.nodes().expired(None).await.unwrap().owners;
        assert_eq!(gone, [Owner::new(GONE)]);
        store.nodes().forget(gone[0]).await.unwrap();
        assert_eq!(rest(&mut seen), seen_until_forgotten);
    }
}

fn claim_of(limit: usize) -> ClaimRequest {
    let destination = Address::local("queue", "handler");
    let subscription = Subscription { destination, message_type: "t@1".to_owned() };
    let subscriptions = vec![subscription];
    ClaimRequest { owner: Owner::new(7), limit, count_attempt: true, subscriptions }
}

/// How often each table is claimed from where another claim is first with the rows so often.
async fn claims(late: usize) -> (usize, usize) {
    let (port, mut seen) = start(Plan::LateClaims(late)).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let (destination, owner) = (Address::local("queue", "handler"), Owner::new(7));
    assert!(store.inbox().claim(claim_of(5)).await.unwrap().is_empty());
    let mut claims = || std::iter::from_fn(|| seen.try_recv().ok()).count();
    let of_inbox = claims();
    assert!(store.outbox().claim(owner, &destination, 5).await.unwrap().is_empty());
    (of_inbox, claims())
}

#[tokio::test]
async fn a_claim_that_finds_another_one_first_takes_the_next_rows() {
    assert_eq!(claims(3).await, (4, 1));
}

#[tokio::test]
async fn a_claim_of_which_nothing_is_left_is_over_at_once() {
    assert_eq!(claims(0).await, (1, 1));
}

#[tokio::test]
async fn a_claim_that_is_late_again_and_again_is_left_to_the_next_look() {
    assert_eq!(claims(usize::MAX).await, (10, 10));
}

fn with_token(port: u16, token: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(AuthMethod::aad_token(token));
    config
}

async fn login(seen: &mut UnboundedReceiver<Seen>) -> String {
    match seen.recv().await {
        Some(Seen::Login(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_in_the_login_and_a_new_one_in_the_next() {
    let (port, mut seen) = start(Plan::ReportLogin).await;
    let store = SqlServerStore::connect_with(with_token(port, "token-one")).await.unwrap();
    assert!(login(&mut seen).await.contains("token-one"));
    store.set_config(with_token(port, "token-two"));
    let asked = tokio::spawn({
        let store = store.clone();
        async move { store.nodes().now().await }
    });
    let next = login(&mut seen).await;
    assert!(next.contains("token-two") && !next.contains("token-one"), "{next:?}");
    assert!(!format!("{store:?}").contains("token-"));
    asked.abort();
}

/// What is left to see, without waiting.
fn rest(seen: &mut UnboundedReceiver<Seen>) -> Vec<Seen> {
    std::iter::from_fn(|| seen.try_recv().ok()).collect()
}

#[tokio::test]
async fn sessions_that_give_up_what_they_were_too_slow_for_are_used_again() {
    let (port, mut seen) = start(Plan::SlowSessions).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    // As many as the leases of nodes have.
    let nodes = store.nodes();
    let (one, other) = tokio::join!(nodes.now(), nodes.now());
    assert_given_up(&one.unwrap_err());
    assert_given_up(&other.unwrap_err());
    // A session that begins anew would be as slow again.
    nodes.now().await.unwrap();
    let seen = rest(&mut seen);
    let logins = seen.iter().filter(|seen| matches!(seen, Seen::Login(_))).count();
    let times = |what| seen.iter().filter(|seen| **seen == what).count();
    assert_eq!((logins, times(Seen::Call)), (3, 2), "{seen:?}");
    assert_eq!(times(Seen::Attention), times(Seen::Rollback), "{seen:?}");
}

#[tokio::test]
async fn a_session_that_was_opened_too_slowly_for_one_call_is_there_for_the_next() {
    let (port, mut seen) = start(Plan::SlowLogins(Duration::from_secs(6))).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    assert_given_up(&store.nodes().now().await.unwrap_err());
    store.nodes().now().await.unwrap();
    let seen = rest(&mut seen);
    assert!(matches!(seen[..], [Seen::Login(_), Seen::Login(_)]), "{seen:?}");
}

/// A store whose calls are each given up after a second, as its node has so short a lease.
async fn impatient(port: u16) -> SqlServerStore {
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    store.nodes().join("node", Duration::from_secs(2), &[]).await.unwrap();
    store
}

fn rows(number: usize) -> Vec<Incoming> {
    let message_type: MessageType = "test.message@1".parse().unwrap();
    let row = |_| Incoming {
        envelope: Envelope::new(
            message_type.clone(),
            "application/json",
            "{}".into(),
            Address::local("queue", "handler"),
        ),
        placement: Placement::Unowned,
        retention: None,
    };
    (0..number).map(row).collect()
}

#[tokio::test]
async fn an_insert_of_many_portions_goes_on_as_long_as_each_is_answered() {
    // More than a call is given for one answer, and less for each.
    let (port, mut seen) = start(Plan::SlowInserts(Duration::from_secs(2))).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    store.inbox().store(rows(1_200)).await.unwrap();
    assert_eq!(rest(&mut seen), [Seen::Insert, Seen::Insert, Seen::Insert]);
}

#[tokio::test]
async fn an_insert_that_is_too_slow_is_tried_again_in_smaller_portions() {
    let (port, mut seen) = start(Plan::LargeWrites(12)).await;
    let store = impatient(port).await;
    for _ in 0..2 {
        assert_given_up(&store.inbox().store(rows(40)).await.unwrap_err());
        assert_eq!(first(3, &mut seen).await, [Seen::Call, Seen::Attention, Seen::Rollback]);
    }
    store.inbox().store(rows(40)).await.unwrap();
    assert_eq!(rest(&mut seen), [const { Seen::Insert }; 4]);
}

#[tokio::test]
async fn settlements_that_are_too_slow_are_tried_again_in_smaller_portions() {
    let (port, mut seen) = start(Plan::LargeWrites(12)).await;
    let store = impatient(port).await;
    let handled = |row: Incoming| {
        let envelope = row.envelope;
        let (id, destination) = (envelope.id, envelope.destination);
        Settlement::Handled(Ownership { id, destination, owner: Owner::new(7), attempts: 1 })
    };
    let settlements: Vec<_> = rows(40).into_iter().map(handled).collect();
    for _ in 0..2 {
        let late = store.inbox().settle(settlements.clone()).await;
        assert_given_up(&late.unwrap_err());
        assert_eq!(first(3, &mut seen).await, [Seen::Call, Seen::Attention, Seen::Rollback]);
    }
    assert_eq!(store.inbox().settle(settlements).await.unwrap().len(), 40);
    assert_eq!(rest(&mut seen), [const { Seen::Settlement }; 4]);
}

#[tokio::test]
async fn a_claim_that_is_too_slow_is_tried_again_in_smaller_portions_and_gives_all_rows() {
    let (port, mut seen) = start(Plan::LargeClaims(25, 12)).await;
    let store = impatient(port).await;
    for _ in 0..2 {
        assert_given_up(&store.inbox().claim(claim_of(40)).await.map(drop).unwrap_err());
        assert_eq!(first(3, &mut seen).await, [Seen::Call, Seen::Attention, Seen::Rollback]);
    }
    // Fewer than were asked for would say that none is left.
    assert_eq!(store.inbox().claim(claim_of(40)).await.unwrap().len(), 25);
    assert_eq!(rest(&mut seen), [const { Seen::Claim }; 3]);
}
