//! What the broker makes of what is sent.

use std::time::{Duration, Instant, SystemTime};

use jasper::store::DeadLetterReason;
use jasper::testing::servicebus::{Broker, EntitySettings};
use tests::Journal;

use crate::bench::{
    ADDRESS, Noted, QUEUE, broker, letter, note, receiver, sender, settings, transport, until,
};

#[tokio::test]
async fn a_broker_that_has_too_much_to_do_is_left_alone_and_then_gets_all() {
    let broker = broker(settings()).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    broker.faults().throttle(QUEUE, 1);
    let began = Instant::now();
    for number in 0..10 {
        sender.bus().send(note(number.to_string())).await.unwrap();
    }
    until(&broker, QUEUE, |counts| counts.active == 10).await;
    // It asks for two seconds.
    assert!(began.elapsed() >= Duration::from_secs(2));
    sender.until_idle().await.unwrap();
    assert_eq!(broker.counts(QUEUE).sent, 10);
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_message_at_fault_is_refused_and_those_beside_it_arrive() {
    let broker = Broker::builder().max_message_size(20_000).start().await.unwrap();
    broker.create_queue(QUEUE, settings()).unwrap();
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let texts = ["a".to_owned(), "x".repeat(20_001), "b".to_owned()];
    sender.bus().send_all(texts.map(note)).await.unwrap();
    let letter = letter(&sender).await;
    assert_eq!(letter.reason, DeadLetterReason::Refused);
    assert!(letter.error_message.contains("20000 bytes"), "{}", letter.error_message);
    let counts = until(&broker, QUEUE, |counts| counts.active == 2).await;
    assert_eq!(counts.sent, 2);
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_is_refused_is_sent_one_by_one() {
    let broker = broker(settings()).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    broker.faults().refuse(QUEUE, 2, "amqp:not-allowed", "for a test");
    let texts = ["a", "b", "c"].map(note);
    sender.bus().send_all(texts).await.unwrap();
    let letter = letter(&sender).await;
    assert!(letter.error_message.contains("for a test"), "{}", letter.error_message);
    // The first refusal was the batch's, the second one that of its first message.
    assert_eq!(until(&broker, QUEUE, |counts| counts.active == 2).await.sent, 2);
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_whose_outcome_is_lost_is_sent_again_and_handled_once() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    broker.faults().lose_outcomes_of_sends(QUEUE, 3);
    sender.bus().send(note("once")).await.unwrap();
    sender.until_idle().await.unwrap();
    assert_eq!(broker.counts(QUEUE).sent, 4);
    let receiver = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
    until(&broker, QUEUE, |counts| counts.completed == 4).await;
    receiver.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["once"]);
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn the_broker_drops_what_is_sent_again_where_it_looks_for_duplicates() {
    let broker = broker(settings().duplicate_detection(Duration::from_secs(60))).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    broker.faults().lose_outcomes_of_sends(QUEUE, 1);
    sender.bus().send(note("once")).await.unwrap();
    sender.until_idle().await.unwrap();
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.sent, counts.duplicates), (1, 1));
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_for_later_waits_at_the_broker() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let due_at = SystemTime::now() + Duration::from_millis(700);
    sender.bus().send(note("later")).at(due_at).await.unwrap();
    until(&broker, QUEUE, |counts| counts.scheduled == 1).await;
    let receiver = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
    journal.wait_for("later").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_has_waited_too_long_is_not_delivered() {
    let (broker, journal) = (broker(settings().dead_letter_expired()).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let soon = jasper::DeliveryOptions::new().deliver_within(Duration::from_millis(200));
    sender.bus().send(note("too late")).with(soon).await.unwrap();
    until(&broker, QUEUE, |counts| counts.active == 1).await;
    // Real time: a message whose time has passed gives no word.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let receiver = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
    until(&broker, QUEUE, |counts| counts.dead_lettered == 1).await;
    assert!(journal.notes().is_empty());
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_to_a_topic_reaches_every_subscription() {
    let (broker, journals) = (Broker::start().await.unwrap(), [(); 2].map(|()| Journal::default()));
    broker.create_topic("news", EntitySettings::new()).unwrap();
    for name in ["one", "two"] {
        broker.create_subscription("news", name, settings()).unwrap();
    }
    let mut receivers = Vec::new();
    for (name, journal) in ["one", "two"].iter().zip(&journals) {
        let address = format!("asb://topic/news/subscription/{name}");
        receivers.push(receiver(&broker, journal).listen(address).start().await.unwrap());
    }
    let sender = sender(&broker, ADDRESS).endpoint("news", "asb://topic/news");
    let sender = sender.publish_to::<Noted>("news").start().await.unwrap();
    sender.bus().publish(Noted { text: "to all".into() }).await.unwrap();
    for journal in &journals {
        journal.wait_for("to all").await;
    }
    sender.stop().await.unwrap();
    for receiver in receivers {
        receiver.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_request_without_a_reply_queue_says_what_is_missing() {
    let broker = broker(settings()).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let error = sender.bus().invoke(note("asked")).await.unwrap_err().to_string();
    assert!(error.contains("`.reply_queue(\"NAME\")`"), "{error}");
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_to_a_topic_is_refused() {
    let broker = Broker::start().await.unwrap();
    broker.create_topic("news", EntitySettings::new()).unwrap();
    let sender = sender(&broker, "asb://topic/news").start().await.unwrap();
    let error = sender.bus().invoke(note("asked")).await.unwrap_err().to_string();
    assert!(error.contains("goes to one receiver"), "{error}");
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_goes_nowhere_but_to_the_reply_queue_of_the_receiver() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    for queue in ["replies", "elsewhere"] {
        broker.create_queue(queue, EntitySettings::new().requires_session()).unwrap();
    }
    let asks = |queue: &str| {
        let transport = transport(&broker).reply_queue(queue);
        crate::bench::sender_by(transport, ADDRESS).reply_timeout(Duration::from_secs(3))
    };
    let answers = transport(&broker).reply_queue("replies");
    let receiver = crate::bench::receiver_by(answers, &journal).listen(ADDRESS);
    let receiver = receiver.start().await.unwrap();
    let (good, bad) = (asks("replies").start().await.unwrap(), asks("elsewhere"));
    let bad = bad.start().await.unwrap();
    good.bus().invoke(note("answered")).await.unwrap();
    assert!(bad.bus().invoke(note("refused")).await.unwrap_err().is_time_out());
    assert_eq!(journal.notes(), ["answered"]);
    assert_eq!(broker.counts("elsewhere").sent, 0);
    assert_eq!(broker.counts(QUEUE).dead_lettered, 1);
    for app in [good, bad, receiver] {
        app.stop().await.unwrap();
    }
}
