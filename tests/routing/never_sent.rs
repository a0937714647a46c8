//! Commands that a program declares and states that it never sends.

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::{InvokeError, Problem, SendError};
use serde::{Deserialize, Serialize};
use tests::Fixture;

macro_rules! messages {
    ($($(#[$attribute:meta])* $name:ident)*) => {$(
        #[derive(Clone, Serialize, Deserialize)]
        $(#[$attribute])*
        struct $name;
    )*};
}

messages! {
    #[derive(Command)] #[command(name = "never.charge", to = "payments")] Charge
    #[derive(Command)] #[command(name = "never.refund", to = "durable://127.0.0.1:1")] Refund
    #[derive(Command)] #[command(name = "never.audit", to = "local://audits")] Audit
    #[derive(Command)] #[command(name = "never.order")] Order
    #[derive(Command)] #[command(name = "never.pay")] Pay
    #[derive(Event)] #[event(name = "never.charged")] Charged
}

#[handler]
async fn order(_: Order) -> Charge {
    Charge
}

#[handler(attempts = 1)]
#[durable]
async fn pay(_: Pay, bus: Bus) -> Result<(), HandlerError> {
    bus.send(Charge).await?;
    Ok(())
}

fn builder() -> Builder {
    Jasper::builder().never_sends::<Charge>().never_sends::<Refund>().never_sends::<Audit>()
}

fn problems(builder: &Builder) -> Vec<Problem> {
    builder.check().err().map_or_else(Vec::new, |problems| problems.problems().to_vec())
}

/// Whether it is the refusal of what is never sent.
fn is_refusal(error: &SendError, of: &str) -> bool {
    matches!(error, SendError::NeverSent { message_type } if message_type.name() == of)
}

#[tokio::test]
async fn what_is_never_sent_needs_no_endpoint() {
    let fixture = Fixture::create();
    let app = builder().store(fixture.store().await).start().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_problem_of_an_endpoint_says_how_to_state_that_nothing_is_sent_there() {
    let fixture = Fixture::create();
    let builder = Jasper::builder()
        .store(fixture.store().await)
        .never_sends::<Refund>()
        .never_sends::<Audit>();
    let problems = problems(&builder);
    assert!(matches!(&*problems, [Problem::UnknownEndpoint { .. }]), "{problems:?}");
    let text = problems[0].to_string();
    assert!(text.contains("or `.never_sends::<Charge>()`"), "{text}");
}

/// An address is an endpoint by itself, and a queue is one with a handler.
#[tokio::test]
async fn an_address_to_which_nothing_is_sent_is_not_an_endpoint() {
    let durable = Jasper::builder().never_sends::<Charge>().never_sends::<Audit>();
    let without_store = problems(&durable);
    let of_address = |problem: &Problem| problem.to_string().contains("durable://127.0.0.1:1");
    assert!(without_store.iter().any(of_address), "{without_store:?}");
    assert!(!problems(&builder()).iter().any(of_address));

    let fixture = Fixture::create();
    let queue = Jasper::builder().never_sends::<Charge>().never_sends::<Refund>();
    let queue = problems(&queue.store(fixture.store().await));
    assert!(matches!(&*queue, [Problem::NoHandlerOnQueue { .. }]), "{queue:?}");
}

#[tokio::test]
async fn what_is_stated_as_never_sent_is_refused_on_every_way() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = builder().never_sends::<Charged>().store(store.clone()).start().await.unwrap();
    let bus = app.bus();
    let sent = bus.send(Charge).await.unwrap_err();
    assert!(is_refusal(&sent, "never.charge"), "{sent}");
    assert!(sent.to_string().contains("`.never_sends::<…>()`"), "{sent}");
    let options = DeliveryOptions::new().to("local://order");
    assert!(is_refusal(&bus.send(Charge).with(options).await.unwrap_err(), "never.charge"));
    let all = bus.send_all([Charge, Charge]).await.unwrap_err();
    assert!(all.accepted == 0 && is_refusal(&all.source, "never.charge"), "{all}");
    assert!(is_refusal(&bus.send(Refund).await.unwrap_err(), "never.refund"));
    assert!(is_refusal(&bus.send(Audit).await.unwrap_err(), "never.audit"));
    assert!(is_refusal(&bus.publish(Charged).await.unwrap_err(), "never.charged"));
    let InvokeError::Send(asked) = bus.invoke(Charge).await.unwrap_err() else {
        panic!("a command that is never sent was invoked");
    };
    assert!(is_refusal(&asked, "never.charge"), "{asked}");
    let mut tx = store.pool().begin().await.unwrap();
    assert!(is_refusal(&bus.enlist(&mut tx).send(Charge).await.unwrap_err(), "never.charge"));
    tx.rollback().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_sends_or_returns_it_fails() {
    let fixture = Fixture::create();
    let app = builder().store(fixture.store().await).start().await.unwrap();
    let InvokeError::Send(returned) = app.bus().invoke(Order).await.unwrap_err() else {
        panic!("a handler has returned a command that is never sent");
    };
    assert!(is_refusal(&returned, "never.charge"), "{returned}");
    let InvokeError::Failed(sent) = app.bus().invoke(Pay).await.unwrap_err() else {
        panic!("a handler has sent a command that is never sent");
    };
    assert!(sent.to_string().contains("never sent"), "{sent}");
    app.stop().await.unwrap();
}

/// The endpoint may well be configured, for other commands.
#[tokio::test]
async fn it_is_refused_where_its_endpoint_is_configured_too() {
    let fixture = Fixture::create();
    let builder = builder().endpoint("payments", "tcp://127.0.0.1:1");
    let app = builder.store(fixture.store().await).start().await.unwrap();
    assert!(is_refusal(&app.bus().send(Charge).await.unwrap_err(), "never.charge"));
    app.stop().await.unwrap();
}
