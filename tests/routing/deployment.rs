//! What a deployment says of queues and handlers: by file, by environment, and by the builder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::{Config, InvokeError};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::sync::Barrier;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deployment.fail")]
struct Fail;

#[handler(queue = "work", attempts = 5, delays = [])]
async fn fail(_cmd: Fail, journal: State<Journal>) -> Result<(), HandlerError> {
    journal.note("fails");
    Err(HandlerError::new("as told"))
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deployment.hang")]
struct Hang;

#[handler(queue = "work", attempts = 1)]
async fn hang(_cmd: Hang) {
    std::future::pending().await
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deployment.meet")]
struct Meet;

/// Ends when three of it run at once.
#[handler(queue = "meetings", concurrency = 1, timeout = "50s")]
async fn meet(_cmd: Meet, all: State<Arc<Barrier>>, met: State<Arc<AtomicUsize>>) {
    all.wait().await;
    met.fetch_add(1, Ordering::Relaxed);
}

mod payments {
    use super::*;

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "deployment.pay")]
    pub(super) struct Pay;

    #[handler(queue = "payments", attempts = 1)]
    pub(super) async fn handle(_cmd: Pay, journal: State<Journal>) -> Result<(), HandlerError> {
        journal.note("pays");
        Err(HandlerError::new("as told"))
    }
}

mod reports {
    use super::*;

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "deployment.report")]
    pub(super) struct Report;

    #[handler(queue = "reports", attempts = 1)]
    pub(super) async fn handle(_cmd: Report, journal: State<Journal>) -> Result<(), HandlerError> {
        journal.note("reports");
        Err(HandlerError::new("as told"))
    }
}

fn application(journal: &Journal) -> Builder {
    let app = Jasper::builder().store(MemoryStore::new()).state(journal.clone());
    app.handler(fail).handler(hang).handler(payments::handle).handler(reports::handle)
}

fn file(text: &str) -> Config {
    Config::from_toml(text).unwrap()
}

fn variable(name: &str, value: &str) -> Config {
    Config::from_vars([(name.to_owned(), value.to_owned())])
}

/// How often a failing handler runs.
async fn runs(setup: impl FnOnce(Builder) -> Builder) -> usize {
    let journal = Journal::default();
    let app = setup(application(&journal)).start().await.unwrap();
    app.bus().send(Fail).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    journal.notes().len()
}

fn attempts(attempts: u32) -> HandlerOptions {
    HandlerOptions::new().attempts(attempts)
}

#[tokio::test]
async fn each_place_that_sets_an_option_goes_before_the_more_general_ones() {
    let queue =
        |n| move |app: Builder| app.queue("work", QueueOptions::new().handlers(attempts(n)));
    let handler = |n| move |app: Builder| app.handler_options(fail, attempts(n));
    let deployed_queue = |app: Builder| app.config(file("[queues.work]\nattempts = 4"));
    let deployed = |app: Builder| app.config(variable("JASPER_HANDLER_FAIL_ATTEMPTS", "6"));
    assert_eq!(runs(|app| app).await, 5, "the attribute");
    assert_eq!(runs(queue(2)).await, 2, "the builder, for the queue");
    assert_eq!(runs(|app| handler(3)(queue(2)(app))).await, 3, "the builder, for the handler");
    assert_eq!(
        runs(|app| deployed_queue(handler(3)(app))).await,
        4,
        "the deployment, for the queue"
    );
    let all = |app| deployed(deployed_queue(handler(3)(queue(2)(app))));
    assert_eq!(runs(all).await, 6, "the deployment, for the handler");
}

#[tokio::test]
async fn of_more_delays_than_a_deployment_leaves_attempts_the_first_are_taken() {
    let journal = Journal::default();
    let text = "[handlers.fail]\nattempts = 2\ndelays = ['1ms', '1d', '1d']";
    let app = application(&journal).config(file(text)).start().await.unwrap();
    app.bus().send(Fail).await.unwrap();
    journal.wait_for_number(2).await;
    app.until_idle().await.unwrap();
    assert_eq!(app.store().unwrap().admin().counts().await.unwrap().dead_letters, 1);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_time_out_of_a_deployment_holds_where_a_handler_is_invoked_too() {
    let app = application(&Journal::default());
    let app = app.config(variable("JASPER_QUEUE_WORK_TIMEOUT", "20ms")).start().await.unwrap();
    let limit = Duration::from_millis(20);
    let ended = app.bus().invoke(Hang).await;
    assert!(matches!(ended, Err(InvokeError::TimedOut { limit: is }) if is == limit), "{ended:?}");
    app.bus().send(Hang).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_deployment_says_how_many_messages_of_a_queue_are_handled_at_once() {
    let met = Arc::new(AtomicUsize::new(0));
    let app = Jasper::builder()
        .handler(meet)
        .state(Arc::new(Barrier::new(3)))
        .state(Arc::clone(&met))
        .config(file("[queues.meetings]\nconcurrency = 3"));
    let app = app.start().await.unwrap();
    app.bus().send_all((0..3).map(|_| Meet)).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(met.load(Ordering::Relaxed), 3);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn handlers_of_one_name_are_told_apart_by_their_modules() {
    let journal = Journal::default();
    let text = "[handlers.'payments::handle']\nattempts = 3";
    let app = application(&journal).config(file(text)).start().await.unwrap();
    app.bus().send(payments::Pay).await.unwrap();
    app.bus().send(reports::Report).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(journal.sorted(), ["pays", "pays", "pays", "reports"]);
}

#[test]
fn what_a_deployment_sets_and_cannot_is_a_problem_at_start() {
    for (config, words) in [
        (file("[handlers.fial]\nattempts = 3"), "has none of that name; it has: fail, han"),
        (file("[handlers.handle]\nattempts = 3"), "payments::handle` or `deployment::reports::h"),
        (file("[handlers.fail]\nattempts = 0"), "the handler `fail` has attempts 0"),
        (file("[handlers.fail]\nshare = 5"), "which has no transaction"),
        (file("[queues.wrok]\ncapacity = 3"), "no handler runs on it; the queues are: payments"),
        (file("[queues.work]\ncapacity = 0"), "the queue `work` has capacity 0"),
        (file("[queues.work]\nattempts = 0"), "the handler `fail` has attempts 0"),
        (variable("JASPER_QUEUE_WROK_CAPACITY", "3"), "for no queue of this application"),
        (variable("JASPER_HANDLER_FAIL_CAPACITY", "3"), "ends with one of: ATTEMPTS, DELAYS"),
        (variable("JASPER_HANDLER_FAIL_TIMEOUT", "soon"), "is `soon`, not a whole number and a un"),
    ] {
        let problems = application(&Journal::default()).config(config).check().unwrap_err();
        assert!(problems.to_string().contains(words), "{words}: {problems}");
    }
}

#[test]
fn options_for_a_function_that_is_no_handler_are_a_problem_at_start() {
    fn stranger() {}
    let app = application(&Journal::default()).handler_options(stranger, attempts(1));
    let problems = app.check().unwrap_err().to_string();
    assert!(problems.contains("stranger` is given to the builder and is no handler"), "{problems}");
}
