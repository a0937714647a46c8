//! What is declared, checked, or left alone.

use jasper::Error;
use jasper::transport::rabbitmq::{Declare, Exchange, Queue, RabbitMq};
use tests::Journal;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, Noted, letter, note, receiver, receiver_by, sender, sender_by, unique};

fn problems(error: &Error) -> String {
    let Error::Startup(problems) = error else { panic!("{error}") };
    problems.to_string()
}

#[tokio::test]
async fn a_queue_of_another_type_is_a_problem_that_names_both_types_at_both_ends() {
    let (url, queue) = (rabbitmq_url(), unique("other"));
    Client::connect(&url).await.make_queue(&queue, "classic").await;
    let address = format!("rabbitmq://queue/{queue}");
    let error = sender(&url, &address).start().await.unwrap_err();
    let told = problems(&error);
    assert!(told.contains("`quorum` here, `classic` at the broker"), "{told}");
    assert!(told.contains(&queue) && told.contains("x-queue-type"), "{told}");
    let listening = receiver(&url, &Journal::default()).listen(&*address);
    assert!(problems(&listening.start().await.unwrap_err()).contains("`classic` at the broker"));
    // Declared as it is there, it is taken.
    let as_there = format!("{address}?queue=classic");
    sender(&url, &as_there).start().await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn an_argument_or_the_kind_of_an_exchange_that_differs_is_told_too() {
    let (url, name) = (rabbitmq_url(), unique("differs"));
    let address = format!("rabbitmq://queue/{name}");
    let plain = sender(&url, &address).start().await.unwrap();
    let queue = Queue::quorum(&*name).argument("x-max-length", 5);
    let transport = RabbitMq::at(&*url).queue(queue);
    let bounded = jasper::Jasper::builder().transport(transport).endpoint("notes", &*address);
    let bounded = bounded.store(jasper::store::memory::MemoryStore::new());
    let told = problems(&bounded.handler(nothing).start().await.unwrap_err());
    assert!(told.contains("`x-max-length`: `5` here, not set at the broker"), "{told}");
    plain.stop().await.unwrap();
    let exchange = format!("rabbitmq://exchange/{name}/key");
    sender(&url, &exchange).start().await.unwrap().stop().await.unwrap();
    let direct = format!("{exchange}?exchange=direct");
    let told = problems(&sender(&url, &direct).start().await.unwrap_err());
    assert!(told.contains("`direct` here, `topic` at the broker"), "{told}");
}

#[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
#[event(name = "rabbit.declared")]
struct Declared;

#[jasper::handler]
async fn nothing(_event: Declared) {}

#[tokio::test]
async fn checking_makes_nothing_and_tells_what_is_missing() {
    let (url, queue) = (rabbitmq_url(), unique("missing"));
    let address = format!("rabbitmq://queue/{queue}?declare=check");
    let told = problems(&sender(&url, &address).start().await.unwrap_err());
    assert!(told.contains(&format!("the queue `{queue}` is not there")), "{told}");
    let told = problems(&sender(&url, &address).start().await.unwrap_err());
    assert!(told.contains(&queue), "the first start has made nothing: {told}");
    Client::connect(&url).await.make_queue(&queue, "quorum").await;
    sender(&url, &address).start().await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn what_is_never_declared_is_used_as_it_is() {
    let (url, queue) = (rabbitmq_url(), unique("never"));
    let client = Client::connect(&url).await;
    client.make_queue(&queue, "classic").await;
    let address = format!("rabbitmq://queue/{queue}?declare=never");
    let journal = Journal::default();
    let receiver = receiver(&url, &journal).listen(&*address).start().await.unwrap();
    let sender = sender(&url, &address).start().await.unwrap();
    sender.bus().send(note("as it is")).await.unwrap();
    journal.wait_for("as it is").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_goes_by_its_name_to_every_queue_that_a_pattern_binds() {
    let (url, exchange) = (rabbitmq_url(), unique("events"));
    let [one, two] = [Journal::default(), Journal::default()];
    let mut receivers = Vec::new();
    for (journal, pattern) in [(&one, "rabbit.*"), (&two, "rabbit.noted")] {
        let name = unique("listener");
        let address = format!("rabbitmq://topic/{exchange}/{pattern}?name={name}");
        receivers.push(receiver(&url, journal).listen(address).start().await.unwrap());
    }
    let sender = sender(&url, "rabbitmq://queue/unused")
        .endpoint("events", format!("rabbitmq://exchange/{exchange}"))
        .publish_to::<Noted>("events");
    let sender = sender.start().await.unwrap();
    sender.bus().publish(Noted { text: "to all".into() }).await.unwrap();
    for journal in [&one, &two] {
        journal.wait_for("to all").await;
    }
    sender.stop().await.unwrap();
    for receiver in receivers {
        receiver.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_event_that_no_pattern_takes_is_refused_with_the_key() {
    let (url, exchange) = (rabbitmq_url(), unique("lonely"));
    let sender = sender(&url, &format!("rabbitmq://exchange/{exchange}/nobody"));
    let sender = sender.start().await.unwrap();
    sender.bus().send(note("lost")).await.unwrap();
    let told = letter(&sender).await.error_message;
    assert!(told.contains(&exchange) && told.contains("`nobody`"), "{told}");
    assert!(told.contains("NO_ROUTE"), "{told}");
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_queue_is_emptied_at_start_where_that_is_asked_for() {
    let (url, queue, journal) = (rabbitmq_url(), unique("purged"), Journal::default());
    let client = Client::connect(&url).await;
    client.make_queue(&queue, "quorum").await;
    let message = || lapin::BasicProperties::default().with_type("rabbit.note".into());
    client.publish(&queue, r#"{"text":"old"}"#, message()).await;
    let transport = RabbitMq::at(&*url).purge_on_start(&*queue);
    let app = receiver_by(transport, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    client.publish(&queue, r#"{"text":"new"}"#, message()).await;
    journal.wait_for("new").await;
    assert_eq!(journal.notes(), ["new"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn one_consumer_is_active_at_a_time_where_the_queue_says_so() {
    let (url, queue) = (rabbitmq_url(), unique("single"));
    let single = || {
        let queue = Queue::quorum(&*queue).argument("x-single-active-consumer", true);
        RabbitMq::at(&*url).queue(queue)
    };
    let address = format!("rabbitmq://queue/{queue}");
    let (one, two) = (Journal::default(), Journal::default());
    let first = receiver_by(single(), &one).listen(&*address).start().await.unwrap();
    let second = receiver_by(single(), &two).listen(&*address).start().await.unwrap();
    let sender = sender_by(single(), &address).start().await.unwrap();
    for number in 0..20 {
        sender.bus().send(note(format!("{number}"))).await.unwrap();
    }
    one.wait_for_number(20).await;
    assert!(two.notes().is_empty());
    first.stop().await.unwrap();
    sender.bus().send(note("next")).await.unwrap();
    two.wait_for("next").await;
    for app in [second, sender] {
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_builder_declares_arguments_bindings_and_a_prefix() {
    let (url, prefix) = (rabbitmq_url(), unique("prefix"));
    let transport = || {
        RabbitMq::at(&*url)
            .prefix(format!("{prefix}."))
            .declare(Declare::Provision)
            .queue(Queue::quorum("orders").argument("x-max-length", 7))
            .exchange(Exchange::direct("events"))
            .bind("events", "placed", "orders")
    };
    let builder = jasper::Jasper::builder().transport(transport());
    let builder = builder.store(jasper::store::memory::MemoryStore::new()).handler(nothing);
    let app = builder.listen("rabbitmq://queue/orders").start().await.unwrap();
    let client = Client::connect(&url).await;
    let published = client.channel.basic_publish(
        format!("{prefix}.events").as_str().into(),
        "placed".into(),
        lapin::options::BasicPublishOptions { mandatory: true, ..Default::default() },
        b"{}",
        lapin::BasicProperties::default(),
    );
    let confirmed = published.await.unwrap().await.unwrap();
    assert!(confirmed.take_message().is_none(), "the queue is bound");
    // It says no type, and so it is an invalid message.
    assert!(letter(&app).await.error_message.contains("message type"));
    app.stop().await.unwrap();
}
