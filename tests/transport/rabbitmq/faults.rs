//! What goes wrong at the broker, and what is seen of it.

use std::time::Duration;

use jasper::store::DeadLetterReason;
use jasper::transport::Direction;
use lapin::BasicProperties;
use tests::Journal;
use tests::servers::{Server, rabbitmq_url};

use crate::bench::{Client, letter, note, receiver, sender, state, unique, wait_for_problem};

#[tokio::test]
async fn a_listener_whose_queue_is_deleted_says_so_within_a_second_and_works_when_it_is_back() {
    let (url, queue, journal) = (rabbitmq_url(), unique("deleted"), Journal::default());
    let client = Client::connect(&url).await;
    client.make_queue(&queue, "quorum").await;
    let address = format!("rabbitmq://queue/{queue}?declare=check");
    let app = receiver(&url, &journal).listen(address).start().await.unwrap();
    assert!(state(&app, Direction::Listen).works());
    client.delete_queue(&queue).await;
    let took = wait_for_problem(&app, Direction::Listen, Some("")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    wait_for_problem(&app, Direction::Listen, Some("is not there")).await;
    client.make_queue(&queue, "quorum").await;
    let took = wait_for_problem(&app, Direction::Listen, None).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let properties = BasicProperties::default().with_type("rabbit.note@1".into());
    client.publish(&queue, r#"{"text":"back"}"#, properties).await;
    journal.wait_for("back").await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_queue_that_comes_back_of_another_type_is_a_problem_that_is_told() {
    let (url, queue, journal) = (rabbitmq_url(), unique("changed"), Journal::default());
    let address = format!("rabbitmq://queue/{queue}");
    let app = receiver(&url, &journal).listen(&*address).start().await.unwrap();
    app.pause_listeners().await;
    assert!(state(&app, Direction::Listen).is_paused);
    let client = Client::connect(&url).await;
    client.delete_queue(&queue).await;
    client.make_queue(&queue, "classic").await;
    let error = app.resume_listeners().await.unwrap_err().to_string();
    assert!(error.contains("`classic` at the broker"), "{error}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_larger_than_the_broker_takes_is_refused_and_others_go_on() {
    let server = Server::rabbitmq_with("max_message_size = 65536").await;
    let (address, journal) = ("rabbitmq://queue/small", Journal::default());
    let receiver = receiver(server.url(), &journal).listen(address).start().await.unwrap();
    let sender = sender(server.url(), address).start().await.unwrap();
    let texts = ["before".to_owned(), "x".repeat(70_000), "after".to_owned()];
    sender.bus().send_all(texts.map(note)).await.unwrap();
    let letter = letter(&sender).await;
    assert_eq!(letter.reason, DeadLetterReason::Refused);
    assert!(letter.error_message.contains("more than the 65536 bytes"), "{}", letter.error_message);
    journal.wait_for("before").await;
    journal.wait_for("after").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_password_that_expires_is_a_problem_until_it_is_right_again() {
    let server = Server::rabbitmq().await;
    let (address, journal) = ("rabbitmq://queue/notes", Journal::default());
    let receiver = receiver(server.url(), &journal).listen(address).start().await.unwrap();
    let sender = sender(server.url(), address).start().await.unwrap();
    server.control(&["change_password", "guest", "another"]).await;
    server.control(&["close_all_connections", "the password has expired"]).await;
    wait_for_problem(&receiver, Direction::Listen, Some("ACCESS_REFUSED")).await;
    sender.bus().send(note("kept")).await.unwrap();
    wait_for_problem(&sender, Direction::Send, Some("ACCESS_REFUSED")).await;
    server.control(&["change_password", "guest", "guest"]).await;
    journal.wait_for("kept").await;
    wait_for_problem(&receiver, Direction::Listen, None).await;
    wait_for_problem(&sender, Direction::Send, None).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_blocks_its_senders_is_seen_and_what_is_sent_waits() {
    let server = Server::rabbitmq().await;
    let (address, journal) = ("rabbitmq://queue/notes", Journal::default());
    let receiver = receiver(server.url(), &journal).listen(address).start().await.unwrap();
    let sender = sender(server.url(), address).start().await.unwrap();
    sender.bus().send(note("before")).await.unwrap();
    journal.wait_for("before").await;
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]).await;
    sender.bus().send(note("meanwhile")).await.unwrap();
    wait_for_problem(&sender, Direction::Send, Some("takes no messages at present")).await;
    assert_eq!(journal.notes(), ["before"]);
    assert!(state(&receiver, Direction::Listen).works(), "who listens has a connection of its own");
    server.control(&["set_vm_memory_high_watermark", "0.4"]).await;
    journal.wait_for("meanwhile").await;
    wait_for_problem(&sender, Direction::Send, None).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_queue_that_its_sender_makes_is_made_again_when_it_is_deleted() {
    let (url, queue) = (rabbitmq_url(), unique("remade"));
    let sender = sender(&url, &format!("rabbitmq://queue/{queue}")).start().await.unwrap();
    let client = Client::connect(&url).await;
    sender.bus().send(note("first")).await.unwrap();
    client.get(&queue).await;
    client.delete_queue(&queue).await;
    sender.bus().send(note("second")).await.unwrap();
    sender.until_idle().await.unwrap();
    assert!(client.get(&queue).await.data.ends_with(br#""second"}"#));
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn a_queue_that_others_make_is_not_made_and_what_is_sent_to_it_is_refused() {
    let (url, queue) = (rabbitmq_url(), unique("unmade"));
    let address = format!("rabbitmq://queue/{queue}?declare=never");
    let sender = sender(&url, &address).start().await.unwrap();
    sender.bus().send(note("lost")).await.unwrap();
    let told = letter(&sender).await.error_message;
    assert!(told.contains(&format!("there is no queue `{queue}`")), "{told}");
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn an_exchange_that_is_deleted_is_made_again() {
    let (url, name) = (rabbitmq_url(), unique("exchange"));
    let sender = sender(&url, &format!("rabbitmq://exchange/{name}/key")).start().await.unwrap();
    let client = Client::connect(&url).await;
    client.channel.exchange_delete(name.as_str().into(), Default::default()).await.unwrap();
    client.make_queue(&name, "quorum").await;
    sender.bus().send(note("for nobody")).await.unwrap();
    // It is there again, and no queue is bound to it.
    assert!(letter(&sender).await.error_message.contains("no queue is bound"));
    sender.stop().await.unwrap();
}
