//! What is sent arrives where it is sent to, with all that belongs to it.

use super::cast::{Job, News, Order, RECEIVER, REFUSED, WORKS};
use super::stage::Stage;
use super::{Link, TransportFixture};
use crate::handler::DeliveryOptions;

/// `#[command(to = "…")]` leads to the receiver.
pub async fn a_command_reaches_the_endpoint_of_its_type<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("one")).await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["one"]);
    stage.close().await;
}

/// Who sends may name an endpoint, or the address that is configured as one.
pub async fn a_command_reaches_the_endpoint_that_is_named<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let named = DeliveryOptions::new().to(RECEIVER);
    stage.sender().bus().send(Job::new("by name")).with(named).await.expect(WORKS);
    let by_address = DeliveryOptions::new().to(stage.link.address());
    stage.sender().bus().send(Job::new("by address")).with(by_address).await.expect(WORKS);
    stage.received.wait_for(2).await;
    let mut texts = stage.received.texts();
    texts.sort_unstable();
    assert_eq!(texts, ["by address", "by name"]);
    stage.close().await;
}

/// Nothing is sent to a place that the configuration does not know.
pub async fn an_endpoint_that_is_not_configured_is_refused<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let elsewhere = DeliveryOptions::new().to("elsewhere");
    let refused =
        stage.sender().bus().send(Job::new("lost")).with(elsewhere).await.expect_err(REFUSED);
    assert!(refused.to_string().contains("`elsewhere` is not an endpoint"), "{refused}");
    stage.settle().await;
    assert!(stage.received.texts().is_empty());
    stage.close().await;
}

/// Each subscriber gets a message of its own, under one id.
pub async fn an_event_reaches_every_subscriber<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.sender().bus().publish(News { text: "extra".into() }).await.expect(WORKS);
    let notes = stage.received.wait_for(2).await;
    stage.settle().await;
    let mut handlers: Vec<_> = notes.iter().map(|note| note.handler).collect();
    handlers.sort_unstable();
    assert_eq!(handlers, ["keeper", "reader"]);
    assert_eq!(stage.received.notes().len(), 2);
    assert_eq!(notes[0].envelope.id, notes[1].envelope.id);
    stage.close().await;
}

/// A receiver knows which service sent, and what the message belongs to.
pub async fn source_and_correlation_travel_along<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let request = DeliveryOptions::new().correlation("request 7");
    stage.sender().bus().send(Job::new("traced")).with(request).await.expect(WORKS);
    let notes = stage.received.wait_for(1).await;
    let envelope = &notes[0].envelope;
    assert_eq!(envelope.source.as_deref(), Some("sender"));
    assert_eq!(envelope.correlation_id.as_deref(), Some("request 7"));
    assert_eq!(envelope.attempts, 1);
    stage.close().await;
}

/// What a sender sets is there when the message is handled.
pub async fn headers_tenant_and_group_travel_along<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let options = DeliveryOptions::new().header("colour", "blau").tenant("eu").group("ada");
    stage.sender().bus().send(Job::new("dressed")).with(options).await.expect(WORKS);
    let notes = stage.received.wait_for(1).await;
    let envelope = &notes[0].envelope;
    assert_eq!(envelope.headers.get("colour"), Some("blau"));
    assert_eq!(envelope.tenant_id.as_deref(), Some("eu"));
    assert_eq!(envelope.group_id.as_deref(), Some("ada"));
    stage.close().await;
}

/// From no text at all to a megabyte.
pub async fn small_and_large_payloads_arrive_whole<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let large = "ü".repeat(stage.link.large() / 2);
    for text in ["", &large] {
        stage.send(Job::new(text)).await;
    }
    stage.received.wait_for(2).await;
    let mut lengths: Vec<_> = stage.received.texts().iter().map(String::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [0, large.len()]);
    stage.close().await;
}

/// Three thousand, more than any memory or batch on the way takes at once.
pub async fn many_messages_arrive_once_each<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let jobs: Vec<_> = (0..3_000).map(|number| Job::new(format!("{number:04}"))).collect();
    let expected: Vec<_> = jobs.iter().map(|job| job.text.clone()).collect();
    assert_eq!(stage.sender().bus().send_all(jobs).await.expect(WORKS), expected.len());
    stage.received.wait_for(expected.len()).await;
    stage.settle().await;
    let mut texts = stage.received.texts();
    texts.sort_unstable();
    assert!(texts == expected, "{} notes", texts.len());
    stage.close().await;
}

/// The link declares order, and the receiving queue runs one at a time.
pub async fn order_is_kept_where_it_is_declared<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let jobs: Vec<_> = (0..500).map(|number| Job::new(format!("{number:03}"))).collect();
    let expected: Vec<_> = jobs.iter().map(|job| job.text.clone()).collect();
    for job in jobs {
        stage.send(job).await;
    }
    stage.received.wait_for(expected.len()).await;
    assert_eq!(stage.received.texts(), expected);
    stage.close().await;
}

/// A durable handler sends by returning.
pub async fn what_a_handler_returns_arrives<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Order { text: "follows".into(), fails: false }).await;
    let notes = stage.received.wait_for(1).await;
    assert!(notes[0].envelope.causation_id.is_some());
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["follows"]);
    stage.close().await;
}

/// A run that fails leaves nothing behind; its repetition sends once.
pub async fn what_a_failed_handler_would_have_sent_does_not_leave<F: TransportFixture>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.send(Order { text: "once".into(), fails: true }).await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["once"], "its second attempt succeeds, and sends once");
    stage.close().await;
}
