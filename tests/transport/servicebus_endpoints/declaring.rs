//! What is declared, checked, or left alone: over the management of the namespace.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::testing::servicebus::{Broker, EntitySettings};
use jasper::transport::servicebus::{
    CorrelationFilter, Declare, Filter, Queue, ServiceBus, Subscription, Topic,
};
use tests::Journal;

use crate::bench::{
    ADDRESS, QUEUE, broker, note, receiver_by, sender_by, settings, transport, until,
};

const NEWS: &str = "asb://topic/news/subscription/mine";

async fn problems(builder: Builder) -> String {
    builder.start().await.unwrap_err().to_string()
}

fn provisioning(broker: &Broker) -> ServiceBus {
    transport(broker).declare(Declare::Provision)
}

#[tokio::test]
async fn a_queue_that_is_missing_is_made_with_what_the_builder_says() {
    let (broker, journal) = (Broker::start().await.unwrap(), Journal::default());
    let queue = || {
        Queue::new(QUEUE)
            .lock_duration(Duration::from_secs(20))
            .max_delivery_count(7)
            .duplicate_detection(Duration::from_secs(60))
            .dead_letter_expired()
    };
    let app = receiver_by(provisioning(&broker).queue(queue()), &journal).listen(ADDRESS);
    let app = app.start().await.unwrap();
    let sender = sender_by(provisioning(&broker).queue(queue()), ADDRESS).start().await.unwrap();
    sender.bus().send(note("made")).await.unwrap();
    journal.wait_for("made").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
    // It is what was said, as what says otherwise is refused.
    let other = queue().max_delivery_count(8);
    let said = problems(sender_by(provisioning(&broker).queue(other), ADDRESS)).await;
    assert!(said.contains("`MaxDeliveryCount`: `8` here, `7` at the broker"), "{said}");
    let other = queue().lock_duration(Duration::from_secs(21));
    let said = problems(sender_by(provisioning(&broker).queue(other), ADDRESS)).await;
    assert!(said.contains("`LockDuration`: `PT21S` here"), "{said}");
}

#[tokio::test]
async fn nothing_is_made_unless_it_is_asked_for() {
    let broker = Broker::start().await.unwrap();
    let said = problems(receiver_by(transport(&broker), &Journal::default()).listen(ADDRESS));
    assert!(said.await.contains("the queue `orders` is not there"));
    let listening = receiver_by(transport(&broker), &Journal::default());
    let app = listening.listen("asb://queue/orders?declare=provision").start().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn checking_makes_nothing_and_says_what_is_missing() {
    let broker = Broker::start().await.unwrap();
    let checking = || sender_by(transport(&broker), "asb://queue/orders?declare=check");
    for _twice in 0..2 {
        let said = problems(checking()).await;
        assert!(said.contains("the queue `orders` is not there; make it"), "{said}");
    }
    broker.create_queue(QUEUE, settings()).unwrap();
    checking().start().await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn sessions_are_made_where_an_endpoint_has_them_and_refused_where_the_queue_has_none() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let listening = |address: &str| receiver_by(provisioning(&broker), &journal).listen(address);
    let said = problems(listening("asb://queue/orders?sessions=2")).await;
    assert!(said.contains("`RequiresSession`: `true` here, `false` at the broker"), "{said}");
    let app = listening("asb://queue/grouped?sessions=2").start().await.unwrap();
    let sender = sender_by(transport(&broker), "asb://queue/grouped").start().await.unwrap();
    let of_it = DeliveryOptions::new().group("ada");
    sender.bus().send(note("of a group")).with(of_it).await.unwrap();
    journal.wait_for("of a group").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_subscription_is_made_with_its_rules_alone() {
    let (broker, journal) = (Broker::start().await.unwrap(), Journal::default());
    let subscription = |name: &str| {
        let filter =
            CorrelationFilter::new().subject("asb.note@1").property("jasper-tenant-id", name);
        Subscription::new("news", "mine").rule("mine", filter.into())
    };
    let with = |name: &str| {
        let topic = Topic::new("news").duplicate_detection(Duration::from_secs(60));
        provisioning(&broker).topic(topic).subscription(subscription(name))
    };
    let app = receiver_by(with("shop"), &journal).listen(NEWS).start().await.unwrap();
    let sender = sender_by(with("shop"), "asb://topic/news").start().await.unwrap();
    sender.bus().send(note("of nobody")).await.unwrap();
    sender.bus().send(note("of the shop")).tenant("shop").await.unwrap();
    journal.wait_for("of the shop").await;
    let counts = until(&broker, "news/Subscriptions/mine", |counts| counts.completed == 1).await;
    assert_eq!(counts.sent, 1);
    assert_eq!(broker.counts("news").sent, 2);
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
    let said = problems(receiver_by(with("other"), &journal).listen(NEWS)).await;
    assert!(said.contains("differs in `Filter`") && said.contains("=other` here"), "{said}");
}

#[tokio::test]
async fn a_rule_that_is_there_and_not_here_is_a_problem_at_start() {
    let broker = Broker::start().await.unwrap();
    broker.create_topic("news", EntitySettings::new()).unwrap();
    broker.create_subscription("news", "mine", settings()).unwrap();
    let wanted = Subscription::new("news", "mine").rule("none", Filter::sql("1=0"));
    let transport = provisioning(&broker).subscription(wanted);
    let said = problems(receiver_by(transport, &Journal::default()).listen(NEWS)).await;
    assert!(said.contains("has a rule `$Default` at the broker and not here"), "{said}");
}

#[tokio::test]
async fn a_topic_where_a_queue_is_declared_is_named_as_one() {
    let broker = Broker::start().await.unwrap();
    broker.create_topic(QUEUE, EntitySettings::new()).unwrap();
    let said = problems(sender_by(provisioning(&broker), ADDRESS)).await;
    assert!(said.contains("the queue `orders` is a topic at the broker"), "{said}");
}

#[tokio::test]
async fn a_reply_queue_is_made_with_sessions() {
    let broker = Broker::start().await.unwrap();
    let transport = || provisioning(&broker).reply_queue("replies");
    let app = receiver_by(transport(), &Journal::default()).listen(ADDRESS).start().await.unwrap();
    app.stop().await.unwrap();
    let sessions = "asb://queue/replies?sessions=1&declare=check";
    let app = receiver_by(transport(), &Journal::default()).listen(sessions);
    app.start().await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_open_the_management_is_a_problem_at_start_that_does_not_show_it() {
    let broker = broker(settings()).await;
    let (_, key) = broker.key();
    let wrong = broker.connection_string().replace(key, "d3Jvbmc=");
    let transport = ServiceBus::at(wrong).declare(Declare::Check);
    let said = problems(sender_by(transport, ADDRESS)).await;
    assert!(said.contains("the management of the namespace: InvalidSignature"), "{said}");
    assert!(!said.contains("d3Jvbmc="), "{said}");
}

#[tokio::test]
async fn a_management_that_is_away_does_not_keep_an_application_from_its_start() {
    let broker = broker(settings()).await;
    broker.faults().refuse_connections();
    let sender = sender_by(provisioning(&broker), ADDRESS).start().await.unwrap();
    sender.bus().send(note("kept")).await.unwrap();
    broker.faults().accept_connections();
    assert_eq!(until(&broker, QUEUE, |counts| counts.active == 1).await.sent, 1);
    sender.stop().await.unwrap();
}
