//! Events that a program has to handle, and what a handler is looked for in vain.

use std::sync::Arc;

use jasper::Problem;
use jasper::prelude::*;
use jasper::store::sqlite::SqliteStore;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, SqliteConnection, SqlitePool};
use tests::log::Log;
use tracing::Level;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "handled-events.placed", handled)]
struct Placed;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "handled-events.noted", handled)]
struct Noted;

#[derive(Event, Serialize, Deserialize)]
struct Optional;

#[handler]
async fn note(_: Noted) -> Optional {
    Optional
}

#[derive(Command, Serialize, Deserialize)]
struct Count;

#[derive(Command, Serialize, Deserialize)]
struct CountWithin;

#[handler]
#[durable]
async fn count(_: Count, pool: State<SqlitePool>) -> sqlx::Result<()> {
    sqlx::query("select 1").execute(&*pool).await.map(drop)
}

#[handler]
#[durable]
async fn count_within(
    _: CountWithin,
    _: State<SqlitePool>,
    db: &mut SqliteConnection,
) -> sqlx::Result<()> {
    sqlx::query("select 1").execute(db).await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
struct CountElsewhere;

/// Over the pool of a database that is not the store's: there is no connection to take instead.
#[handler]
#[durable]
async fn count_elsewhere(_: CountElsewhere, _pool: State<PgPool>) {}

fn unhandled(problems: &[Problem]) -> Vec<&'static str> {
    let message = |problem: &Problem| match problem {
        Problem::Unhandled { message, .. } => Some(*message),
        _ => None,
    };
    problems.iter().filter_map(message).collect()
}

#[test]
fn an_event_that_has_to_be_handled_and_is_not_is_a_problem() {
    let problems = jasper::testing::check_routes().unwrap_err();
    assert_eq!(unhandled(problems.problems()), ["handled_events::Placed"]);
    let words = "name the crate in which that stands: `jasper::handlers_of!(its_crate)`";
    assert!(problems.to_string().contains(words), "{problems}");
    let problems = Jasper::builder().check().unwrap_err();
    assert_eq!(unhandled(problems.problems()), ["handled_events::Placed"]);
}

#[test]
fn an_event_that_is_published_to_an_endpoint_is_handled_there() {
    let app = Jasper::builder().publish_to::<Placed>("billing");
    let problems = app.endpoint("billing", "tcp://127.0.0.1:1").check().unwrap_err();
    assert!(unhandled(problems.problems()).is_empty(), "{problems}");
}

#[test]
fn a_function_without_the_attribute_is_no_handler() {
    async fn forgotten(_: Noted) {}
    let problems = Jasper::builder().handler(forgotten).check().unwrap_err();
    let [Problem::NotAHandler { function }] = problems.problems() else { panic!("{problems}") };
    assert!(function.ends_with("forgotten"), "{function}");
}

#[test]
fn a_state_in_an_arc_is_the_state_itself() {
    #[derive(Command, Serialize, Deserialize)]
    struct Price;

    #[handler]
    async fn price(_: Price, _: State<Vec<u32>>, _: State<Arc<String>>) {}

    let shared = Arc::new(vec![1_u32]);
    let app = Jasper::builder().handler(price).state(shared).state(Arc::new(String::new()));
    app.check().unwrap();
}

#[test]
fn a_state_of_a_like_type_is_named_where_the_right_one_is_missing() {
    trait Clock: Send + Sync {}
    struct SystemClock;
    impl Clock for SystemClock {}

    #[derive(Command, Serialize, Deserialize)]
    struct Tick;

    #[handler]
    async fn tick(_: Tick, _: State<dyn Clock>) {}

    let app = Jasper::builder().handler(tick).state(Arc::new(SystemClock));
    let problems = app.check().unwrap_err().to_string();
    assert!(problems.contains("dyn handled_events::"), "{problems}");
    assert!(problems.contains("registered are `alloc::sync::Arc<handled_events::"), "{problems}");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Jasper::builder().handler(tick).state(clock).check().unwrap();
}

#[tokio::test]
async fn a_durable_handler_over_a_pool_is_warned_of_once() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::INFO));
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("app.db")).await.unwrap();
    let app = Jasper::builder()
        .store(store.clone())
        .state(store.pool().clone())
        .handler(count)
        .handler(count_within)
        .state(PgPool::connect_lazy("postgres://127.0.0.1:1/other").unwrap())
        .handler(count_elsewhere)
        .start()
        .await
        .unwrap();
    for _ in 0..3 {
        app.bus().send(Count).await.unwrap();
    }
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    let text = log.text();
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("over the pool")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    assert!(warnings[0].contains("handled_events::count "), "{text}");
}
