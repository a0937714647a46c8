//! The check at start: every mistake that types cannot see, all of them in one list.

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::{Error, Problem, QueueOptions};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

#[derive(Command, Serialize, Deserialize)]
struct Plain;

#[handler]
async fn plain(_cmd: Plain) {}

#[handler]
async fn plain_again(_cmd: Plain) {}

mod elsewhere {
    use super::Happened;
    use jasper::handler;

    #[handler]
    pub(super) async fn on_happened(_event: Happened) {}
}

#[derive(Event, Serialize, Deserialize)]
struct Happened;

#[handler]
async fn on_happened(_event: Happened) {}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "shipping")]
struct Ship;

#[handler(queue = "docks")]
async fn ship(_cmd: Ship) {}

#[derive(Command, Serialize, Deserialize)]
struct Keep;

#[handler(queue = "kept")]
#[durable]
async fn keep(_cmd: Keep, _db: &mut SqliteConnection) {}

struct Config;

#[derive(Command, Serialize, Deserialize)]
struct Configure;

#[handler]
async fn configure(_cmd: Configure, _config: State<Config>) {}

mod first {
    #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
    #[command(name = "same")]
    pub(super) struct A;

    #[jasper::handler]
    pub(super) async fn a(_cmd: A) {}
}

mod second {
    #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
    #[command(name = "same")]
    pub(super) struct B;

    #[jasper::handler]
    pub(super) async fn b(_cmd: B) {}
}

#[derive(Command, Serialize, Deserialize)]
struct Quick;

#[handler(queue = "shared", concurrency = 1)]
async fn quick(_cmd: Quick) {}

#[derive(Command, Serialize, Deserialize)]
struct Slow;

#[handler(queue = "shared", concurrency = 2)]
async fn slow(_cmd: Slow) {}

fn problems(builder: &Builder) -> Vec<Problem> {
    builder.check().err().map_or_else(Vec::new, |problems| problems.problems().to_vec())
}

fn only(builder: &Builder) -> Problem {
    let mut problems = problems(builder);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[tokio::test]
async fn an_application_without_mistakes_starts() {
    let app = Jasper::builder().handler(plain).start().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn all_mistakes_are_reported_at_once_and_in_words() {
    let builder = Jasper::builder()
        .handler(plain)
        .handler(plain_again)
        .handler(ship)
        .handler(keep)
        .handler(configure)
        .endpoint("shipping", "local://elsewhere")
        .queue("emial", QueueOptions::new().concurrency(0));
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, Error::Startup(_)));
    let text = error.to_string();
    assert!(text.starts_with("the application cannot start: 6 problems"), "{text}");
    for mend in [
        "TwoHandlers: the command `plain@1` has two handlers",
        "add `#[handler(queue = \"elsewhere\")]`",
        "the durable handler `keep` (tests/routing/startup.rs:",
        "takes `State<startup::Config>`; register one with `.state(…)`",
        "UnknownQueue: the queue `emial` is configured, but no handler runs on it",
        "the queue `emial` has concurrency 0",
    ] {
        assert!(text.contains(mend), "no `{mend}` in:\n{text}");
    }
}

#[tokio::test]
async fn an_address_with_a_secret_in_it_is_refused_and_not_repeated() {
    for address in [
        "durable://canary:canary@127.0.0.1:5580",
        "tcp://127.0.0.1:5580?token=canary",
        "rabbitmq://canary:canary@queue/orders",
        "local://orders?secret=canary",
    ] {
        for builder in [
            Jasper::builder().handler(plain).endpoint("orders", address),
            Jasper::builder().handler(plain).listen(address),
        ] {
            let error = builder.start().await.unwrap_err();
            let texts = [error.to_string(), format!("{error:?}"), format!("{error:#?}")];
            assert!(texts.iter().all(|text| !text.contains("canary")), "{texts:?}");
            assert!(texts[0].contains("has a secret in it"), "{texts:?}");
        }
        let app = Jasper::builder().handler(ship).start().await.unwrap();
        let error = app.bus().send(Ship).to(address).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        app.stop().await.unwrap();
    }
}

#[test]
fn two_handlers_of_one_command_are_refused() {
    let builder = Jasper::builder().handler(plain).handler(plain_again);
    assert!(matches!(only(&builder), Problem::TwoHandlers { .. }));
}

#[test]
fn two_subscribers_of_one_name_are_refused_as_their_messages_would_be_mixed_up() {
    let builder = Jasper::builder().handler(on_happened).handler(elsewhere::on_happened);
    assert!(matches!(only(&builder), Problem::DuplicateHandler { name: "on_happened", .. }));
}

/// Modules whose functions have one name, as is usual where the module says what is handled.
mod payments {
    use jasper::{Command, Event, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub(super) struct Pay;

    #[handler]
    pub(super) async fn handle(_cmd: Pay) {}

    #[derive(Event, Serialize, Deserialize)]
    pub(super) struct Paid;

    #[handler]
    pub(super) async fn note(_event: Paid) {}
}

mod reports {
    use jasper::{Command, Event, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub(super) struct Report;

    #[handler]
    pub(super) async fn handle(_cmd: Report) {}

    #[derive(Event, Serialize, Deserialize)]
    pub(super) struct Reported;

    #[handler]
    pub(super) async fn note(_event: Reported) {}

    pub(super) mod on_a_queue {
        use super::*;

        #[derive(Command, Serialize, Deserialize)]
        pub(in super::super) struct Print;

        #[handler(queue = "handle")]
        pub(in super::super) async fn handle(_cmd: Print) {}
    }
}

#[test]
fn two_functions_that_share_a_name_by_accident_do_not_share_a_queue() {
    let builder = Jasper::builder().handler(payments::handle).handler(reports::handle);
    assert!(matches!(only(&builder), Problem::SharedQueueName { name: "handle", .. }));
    let builder = Jasper::builder().handler(payments::note).handler(reports::note);
    assert!(matches!(only(&builder), Problem::SharedQueueName { name: "note", .. }));
    // One that names the queue means it.
    let builder = Jasper::builder().handler(payments::handle);
    assert_eq!(problems(&builder.handler(reports::on_a_queue::handle)), []);
}

#[test]
fn two_types_of_one_wire_name_are_refused() {
    let builder = Jasper::builder().handler(first::a).handler(second::b);
    let problems = problems(&builder);
    let duplicate = |p: &Problem| matches!(p, Problem::DuplicateMessageType { .. });
    assert!(problems.iter().any(duplicate), "{problems:?}");
}

#[test]
fn an_endpoint_must_have_an_address_that_this_build_serves_and_a_handler() {
    let builder = || Jasper::builder().handler(ship);
    // The process that handles it need not know where others find it.
    assert_eq!(problems(&builder()), []);
    let nonsense = builder().endpoint("shipping", "the docks");
    assert!(matches!(only(&nonsense), Problem::InvalidAddress { .. }));
    let unserved = builder().endpoint("shipping", "carrier-pigeon://loft");
    assert!(matches!(only(&unserved), Problem::NoTransport { .. }));
    let unhandled = builder().endpoint("shipping", "local://elsewhere");
    assert!(matches!(only(&unhandled), Problem::NoHandlerOnQueue { .. }));
    let right = builder().endpoint("shipping", "local://docks");
    assert_eq!(problems(&right), []);
}

#[test]
fn a_durable_handler_needs_a_store_of_its_connection_and_a_queue_that_stores() {
    let builder = || Jasper::builder().handler(keep);
    assert!(matches!(only(&builder()), Problem::NoStore { .. }));
    let memory = builder().store(MemoryStore::new());
    assert!(matches!(only(&memory), Problem::WrongConnection { .. }));
    let buffered = builder().queue("kept", QueueOptions::new().buffered());
    let problems = problems(&buffered);
    assert!(problems.iter().any(|p| matches!(p, Problem::DurableOnBuffered { .. })));
}

#[test]
fn a_durable_queue_needs_a_store() {
    let builder = Jasper::builder().handler(plain);
    let durable = builder.queue("plain", QueueOptions::new().durable());
    assert!(matches!(only(&durable), Problem::NoStore { .. }));
}

#[test]
fn a_state_must_be_registered() {
    let builder = || Jasper::builder().handler(configure);
    assert!(matches!(only(&builder()), Problem::MissingState { .. }));
    assert_eq!(problems(&builder().state(Config)), []);
}

#[test]
fn handlers_of_one_queue_agree_on_its_concurrency() {
    let builder = Jasper::builder().handler(quick).handler(slow);
    assert!(matches!(only(&builder), Problem::ConcurrencyConflict { queue: "shared", .. }));
}

#[tokio::test]
async fn a_message_to_an_endpoint_reaches_the_handler_on_its_queue() {
    let app = Jasper::builder()
        .handler(ship)
        .endpoint("shipping", "local://docks")
        .start()
        .await
        .unwrap();
    app.bus().send(Ship).await.unwrap();
    let elsewhere = DeliveryOptions::new().to("nowhere");
    let refused = app.bus().send(Ship).with(elsewhere).await.unwrap_err();
    assert!(refused.to_string().contains("`nowhere` is not an endpoint"), "{refused}");
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[test]
fn the_declarations_of_a_program_are_checked_in_one_line() {
    // This test program declares mistakes on purpose.
    let problems = jasper::testing::check_routes().unwrap_err();
    let kinds = problems.problems();
    assert!(kinds.iter().any(|p| matches!(p, Problem::TwoHandlers { .. })));
    assert!(kinds.iter().any(|p| matches!(p, Problem::DuplicateMessageType { .. })));
    jasper::testing::assert_routes!(Jasper::builder().handler(plain));
}
