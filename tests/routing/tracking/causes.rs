//! What belongs to a session, and what does not.

use std::sync::Arc;
use std::time::Duration;

use jasper::prelude::*;
use jasper::testing::MessageEvent::{
    Discarded, ExecutionFailed, ExecutionFinished, ExecutionStarted, NoSubscriber, Scheduled, Sent,
};
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;

use super::{
    EmailSent, Failures, OrderPlaced, PlaceOrder, SendEmail, Try, Wait, Write, builder, events,
    with_sqlite,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_follows_from_a_command_is_done_when_a_session_ends() {
    let journal = Journal::default();
    let app = builder(&journal).start().await.unwrap();
    for id in 1..50 {
        let tracked = app.track().send(PlaceOrder { id }).await.unwrap();
        assert_eq!(journal.notes().len(), 2, "the record and the e-mail: {tracked}");
        assert!(journal.notes().contains(&format!("sent {id}")), "{tracked}");
        tracked.assert_no_failures();
        tracked.assert_sent::<PlaceOrder>(1);
        let placed = tracked.assert_sent::<OrderPlaced>(1);
        assert_eq!(placed[0].id, id);
        tracked.assert_handled::<OrderPlaced>(2);
        tracked.assert_handled::<SendEmail>(1);
        assert_eq!(tracked.assert_sent::<EmailSent>(1)[0].id, id);
        assert_eq!(events::<SendEmail>(&tracked), [Sent, ExecutionStarted, ExecutionFinished]);
        assert_eq!(events::<EmailSent>(&tracked), [NoSubscriber]);
        tracked.assert_received::<PlaceOrder>(0);
        journal.take();
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_durable_handler_sends_belongs_to_the_session_once_it_commits() {
    let fixture = Fixture::create();
    let app = with_sqlite(&fixture).await.start().await.unwrap();
    for id in 1..20 {
        let tracked = app.track().send(Write { id }).await.unwrap();
        tracked.assert_no_failures();
        assert_eq!(events::<Write>(&tracked), [Sent, ExecutionStarted, ExecutionFinished]);
        assert_eq!(tracked.assert_handled::<SendEmail>(1)[0].id, id);
        assert_eq!(fixture.journal.take(), [format!("sent {id}")]);
    }
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_waits_for_further_attempts_in_memory_and_in_a_store() {
    let fixture = Fixture::create();
    let in_memory = builder(&fixture.journal);
    let stored = with_sqlite(&fixture).await.queue("attempt", QueueOptions::new().durable());
    for builder in [in_memory, stored] {
        let app = builder.state(Failures(2.into())).start().await.unwrap();
        let tracked = app.track().send(Try).await.unwrap();
        tracked.assert_failed::<Try>(2);
        tracked.assert_handled::<Try>(1);
        tracked.assert_handled::<SendEmail>(1);
        let run = [ExecutionStarted, ExecutionFailed];
        let expected = [&[Sent], &run[..], &run, &[ExecutionStarted, ExecutionFinished]].concat();
        assert_eq!(events::<Try>(&tracked), expected);
        let attempts: Vec<_> =
            tracked.events().iter().filter(|it| it.event == ExecutionStarted).collect();
        assert_eq!(attempts[2].envelope.attempts, 3, "{tracked}");
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_message_for_later_is_scheduled_and_waited_for_where_the_session_says_so() {
    let fixture = Fixture::create();
    for builder in [builder(&fixture.journal), with_sqlite(&fixture).await] {
        let app = builder.start().await.unwrap();
        let far = Duration::from_secs(3_000);
        let later = app.track().act(async |bus| bus.send(SendEmail { id: 1 }).delay(far).await);
        let (sent, tracked) = later.await.unwrap();
        sent.unwrap();
        tracked.assert_scheduled::<SendEmail>(1);
        tracked.assert_sent::<SendEmail>(1);
        tracked.assert_handled::<SendEmail>(0);

        let soon = Duration::from_millis(50);
        let session = app.track().with_scheduled();
        let later = session.act(async |bus| bus.send(SendEmail { id: 2 }).delay(soon).await);
        let (_sent, tracked) = later.await.unwrap();
        let expected = [Scheduled, ExecutionStarted, ExecutionFinished];
        assert_eq!(events::<SendEmail>(&tracked), expected, "{tracked}");
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn several_messages_are_one_session_and_a_session_sees_no_other() {
    let journal = Journal::default();
    let app = builder(&journal).start().await.unwrap();
    // What others do, and what never ends, keeps it from nothing.
    app.bus().send(Wait).await.unwrap();
    journal.wait_for("waits").await;
    let one = app.track().send(PlaceOrder { id: 1 }).send(SendEmail { id: 2 });
    let one = one.publish(OrderPlaced { id: 3 });
    let other = app.track().send(PlaceOrder { id: 4 });
    let (one, other) = tokio::join!(one.into_future(), other.into_future());
    let (one, other) = (one.unwrap(), other.unwrap());
    let ids = |tracked: &jasper::testing::Tracked| {
        let mut ids: Vec<_> = tracked.handled::<SendEmail>().iter().map(|it| it.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!((ids(&one), ids(&other)), (vec![1, 2, 3], vec![4]));
    one.assert_sent::<OrderPlaced>(2);
    other.assert_sent::<Wait>(0);
}

#[tokio::test]
async fn an_invoked_command_gives_its_reply_and_what_it_has_caused() {
    let journal = Journal::default();
    let app = builder(&journal).start().await.unwrap();
    let (reply, tracked) = app.track().invoke(PlaceOrder { id: 7 }).await.unwrap();
    assert_eq!(reply, 70);
    assert_eq!(tracked.assert_handled::<PlaceOrder>(1)[0].id, 7);
    tracked.assert_sent::<PlaceOrder>(0);
    tracked.assert_handled::<SendEmail>(1);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_sent_in_a_transaction_of_the_tests_own_is_waited_for_after_its_commit() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = with_sqlite(&fixture).await.start().await.unwrap();
    let session = app.track().act(async |bus| {
        let mut transaction = store.pool().begin().await.unwrap();
        bus.enlist(&mut transaction).send(Write { id: 5 }).await.unwrap();
        transaction.commit().await.unwrap();
    });
    let ((), tracked) = session.await.unwrap();
    tracked.assert_sent::<Write>(1);
    assert_eq!(tracked.assert_handled::<SendEmail>(1)[0].id, 5);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_repeat_and_a_message_whose_time_is_over_are_discarded() {
    let fixture = Fixture::create();
    let app = with_sqlite(&fixture).await.start().await.unwrap();
    let twice = app.track().act(async |bus| {
        for _time in 0..2 {
            bus.send(SendEmail { id: 1 }).deduplicate("once").await.unwrap();
        }
        bus.send(SendEmail { id: 2 }).deliver_within(Duration::ZERO).await.unwrap();
    });
    let ((), tracked) = twice.await.unwrap();
    let discarded = tracked.events().iter().filter(|event| event.event == Discarded);
    let why: Vec<_> = discarded.filter_map(|event| event.detail.as_deref()).collect();
    assert_eq!(why.len(), 2, "{tracked}");
    assert!(why.contains(&"a repeat") && why.contains(&"its time was over"), "{tracked}");
    assert_eq!(tracked.assert_handled::<SendEmail>(1)[0].id, 1);
    app.stop().await.unwrap();
}

/// Another node may take what this one has stored for any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_share_a_store_are_tracked_together() {
    let fixture = Fixture::create();
    let front = with_sqlite(&fixture).await.send_only().start().await.unwrap();
    let often = Duration::from_millis(10);
    let worker = with_sqlite(&fixture).await.poll_interval(often).start().await.unwrap();
    for id in 1..10 {
        let tracked = front.track().also(&worker).send(Write { id }).await.unwrap();
        tracked.assert_handled::<Write>(1);
        tracked.assert_handled::<SendEmail>(1);
        assert_eq!(fixture.journal.take(), [format!("sent {id}")]);
    }
    front.stop().await.unwrap();
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_has_ended_watches_no_more() {
    let journal = Journal::default();
    let gate = Arc::new(Semaphore::new(0));
    let app = builder(&journal).state(Arc::clone(&gate)).start().await.unwrap();
    let session = app.track().time_limit(Duration::from_millis(50)).send(Wait);
    let before = session.await.unwrap_err().tracked().events().len();
    assert_eq!(before, 2, "sent and begun");
    gate.add_permits(1);
    app.until_idle().await.unwrap();
    let tracked = app.track().send(SendEmail { id: 1 }).await.unwrap();
    tracked.assert_sent::<Wait>(0);
    app.stop().await.unwrap();
}
